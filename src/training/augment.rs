//! Augmentation that does not leak (Karras et al. 2022, appendix F.2): images are mirrored, turned, stretched and moved, and
//! the network is told how. So it learns from more views than there are images, and where it is told of none it draws
//! images as they are.

use std::f64::consts::PI;

use crate::network::Moved;
use crate::rng::Philox;

/// How one image is moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmentation {
    /// What the network is told.
    pub moved: Moved,
    /// The pixel at `place` is taken from `matrix·(place - shift)`, both measured from the centre in pixels.
    matrix: Matrix,
    shift: [f64; 2],
}

type Matrix = [[f64; 2]; 2];

fn product([[a, b], [c, d]]: Matrix, [[p, q], [r, s]]: Matrix) -> Matrix {
    [[a * p + b * r, a * q + b * s], [c * p + d * r, c * q + d * s]]
}

fn rotation(angle: f64) -> Matrix {
    let (sin, cos) = angle.sin_cos();
    [[cos, -sin], [sin, cos]]
}

fn stretched(x: f64, y: f64) -> Matrix {
    [[x, 0.0], [0.0, y]]
}

/// Deviation of the binary logarithm of sizes, as published.
const SIZE_STD: f64 = 0.2;
/// Deviation of the shift as a share of the image's width.
const SHIFT_STD: f64 = 0.125;

impl Augmentation {
    /// Draws each of six kinds with probability `share`: mirrored left to right and top to bottom (each half of the time),
    /// another size, turned, stretched along a direction, and shifted. `None` if the image stays as it is.
    pub fn draw(stream: &mut Philox, share: f64, width: usize) -> Option<Self> {
        let happens = |share: f64, stream: &mut Philox| stream.uniform() < share;
        let mut moved = Moved::default();
        // What takes all changes so far back, the last one first.
        let (mut back, mut shift) = (stretched(1.0, 1.0), [0.0; 2]);
        for (told, mirrored) in moved.iter_mut().zip([stretched(-1.0, 1.0), stretched(1.0, -1.0)]) {
            if happens(share / 2.0, stream) {
                *told = 1.0;
                back = product(back, mirrored);
            }
        }
        if happens(share, stream) {
            let w = stream.normal();
            moved[2] = w as f32;
            let smaller = (-SIZE_STD * w).exp2();
            back = product(back, stretched(smaller, smaller));
        }
        if happens(share, stream) {
            let angle = PI * (2.0 * stream.uniform() - 1.0);
            [moved[3], moved[4]] = [angle.cos() - 1.0, angle.sin()].map(|v| v as f32);
            back = product(back, rotation(-angle));
        }
        if happens(share, stream) {
            let (w, turned) = (stream.normal(), happens(0.5, stream));
            let angle = if turned { PI * (2.0 * stream.uniform() - 1.0) } else { 0.0 };
            // The double angle: to stretch along one direction is to compress along the one across it. With the angle itself, as
            // published, two ways to stretch would be told alike.
            [moved[5], moved[6]] = [(2.0 * angle).cos(), (2.0 * angle).sin()].map(|v| (w * v) as f32);
            let along = (-SIZE_STD * w).exp2();
            let turns = [rotation(angle), stretched(along, 1.0 / along), rotation(-angle)];
            back = turns.into_iter().fold(back, product);
        }
        if happens(share, stream) {
            let drawn = [stream.normal(), stream.normal()];
            [moved[7], moved[8]] = drawn.map(|v| v as f32);
            shift = drawn.map(|v| SHIFT_STD * width as f64 * v);
        }
        (moved != Moved::default()).then_some(Self { moved, matrix: back, shift })
    }

    /// Where the pixel at `(x, y)` is taken from.
    fn source(&self, x: f64, y: f64) -> [f64; 2] {
        let (x, y) = (x - self.shift[0], y - self.shift[1]);
        self.matrix.map(|[a, b]| a * x + b * y)
    }

    /// `image`, planes of `height` rows of `width` values in `[0, 1)`, moved. Between pixels it is interpolated by cubic
    /// splines (Keys 1981), beyond its edge it is mirrored.
    pub fn apply(&self, image: &mut [f32], [height, width]: [usize; 2]) {
        let original = image.to_vec();
        let area = height * width;
        let centre = [width, height].map(|size| (size as f64 - 1.0) / 2.0);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let from = self.source(x as f64 - centre[0], y as f64 - centre[1]);
            let columns = taps(from[0] + centre[0], width);
            let rows = taps(from[1] + centre[1], height);
            for (plane, target) in original.chunks_exact(area).zip(image.chunks_exact_mut(area)) {
                let row = |(row, weight): (usize, f64)| {
                    let of = |(column, weight): (usize, f64)| weight * f64::from(plane[row * width + column]);
                    weight * columns.map(of).iter().sum::<f64>()
                };
                let value = rows.map(row).iter().sum::<f64>();
                target[y * width + x] = (value as f32).clamp(0.0, BELOW_ONE);
            }
        }
    }
}

const BELOW_ONE: f32 = 1.0 - f32::EPSILON / 2.0;

