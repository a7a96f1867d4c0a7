//! A small set of drawn digits, for machines without data: tests, first tries, the page.
//!
//! Seven-segment figures with random place, size, slant and stroke. A model that learns anything learns
//! these within minutes, and the classes are exact.

use crate::images::ImageSet;

/// The segments of each digit, bit 0 to 6: top, upper right, lower right, bottom, lower left, upper left, middle.
const SEGMENTS: [u8; 10] = [0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f];

/// The ends of each segment in a box from (-1, -2) to (1, 2), y downwards.
const ENDS: [[f32; 4]; 7] = [
    [-1., -2., 1., -2.],
    [1., -2., 1., 0.],
    [1., 0., 1., 2.],
    [-1., 2., 1., 2.],
    [-1., 0., -1., 2.],
    [-1., -2., -1., 0.],
    [-1., 0., 1., 0.],
];

/// `n` grey images of side `size` with labels 0 to 9 in turn, white on black.
///
/// Image `i` depends on `seed` and `i` alone, so a larger `n` only adds images. The random numbers are
/// made for this set and have nothing to do with the noise of the samplers.
pub fn digits_like(n: usize, size: usize, seed: u64) -> ImageSet {
    let labels: Vec<u8> = (0..n).map(|i| (i % 10) as u8).collect();
    let mut pixels = Vec::with_capacity(n * size * size);
    for (i, &label) in labels.iter().enumerate() {
        let mut state =
            seed.wrapping_mul(0xa076_1d64_78bd_642f) ^ (i as u64).wrapping_mul(0xe703_7ed1_a0b4_28db);
        draw(label, size, || next(&mut state), &mut pixels);
    }
    ImageSet {
        name: "synthetic".into(),
        licence: "CC0-1.0".into(),
        channels: 1,
        height: size,
        width: size,
        pixels,
        labels: Some(labels),
        class_names: Vec::new(),
    }
}

fn draw(digit: u8, size: usize, mut uniform: impl FnMut() -> f32, pixels: &mut Vec<u8>) {
    let mut between = |low: f32, high: f32| low + (high - low) * uniform();
    let unit = size as f32 / 28. * between(3.2, 4.2);
    let narrow = between(0.75, 1.1);
    let slant = between(-0.05, 0.3);
    let stroke = unit * between(0.22, 0.4);
    let middle = [(); 2].map(|()| size as f32 / 2. * between(0.92, 1.08));

    let strokes: Vec<[f32; 4]> = (0..7)
        .filter(|segment| SEGMENTS[digit as usize] >> segment & 1 == 1)
        .map(|segment| {
            let [x0, y0, x1, y1] = ENDS[segment];
            let place = |x: f32, y: f32| [middle[0] + unit * (narrow * x - slant * y), middle[1] + unit * y];
            let ([x0, y0], [x1, y1]) = (place(x0, y0), place(x1, y1));
            [x0, y0, x1, y1]
        })
        .collect();
    for i in 0..size * size {
        let (x, y) = ((i % size) as f32 + 0.5, (i / size) as f32 + 0.5);
        let distance = strokes.iter().map(|&ends| to_segment(x, y, ends)).fold(f32::INFINITY, f32::min);
        let ink = (stroke - distance + 0.5).clamp(0., 1.);
        pixels.push((ink * 255. + 0.5) as u8);
    }
}

/// Distance from a point to a segment.
fn to_segment(x: f32, y: f32, [x0, y0, x1, y1]: [f32; 4]) -> f32 {
    let (dx, dy) = (x1 - x0, y1 - y0);
    let along = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy).max(f32::MIN_POSITIVE);
    let along = along.clamp(0., 1.);
    (x - x0 - along * dx).hypot(y - y0 - along * dy)
}

/// SplitMix64, as a number in [0, 1).
fn next(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_depend_on_the_seed_and_their_number_only() {
        let many = digits_like(30, 28, 7);
        assert_eq!(digits_like(12, 28, 7), many.clone().truncated(12));
        assert_ne!(digits_like(30, 28, 8).pixels, many.pixels);
        assert_ne!(many.image(0), many.image(10), "the same digit is drawn differently");
        assert_eq!((many.len(), many.shape(), many.n_classes()), (30, [1, 28, 28], Some(10)));
    }

    #[test]
    fn digits_stay_inside_and_can_be_told_apart() {
        for size in [12, 14, 28, 32] {
            let n = 300;
            let set = digits_like(n, size, 1);
            let area = size * size;
            let mut means = vec![vec![0f32; area]; 10];
            for i in 0..n {
                let image = set.image(i);
                let edge = (0..size).flat_map(|k| [image[k], image[area - 1 - k], image[k * size]]);
                assert_eq!(edge.max(), Some(0), "image {i} of side {size} touches the edge");
                means[i % 10].iter_mut().zip(image).for_each(|(m, &p)| *m += p as f32);
            }
            let test = digits_like(n, size, 2);
            let right = (0..n).filter(|&i| {
                let far = |m: &[f32]| -> f32 {
                    m.iter().zip(test.image(i)).map(|(m, &p)| (m / 30. - p as f32).powi(2)).sum()
                };
                let near = (0..10).min_by(|&a, &b| far(&means[a]).total_cmp(&far(&means[b])));
                near == Some(i % 10)
            });
            let right = right.count();
            assert!(right > n * 7 / 10, "nearest mean knows {right} of {n} at side {size}");
        }
    }
}
