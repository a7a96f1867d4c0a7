//! What a score is: it points to where the density grows, and says how fast.

use super::{Lab, Number, Setup};
use crate::Result;
use crate::cancel::CancelToken;
use crate::estimate::Estimate;
use crate::lab::measure::score;
use crate::lab::{Mode, Point, World};
use crate::rng::Noise;
use crate::toy::points;

const MEAN: Point = [1.0, -1.0];
const STD: f64 = 1.5;
/// Noise that hardly changes anything.
const LEVEL: f64 = 0.05;

pub fn setup() -> Setup {
    Setup { world: World::Modes(vec![Mode { weight: 1.0, at: MEAN, std: STD }]), ..Setup::default() }
}

/// At a distance of two deviations the score of a Gaussian is two over the deviation long. Over the data its mean is zero,
/// and that of its product with the place is minus the dimension, whatever the distribution (Stein's identity).
pub async fn measure(lab: &Lab, _: &CancelToken) -> Result<Vec<Number>> {
    let model = lab.true_model();
    let there = score(&model, &[[MEAN[0] + 2.0 * STD, MEAN[1]]], LEVEL).await?[0];
    let length = there[0].hypot(there[1]);
    let drawn = lab.truth.sample(&Noise::new(lab.setup.seed), lab.setup.count, LEVEL);
    let points = points(&drawn);
    let scores = score(&model, &points, LEVEL).await?;
    let product = points.iter().zip(&scores).map(|(x, s)| x[0] * s[0] + x[1] * s[1]);
    let expected = 2.0 * STD / (STD * STD + LEVEL * LEVEL);
    Ok(vec![
        Number::new("length two deviations off", length, [0.999 * expected, 1.001 * expected]),
        Number::near("mean over the data", Estimate::of(scores.iter().map(|s| s[0])), 0.0),
        Number::near("mean product with the place", Estimate::of(product), -2.0),
    ])
}
