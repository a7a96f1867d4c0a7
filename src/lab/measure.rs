//! How far what was learned or drawn is from the truth.

use burn::tensor::Tensor;
use serde::Serialize;

use super::{Lab, Point};
use crate::Result;
use crate::estimate::Estimate;
use crate::model::ScoreModel;
use crate::ops::read;
use crate::rng::{Domain, Noise};
use crate::toy::{GaussianMixture, points};

/// A model's score at `points`, of the data with noise `sigma`.
///
/// # Errors
/// [`Error::Device`](crate::Error::Device) if a read-back fails.
pub async fn score(model: &ScoreModel, points: &[Point], sigma: f64) -> Result<Vec<Point>> {
    let State { x, t, mean_coeff } = state(model, points, sigma);
    let score = read(model.score(x, &[t])).await?;
    Ok(score.chunks_exact(2).map(|s| [s[0], s[1]].map(|s| mean_coeff * f64::from(s))).collect())
}

/// What a model believes that `points` with noise `sigma` are.
///
/// # Errors
/// As [`score`].
pub async fn denoised(model: &ScoreModel, points: &[Point], sigma: f64) -> Result<Vec<Point>> {
    let State { x, t, .. } = state(model, points, sigma);
    let found = read(model.denoised(x, &[t])).await?;
    Ok(found.chunks_exact(2).map(|x| [x[0], x[1]].map(f64::from)).collect())
}

/// Points with noise as a model takes them.
struct State {
    x: Tensor<4>,
    t: f64,
    mean_coeff: f64,
}

fn state(model: &ScoreModel, points: &[Point], sigma: f64) -> State {
    let t = model.sde.time_of_sigma(sigma);
    let (mean_coeff, _) = model.sde.marginal_prob(t);
    let values: Vec<f32> = points.as_flattened().iter().map(|x| (mean_coeff * x) as f32).collect();
    State { x: model.upload(&values), t, mean_coeff }
}

/// The Fisher divergence `E |score - true score|²` over `n` points of the data with noise `sigma`, relative to
/// `E |true score|²`.
///
/// # Errors
/// As [`score`].
pub async fn fisher_divergence(
    model: &ScoreModel,
    target: &GaussianMixture,
    sigma: f64,
    (seed, n): (u64, usize),
) -> Result<f64> {
    let drawn = target.sample(&Noise::new(seed), n, sigma);
    let points = points(&drawn);
    let found = score(model, &points, sigma).await?;
    Ok(relative_error(&points, &found, target, sigma).unwrap_or(0.0))
}

/// What denoising score matching says of a model at one noise level, and the least that it could say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LevelLoss {
    /// The noise level.
    pub sigma: f64,
    /// `E |sigma·score(x_0 + sigma·z) + z|²` (Vincent 2011).
    pub loss: f64,
    /// The same of the true score: what noise hides cannot be known.
    pub least: f64,
}

/// The loss of a model at some noise levels, each over the same `n` points.
///
/// # Errors
/// As [`score`].
pub async fn by_level(
    model: &ScoreModel,
    target: &GaussianMixture,
    levels: &[f64],
    (seed, n): (u64, usize),
) -> Result<Vec<LevelLoss>> {
    let noise = Noise::new(seed);
    let clean = target.sample(&noise, n, 0.0);
    let z = noise.domain(Domain::Probe).normal(0, n, 2);
    let mut losses = vec![];
    for &sigma in levels {
        let noisy: Vec<f64> = clean.iter().zip(&z).map(|(x, z)| x + sigma * f64::from(*z)).collect();
        let places = points(&noisy);
        let loss = |scores: &[Point]| {
            let off = scores.as_flattened().iter().zip(&z).map(|(s, z)| (sigma * s + f64::from(*z)).powi(2));
            off.sum::<f64>() / n as f64
        };
        let truth: Vec<Point> = places.iter().map(|x| target.score(x, sigma)).map(|s| [s[0], s[1]]).collect();
        let found = score(model, &places, sigma).await?;
        losses.push(LevelLoss { sigma, loss: loss(&found), least: loss(&truth) });
    }
    Ok(losses)
}

