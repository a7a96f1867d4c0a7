use std::collections::BTreeMap;

use crate::{Error, Result};

/// The outlines of grey images `[n, 1, height, width]` at half the brightness, each as the data of an SVG path whose unit is a
/// pixel, the first one's left upper corner being the origin: to be filled by the rule `evenodd`. Marching squares between
/// pixels' middles, what lies around an image being dark; empty for an image that is dark all over.
///
/// # Errors
/// [`Error::Config`] if the values are not those of whole images, or one is not finite.
pub fn outlines(images: &[f32], [height, width]: [usize; 2]) -> Result<Vec<String>> {
    let refused = |problem: String, fix: &str| Err(Error::config("the images", problem, fix));
    let size = height * width;
    if size == 0 || !images.len().is_multiple_of(size) {
        return refused(format!("have {} values", images.len()), "give height times width for each");
    }
    if !images.iter().all(|value| value.is_finite()) {
        return refused("have a value that is not a number".into(), "use values from 0 to 1");
    }
    Ok(images.chunks_exact(size).map(|image| outline(image, width)).collect())
}

/// The line between the middle of a pixel and that of its neighbour on the right or below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Link {
    x: i32,
    y: i32,
    is_down: bool,
}

fn outline(image: &[f32], width: usize) -> String {
    let height = image.len() / width;
    let value = |x: i32, y: i32| {
        let is_inside = (0..width as i32).contains(&x) && (0..height as i32).contains(&y);
        if is_inside { image[y as usize * width + x as usize] } else { 0.0 }
    };
    // Where an outline goes on after it has crossed a link.
    let mut next = BTreeMap::new();
    for (y, x) in (-1..height as i32).flat_map(|y| (-1..width as i32).map(move |x| (y, x))) {
        next.extend(crossings([value(x, y), value(x + 1, y), value(x + 1, y + 1), value(x, y + 1)], [x, y]));
    }
    let point = |Link { x, y, is_down }: Link| {
        let (a, b) = (value(x, y), if is_down { value(x, y + 1) } else { value(x + 1, y) });
        let share = (HALF - a) / (b - a);
        let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
        if is_down { format!("{x:.2} {:.2}", y + share) } else { format!("{:.2} {y:.2}", x + share) }
    };
    let mut path = String::new();
    while let Some((first, mut link)) = next.pop_first() {
        let mut ring = vec![point(first)];
        while link != first {
            ring.push(point(link));
            // Outlines are closed: what is crossed into a square is crossed out of the one beside it.
            link = next.remove(&link).unwrap_or(first);
        }
        path += &format!("M{}Z", ring.join("L"));
    }
    path
}

/// What counts as bright.
const HALF: f32 = 0.5;

/// The links around a square of four pixels, clockwise from `[x, y]`, where an outline comes into it, with those where it
/// leaves it.
fn crossings(corners: [f32; 4], [x, y]: [i32; 2]) -> Vec<(Link, Link)> {
    let link = |side: usize| match side % 4 {
        0 => Link { x, y, is_down: false },
        1 => Link { x: x + 1, y, is_down: true },
        2 => Link { x, y: y + 1, is_down: false },
        _ => Link { x, y, is_down: true },
    };
    let is_bright = |corner: usize| corners[corner % 4] > HALF;
    let enters = |side: usize| !is_bright(side) && is_bright(side + 1);
    let leaves = |side: usize| is_bright(side) && !is_bright(side + 1);
    // Around bright corners: where two of them face each other they are apart.
    let pair = |side: usize| {
        (side + 1..side + 4).find(|other| leaves(*other)).map(|other| (link(side), link(other)))
    };
    (0..4).filter(|side| enters(*side)).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A square of two by two bright pixels, and one with a hole.
    #[test]
    fn outlines_lie_half_way_between_pixels() {
        let bright = |inside: fn(usize, usize) -> bool| -> Vec<f32> {
            (0..64).map(|i| if inside(i % 8, i / 8) { 1.0 } else { 0.0 }).collect()
        };
        let square = bright(|x, y| (3..5).contains(&x) && (3..5).contains(&y));
        let ring =
            bright(|x, y| (1..7).contains(&x) && (1..7).contains(&y) && !((3..5).contains(&x) && y == 4));
        let apart = bright(|x, y| [(0, 0), (1, 1)].contains(&(x, y)));
        let paths = outlines(&[square, ring, apart, vec![0.0; 64]].concat(), [8, 8]).unwrap();
        let coordinates = |path: &str| -> Vec<[f64; 2]> {
            let points = path.split(['M', 'L', 'Z']).filter(|point| !point.is_empty());
            points
                .map(|point| point.split_once(' ').unwrap())
                .map(|(x, y)| [x, y].map(|v| v.parse().unwrap()))
                .collect()
        };
        for axis in [0, 1] {
            let along: Vec<f64> = coordinates(&paths[0]).iter().map(|point| point[axis]).collect();
            assert_eq!(along.iter().copied().fold(f64::MAX, f64::min), 3.0, "{}", paths[0]);
            assert_eq!(along.iter().copied().fold(f64::MIN, f64::max), 5.0, "{}", paths[0]);
        }
        assert_eq!(paths[1].matches('M').count(), 2, "a hole is a ring of its own: {}", paths[1]);
        assert_eq!(paths[2].matches('M').count(), 2, "pixels that meet in a corner are apart: {}", paths[2]);
        assert_eq!(paths[3], "");
        assert!(outlines(&[0.0; 65], [8, 8]).is_err() && outlines(&[f32::NAN; 64], [8, 8]).is_err());
    }
}
