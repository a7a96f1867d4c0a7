//! What the figures in the plane share: a mixture whose score is known, networks that learn it, and how far off they are.

use super::Studio;
use crate::lab::measure;
use crate::learning::Fit;
use crate::model::{PreconditioningChoice, ScoreModel};
use crate::network::MlpConfig;
use crate::objective::Objective;
use crate::sde::VeSde;
use crate::toy::GaussianMixture;
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

/// The relative Fisher divergence of a model from `target` with noise `sigma`.
pub async fn fisher_divergence(
    model: &ScoreModel,
    target: &GaussianMixture,
    sigma: f64,
    studio: &Studio,
) -> Result<f64> {
    if studio.cancel.is_cancelled() {
        return Err(Error::Cancelled { step: 0 });
    }
    measure::fisher_divergence(model, target, sigma, (studio.seed + 1, 20 * studio.count)).await
}