/// `sum |found - true score|² / sum |true score|²` over some points; `None` of none.
pub fn relative_error(
    points: &[Point],
    found: &[Point],
    target: &GaussianMixture,
    sigma: f64,
) -> Option<f64> {
    let (mut error, mut size) = (0.0, 0.0);
    for (x, found) in points.iter().zip(found) {
        let truth = target.score(x, sigma);
        error += (found[0] - truth[0]).powi(2) + (found[1] - truth[1]).powi(2);
        size += truth[0].powi(2) + truth[1].powi(2);
    }
    (size > 0.0).then_some(error / size)
}

/// The share of `points` that each of some centres is the nearest to.
pub fn weights(points: &[Point], centres: &[Point]) -> Vec<Estimate> {
    let apart = |a: &Point, b: &Point| (a[0] - b[0]).hypot(a[1] - b[1]);
    let nearest = |x: &Point| {
        let distances = centres.iter().map(|centre| apart(x, centre)).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(k, _)| k)
    };
    let of: Vec<usize> = points.iter().map(nearest).collect();
    (0..centres.len()).map(|k| Estimate::of(of.iter().map(|of| f64::from(u8::from(*of == k))))).collect()
}

/// What drawn points are like.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// [`energy_distance`] to as many points of the world.
    pub distance: f64,
    /// The same of other points of the world.
    pub floor: f64,
    /// The share of each mode, where modes can be told apart.
    pub weights: Vec<Estimate>,
}

/// How far points that were drawn are from the world with noise `sigma`. Distances are those of the first thousand.
pub fn judge(lab: &Lab, drawn: &[Point], sigma: f64) -> Verdict {
    const MOST: usize = 1000;
    let some = &drawn[..drawn.len().min(MOST)];
    let exact = lab.noisy(sigma, 2 * some.len());
    let (exact, other) = exact.split_at(some.len());
    let modes: Vec<Point> = lab.setup.world.modes().iter().map(|mode| mode.at).collect();
    Verdict {
        distance: energy_distance(some, exact),
        floor: energy_distance(other, exact),
        weights: if modes.len() < 2 { vec![] } else { weights(drawn, &modes) },
    }
}

/// The energy distance `2·E|a - b| - E|a - a'| - E|b - b'|` of two sets of points, without the pairs of a point with itself
/// (Székely and Rizzo 2013): zero in the mean if both are of one distribution. Its cost is that of all pairs.
pub fn energy_distance(a: &[Point], b: &[Point]) -> f64 {
    let sum = |a: &[Point], b: &[Point]| -> f64 {
        a.iter().map(|a| b.iter().map(|b| (a[0] - b[0]).hypot(a[1] - b[1])).sum::<f64>()).sum()
    };
    let pairs = |a: &[Point]| sum(a, a) / (a.len() as f64 * (a.len() as f64 - 1.0)).max(1.0);
    2.0 * sum(a, b) / (a.len() * b.len()) as f64 - pairs(a) - pairs(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::Toy;

    fn drawn(toy: Toy, seed: u64) -> Vec<Point> {
        let drawn = toy.mixture().unwrap().sample(&Noise::new(seed), 400, 0.0);
        points(&drawn)
    }

    #[test]
    fn the_energy_distance_tells_distributions_apart() {
        assert!((energy_distance(&[[0.0, 0.0]], &[[3.0, 4.0]]) - 10.0).abs() < 1e-12);
        assert!((energy_distance(&[[0.0, 0.0], [1.0, 0.0]], &[[0.0, 0.0], [1.0, 0.0]]) + 1.0).abs() < 1e-12);
        let same =
            (1..=8).map(|seed| energy_distance(&drawn(Toy::Ring, 2 * seed), &drawn(Toy::Ring, 2 * seed + 1)));
        let mean = Estimate::of(same.collect::<Vec<_>>());
        assert!(mean.mean.abs() < 4.0 * mean.error, "{mean:?}");
        assert!(energy_distance(&drawn(Toy::Ring, 1), &drawn(Toy::TwoMoons, 2)) > 0.3);
    }

    #[test]
    fn shares_are_those_of_the_nearest_centre() {
        let shares = weights(&[[0.0, 0.0], [0.9, 0.0], [3.0, 0.0], [1.1, 0.2]], &[[0.0, 0.0], [2.0, 0.0]]);
        assert_eq!([shares[0].mean, shares[1].mean], [0.5, 0.5]);
    }
}