/// The four pixels of a row of `n` around `position`, and how much each weighs there.
fn taps(position: f64, n: usize) -> [(usize, f64); 4] {
    let (first, t) = (position.floor() as i64 - 1, position - position.floor());
    let near = |d: f64| 1.5 * d * d * d - 2.5 * d * d + 1.0;
    let far = |d: f64| -0.5 * d * d * d + 2.5 * d * d - 4.0 * d + 2.0;
    let weights = [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)];
    std::array::from_fn(|k| (reflected(first + k as i64, n), weights[k]))
}

/// The pixel that stands at `index`, the row being mirrored again and again at the middles of its end pixels.
fn reflected(index: i64, n: usize) -> usize {
    let period = 2 * (n as i64 - 1).max(1);
    let place = index.rem_euclid(period);
    (place.min(period - place) as usize).min(n - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Noise;

    const SIZE: usize = 33;

    /// A smooth picture that no map but the identity leaves as it is, at a point measured from the centre.
    fn picture(x: f64, y: f64) -> f64 {
        0.5 + 0.2 * (0.21 * x + 0.1 * y).sin() + 0.2 * (0.17 * y - 0.4).cos() * (0.1 * x).sin()
    }

    fn pixels() -> Vec<f32> {
        let centre = (SIZE as f64 - 1.0) / 2.0;
        let at = |i: usize| picture((i % SIZE) as f64 - centre, (i / SIZE) as f64 - centre) as f32;
        (0..SIZE * SIZE).map(at).collect()
    }

    /// Where the pixel `(x, y)` of an image moved as `told` comes from: each of the changes taken back, the last one first, as
    /// Karras et al. (2022, table 6) define them.
    fn origin(told: Moved, [x, y]: [f64; 2]) -> [f64; 2] {
        let [left_right, top_bottom, size, cos, sin, along_x, along_y, shift_x, shift_y] =
            told.map(f64::from);
        let (x, y) = (x - 0.125 * SIZE as f64 * shift_x, y - 0.125 * SIZE as f64 * shift_y);
        let (w, angle) = (along_x.hypot(along_y), along_y.atan2(along_x) / 2.0);
        let (u, v) = (x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin());
        let (u, v) = (u / (0.2 * w).exp2(), v * (0.2 * w).exp2());
        let (x, y) = (u * angle.cos() - v * angle.sin(), v * angle.cos() + u * angle.sin());
        let (cos, sin) = (cos + 1.0, sin);
        let (x, y) = (cos * x + sin * y, cos * y - sin * x);
        let (x, y) = (x / (0.2 * size).exp2(), y / (0.2 * size).exp2());
        [x * (1.0 - 2.0 * left_right), y * (1.0 - 2.0 * top_bottom)]
    }

    #[test]
    fn what_the_network_is_told_is_what_happened() {
        let (mut seen, centre) = (0, (SIZE as f64 - 1.0) / 2.0);
        for seed in 0..200 {
            let Some(how) = Augmentation::draw(&mut Noise::new(seed).stream(0), 0.5, SIZE) else { continue };
            let mut moved = pixels();
            how.apply(&mut moved, [SIZE, SIZE]);
            for (i, value) in moved.iter().enumerate() {
                let place = [(i % SIZE) as f64 - centre, (i / SIZE) as f64 - centre];
                let [x, y] = origin(how.moved, place);
                // Beyond the edge it is mirrored, next to it cubic splines read beyond it.
                if x.abs().max(y.abs()) < centre - 2.0 {
                    assert!((f64::from(*value) - picture(x, y)).abs() < 2e-3, "{how:?} at {place:?}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 50_000, "{seen} pixels");
    }

    #[test]
    fn each_kind_has_its_share_and_none_leaves_the_image() {
        let (n, share) = (20_000, 0.15);
        let draw = |seed| Augmentation::draw(&mut Noise::new(seed).stream(0), share, SIZE);
        let moved: Vec<Moved> = (0..n).map(|seed| draw(seed).map_or([0.0; 9], |how| how.moved)).collect();
        for (kind, expected) in [
            (0..1, share / 2.0),
            (1..2, share / 2.0),
            (2..3, share),
            (3..5, share),
            (5..7, share),
            (7..9, share),
        ] {
            let found = moved.iter().filter(|m| m[kind.clone()].iter().any(|v| *v != 0.0)).count();
            let found = found as f64 / n as f64;
            let error = (expected * (1.0 - expected) / n as f64).sqrt();
            assert!((found - expected).abs() < 4.0 * error, "{kind:?}: {found}");
        }
        assert!(
            (0..100).all(|seed| Augmentation::draw(&mut Noise::new(seed).stream(0), 0.0, SIZE).is_none())
        );
    }

    #[test]
    fn rows_of_any_length_are_mirrored_at_their_ends() {
        let row = |n, from: i64| (from..from + 8).map(|i| reflected(i, n)).collect::<Vec<_>>();
        assert_eq!(row(3, -3), [1, 2, 1, 0, 1, 2, 1, 0]);
        assert_eq!(row(1, -3), [0; 8]);
    }
}
