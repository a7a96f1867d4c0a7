//! What the figures in the plane share: a mixture whose score is known, networks that learn it, and how far off they are.

use burn::tensor::Tensor;

use super::Studio;
use crate::model::{PreconditioningChoice, ScoreModel};
use crate::network::MlpConfig;
use crate::objective::Objective;
use crate::ops::read;
use crate::rng::Noise;
use crate::sde::VeSde;
use crate::toy::GaussianMixture;
use crate::training::Fit;
use crate::{Error, Result};

/// Deviation of each of the two modes.
pub const MODE: f64 = 0.2;

/// Largest and least noise level of the diffusion.
pub const LEVELS: [f64; 2] = [4.0, 0.05];

/// `1/5 N((-1, -1), .04 I) + 4/5 N((1, 1), .04 I)`: NCSN's example of a low density between two modes, a fifth of its size.
pub fn two_modes() -> Result<GaussianMixture> {
    let round = vec![vec![MODE * MODE, 0.0], vec![0.0, MODE * MODE]];
    GaussianMixture::new(&[0.2, 0.8], &[vec![-1.0; 2], vec![1.0; 2]], &[round.clone(), round])
}

/// The training of a perceptron on points of the plane by `objective`.
pub fn fit(studio: &Studio, objective: Objective, steps: usize) -> Fit {
    let [sigma_max, sigma_min] = LEVELS;
    Fit {
        objective,
        network: MlpConfig::default().into(),
        sde: VeSde { sigma_min, sigma_max, ..VeSde::default() }.into(),
        preconditioning: PreconditioningChoice::Edm,
        sigma_data: 1.0,
        shape: [2, 1, 1],
        steps,
        batch: 256,
        learning_rate: 2e-3,
        seed: studio.seed,
    }
}

/// A model's score at `points` in the plane, of the data with noise `sigma`.
pub async fn score(model: &ScoreModel, points: &[[f64; 2]], sigma: f64) -> Result<Vec<[f64; 2]>> {
    let values: Vec<f32> = points.as_flattened().iter().map(|x| *x as f32).collect();
    let x: Tensor<4> = model.upload(&values);
    let score = read(model.score(x, &[model.sde.time_of_sigma(sigma)])).await?;
    Ok(score.chunks_exact(2).map(|s| [s[0], s[1]].map(f64::from)).collect())
}

/// The Fisher divergence `E |score - true score|²` of the data with noise `sigma`, relative to `E |true score|²`.
pub async fn fisher_divergence(
    model: &ScoreModel,
    target: &GaussianMixture,
    sigma: f64,
    studio: &Studio,
) -> Result<f64> {
    if studio.cancel.is_cancelled() {
        return Err(Error::Cancelled { step: 0 });
    }
    let drawn = target.sample(&Noise::new(studio.seed + 1), 20 * studio.count, sigma);
    let points: Vec<[f64; 2]> = drawn.chunks_exact(2).map(|x| [x[0], x[1]]).collect();
    let found = score(model, &points, sigma).await?;
    let (mut error, mut size) = (0.0, 0.0);
    for (x, found) in points.iter().zip(found) {
        let truth = target.score(x, sigma);
        error += (found[0] - truth[0]).powi(2) + (found[1] - truth[1]).powi(2);
        size += truth[0].powi(2) + truth[1].powi(2);
    }
    Ok(error / size)
}
