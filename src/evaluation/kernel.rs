use rayon::prelude::*;

use crate::estimate::Estimate;
use crate::rng::{Domain, Noise};
use crate::{Error, Result};

/// Parts into which both sets are divided, so that their scatter gives the error.
const BLOCKS: usize = 10;

/// The kernel distance of two sets of features `[n, width]` (Bińkowski et al. 2018; "KID" with Inception
/// features).
///
/// The squared maximum mean discrepancy `E k(x, x') + E k(y, y') - 2·E k(x, y)` with the kernel `k(x, y) =
/// (x·y/width + 1)³`, estimated without bias (their equation 4: no row is paired with itself), so it may be
/// negative. Both sets are dealt out into ten blocks, fewer for less than twenty rows, in a random order that is always the
/// same: images that were asked for by class come with the classes in turn. The result is the mean over blocks and its
/// standard error. Unlike a Fréchet distance its expectation does not depend on the number of images.
///
/// # Errors
/// [`Error::Config`] for fewer than four rows: two blocks need two each.
pub fn kernel_distance(a: &[f32], b: &[f32], width: usize) -> Result<Estimate> {
    let n = a.len().min(b.len()) / width.max(1);
    if n < 4 {
        return Err(Error::config(
            "a kernel distance",
            format!("needs more than {n} images"),
            "use 4 or more",
        ));
    }
    let blocks = BLOCKS.min(n / 2);
    let orders = [a, b].map(|set| {
        let rows = set.len() / width;
        Noise::new(0).domain(Domain::Probe).stream(rows as u32).permutation(rows)
    });
    let distances: Vec<f64> = (0..blocks)
        .into_par_iter()
        .map(|block| {
            let dealt = |set: &[f32], order: &[usize]| -> Vec<Vec<f32>> {
                let rows = order.iter().skip(block).step_by(blocks);
                rows.map(|row| set[row * width..(row + 1) * width].to_vec()).collect()
            };
            let (x, y) = (dealt(a, &orders[0]), dealt(b, &orders[1]));
            within(&x) + within(&y) - 2.0 * between(&x, &y)
        })
        .collect();
    Ok(Estimate::of(distances))
}

/// `(x·y/width + 1)³`.
fn kernel(x: &[f32], y: &[f32]) -> f64 {
    let product: f64 = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    (product / x.len() as f64 + 1.0).powi(3)
}

/// The mean over pairs of different rows.
fn within(rows: &[Vec<f32>]) -> f64 {
    let pairs = (rows.len() * (rows.len() - 1) / 2) as f64;
    let of_row = |(i, x): (usize, &Vec<f32>)| rows[..i].iter().map(|y| kernel(x, y)).sum::<f64>();
    rows.iter().enumerate().map(of_row).sum::<f64>() / pairs
}

/// The mean over pairs of one row of each.
fn between(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    let of_row = |x: &Vec<f32>| b.iter().map(|y| kernel(x, y)).sum::<f64>();
    a.iter().map(of_row).sum::<f64>() / (a.len() * b.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` numbers from `N(mean, 1)`.
    fn normals(seed: u64, n: usize, mean: f32) -> Vec<f32> {
        Noise::new(seed).normal(0, n, 1).into_iter().map(|z| z + mean).collect()
    }

    /// In one dimension, `N(0, 1)` against `N(m, 1)`: the moments up to the third give `m⁶ + 9·m⁴ + 12·m²`.
    fn closed_form(m: f64) -> f64 {
        m.powi(6) + 9.0 * m.powi(4) + 12.0 * m * m
    }

    /// Over 200 pairs of sets the estimate has the closed form as its mean, and the scatter that it claims.
    #[test]
    fn shifted_normals_have_their_closed_form_on_average_and_the_error_is_honest() {
        for mean in [0.0, 0.5] {
            let found: Vec<Estimate> = (0..200)
                .map(|i| {
                    let (a, b) = (normals(2 * i, 200, 0.0), normals(2 * i + 1, 300, mean));
                    kernel_distance(&a, &b, 1).unwrap()
                })
                .collect();
            let over_sets = Estimate::of(found.iter().map(|e| e.mean));
            let off = (over_sets.mean - closed_form(f64::from(mean))).abs();
            assert!(off < 4.0 * over_sets.error, "{over_sets:?} at {mean}");
            let scatter = over_sets.error * 200_f64.sqrt();
            let claimed = (found.iter().map(|e| e.error.powi(2)).sum::<f64>() / 200.0).sqrt();
            assert!((claimed / scatter - 1.0).abs() < 0.2, "{claimed} claimed, {scatter} found at {mean}");
        }
    }

    /// Ten kinds in turn, as images of each class are drawn, are no further from others than in any other order: a block
    /// must not be of one kind.
    #[test]
    fn rows_may_come_in_turn() {
        let of_kinds = |seed| {
            let row = |(i, z): (usize, f32)| z + (i % 10) as f32 - 4.5;
            normals(seed, 500, 0.0).into_iter().enumerate().map(row).collect::<Vec<f32>>()
        };
        let shuffled = |mut set: Vec<f32>| {
            Noise::new(5).stream(set[0].to_bits()).shuffle(&mut set);
            set
        };
        let (in_turn, others) = (of_kinds(1), shuffled(of_kinds(2)));
        let mixed = shuffled(in_turn.clone());
        let [found, expected] = [in_turn, mixed].map(|set| kernel_distance(&set, &others, 1).unwrap());
        assert!((found.mean - expected.mean).abs() < 3.0 * expected.error, "{found:?}, {expected:?}");
        assert!(found.error < 3.0 * expected.error, "{found:?}, {expected:?}");
    }

    #[test]
    fn the_width_divides_the_product() {
        let doubled = |set: Vec<f32>| set.into_iter().flat_map(|v| [v, v]).collect::<Vec<f32>>();
        let (a, b) = (normals(1, 60, 0.0), normals(2, 60, 0.7));
        let (one, two) =
            (kernel_distance(&a, &b, 1).unwrap(), kernel_distance(&doubled(a), &doubled(b), 2).unwrap());
        assert!((one.mean - two.mean).abs() < 1e-12 && (one.error - two.error).abs() < 1e-12);
    }

    /// Two points against two: `k(0, 1) = 1`, `k(2, 3) = 7³`, and the four between are 1, 1, 27 and 64.
    #[test]
    fn a_row_is_not_paired_with_itself() {
        let rows = |v: [f32; 2]| v.map(|v| vec![v]).to_vec();
        let (a, b) = (rows([0.0, 1.0]), rows([2.0, 3.0]));
        assert_eq!((within(&a), within(&b), between(&a, &b)), (1.0, 343.0, 93.0 / 4.0));
    }

    #[test]
    fn too_few_images_are_refused() {
        assert!(kernel_distance(&[1.0; 3], &[1.0; 9], 1).unwrap_err().to_string().contains("4 or more"));
        assert!(kernel_distance(&[1.0; 4], &[1.0; 4], 1).unwrap().mean.abs() < 1e-12);
    }
}
