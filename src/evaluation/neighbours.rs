use rayon::prelude::*;

use crate::{Error, Result};

/// The neighbour whose distance is the radius of a point's ball (the paper's choice).
const K: usize = 3;

/// Precision and recall of samples with features `samples` `[n, width]` against real images with `real`
/// `[m, width]` (Kynkäänniemi et al. 2019, with k = 3).
///
/// Where a set has mass is taken to be the union of balls around its points, each reaching to its third
/// nearest neighbour in the set. Precision is the share of samples inside that of the real images: how many
/// look real. Recall is the share of real images inside that of the samples: how much of the variety is
/// reached. Balls shrink as sets grow, so as in the paper both have the same number, `min(n, m)`; the larger
/// one is thinned evenly.
///
/// # Errors
/// [`Error::Config`] for fewer than four rows.
pub fn precision_recall(samples: &[f32], real: &[f32], width: usize) -> Result<(f64, f64)> {
    let n = samples.len().min(real.len()) / width.max(1);
    if n <= K {
        return Err(Error::config(
            "precision and recall",
            format!("need more than {n} images"),
            "use 4 or more",
        ));
    }
    let (samples, real) = (thinned(samples, n, width), thinned(real, n, width));
    Ok((share_inside(&samples, &real), share_inside(&real, &samples)))
}

/// `n` rows at equal steps.
fn thinned(set: &[f32], n: usize, width: usize) -> Vec<&[f32]> {
    let rows = set.len() / width;
    (0..n).map(|i| i * rows / n).map(|row| &set[row * width..(row + 1) * width]).collect()
}

/// The share of `points` in the ball of a point of `set`, its edge included.
fn share_inside(points: &[&[f32]], set: &[&[f32]]) -> f64 {
    let radii: Vec<f32> = set.par_iter().map(|x| radius_sq(x, set)).collect();
    let is_inside = |point: &&&[f32]| set.iter().zip(&radii).any(|(x, r)| distance_sq(point, x) <= *r);
    points.par_iter().filter(is_inside).count() as f64 / points.len() as f64
}

/// The squared distance from `x`, a point of `set`, to its `K`-th nearest neighbour besides itself.
fn radius_sq(x: &[f32], set: &[&[f32]]) -> f32 {
    // Itself is the nearest, at distance zero.
    let mut nearest = [f32::INFINITY; K + 1];
    for y in set {
        let mut distance = distance_sq(x, y);
        for place in &mut nearest {
            if distance < *place {
                std::mem::swap(place, &mut distance);
            }
        }
    }
    nearest[K]
}

fn distance_sq(x: &[f32], y: &[f32]) -> f32 {
    // Eight sums side by side, which the compiler can put into one register.
    const LANES: usize = 8;
    let mut sums = [0.0_f32; LANES];
    let (x, y) = (x.chunks(LANES), y.chunks(LANES));
    for (x, y) in x.zip(y) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += (x - y) * (x - y);
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Noise;

    #[test]
    fn identical_sets_are_all_inside_and_distant_ones_all_outside() {
        let a = Noise::new(3).normal(0, 60, 5);
        let far: Vec<f32> = a.iter().map(|v| v + 100.0).collect();
        assert_eq!(precision_recall(&a, &a, 5).unwrap(), (1.0, 1.0));
        assert_eq!(precision_recall(&a, &far, 5).unwrap(), (0.0, 0.0));
    }

    /// Real points at 0, 1, 2, 3 and at 100 to 103, samples only near the first four: all of them look real,
    /// half of the real ones are reached.
    #[test]
    fn a_forgotten_mode_costs_recall_and_strange_samples_cost_precision() {
        let real = [0.0, 1.0, 2.0, 3.0, 100.0, 101.0, 102.0, 103.0];
        let forgetful = [0.1, 0.9, 1.1, 1.9, 2.1, 2.9, 0.5, 1.5];
        let (precision, recall) = precision_recall(&forgetful, &real, 1).unwrap();
        assert_eq!((precision, recall), (1.0, 0.5));
        let (precision, recall) = precision_recall(&real, &forgetful, 1).unwrap();
        assert_eq!((precision, recall), (0.5, 1.0));
    }

    /// The third neighbour of 0 among 0, 1, 3, 6, 10 is 6; of 10 it is 1. A repeated point is a neighbour.
    #[test]
    fn the_radius_reaches_the_third_neighbour() {
        let points = [[0.0_f32], [1.0], [3.0], [6.0], [10.0]];
        let set: Vec<&[f32]> = points.iter().map(|p| &p[..]).collect();
        assert_eq!([0, 2, 4].map(|i| radius_sq(set[i], &set)), [36.0, 9.0, 81.0]);
        assert_eq!(radius_sq(&[1.0], &[&[1.0], &[1.0], &[1.0], &[4.0], &[9.0]]), 9.0);
    }

    #[test]
    fn the_larger_set_is_thinned_evenly_and_few_images_are_refused() {
        let set: Vec<f32> = (0..10).map(|i| i as f32).collect();
        assert_eq!(thinned(&set, 4, 1).concat(), [0.0, 2.0, 5.0, 7.0]);
        assert!(precision_recall(&set[..3], &set, 1).unwrap_err().to_string().contains("4 or more"));
    }
}
