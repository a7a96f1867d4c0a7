use contour::ContourBuilder;

use crate::{Error, Result};

/// The outlines of grey images `[n, 1, height, width]` at half the brightness, each as the data of an SVG path whose unit is a
/// pixel, the first one's left upper corner being the origin: to be filled by the rule `evenodd`. Marching squares between
/// pixels' middles; empty for an image that is dark all over.
///
/// # Errors
/// [`Error::Config`] if the values are not those of whole images, or one is not finite.
pub fn outlines(images: &[f32], [height, width]: [usize; 2]) -> Result<Vec<String>> {
    let refused = |problem: String, fix: &str| Err(Error::config("the images", problem, fix));
    let size = height * width;
    if height < 2 || width < 2 || !images.len().is_multiple_of(size) {
        return refused(
            format!("have {} values", images.len()),
            "give height times width for each, 2 or more",
        );
    }
    if !images.iter().all(|value| value.is_finite()) {
        return refused("have a value that is not a number".into(), "use values from 0 to 1");
    }
    images.chunks_exact(size).map(|image| outline(image, [height, width])).collect()
}

fn outline(image: &[f32], [height, width]: [usize; 2]) -> Result<String> {
    let values: Vec<f64> = image.iter().copied().map(f64::from).collect();
    let contours = ContourBuilder::new(width, height, true).contours(&values, &[0.5]);
    let contours = contours.map_err(|e| {
        Error::config("the outline", format!("cannot be found ({e})"), "report this as a bug")
    })?;
    let polygons = contours.iter().flat_map(|contour| &contour.geometry().0);
    let rings = polygons.flat_map(|polygon| std::iter::once(polygon.exterior()).chain(polygon.interiors()));
    Ok(rings
        .map(|ring| {
            // The first point comes again at the end, where `Z` says it.
            let points = ring.0.iter().skip(1).map(|point| format!("{:.2} {:.2}", point.x, point.y));
            format!("M{}Z", points.collect::<Vec<_>>().join("L"))
        })
        .collect())
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
        let paths = outlines(&[square, ring, vec![0.0; 64]].concat(), [8, 8]).unwrap();
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
        assert_eq!(paths[2], "");
        assert!(outlines(&[0.0; 65], [8, 8]).is_err() && outlines(&[f32::NAN; 64], [8, 8]).is_err());
    }
}
