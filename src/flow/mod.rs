//! The probability-flow ODE, a path without randomness between images and noise: followed in either direction,
//! to encode and decode, to walk between two images, and to measure how probable one is. A consistency function leaps
//! along it, from noise to images.

mod bound;
mod interpolate;
mod likelihood;
mod solve;
mod steps;

pub use bound::Bound;
pub use interpolate::{
    Endpoint, check_temperature, codes, codes_between, encoder_for, interpolate, normals_between, sheet,
    slerp,
};
pub use likelihood::{Density, Likelihood, Probe, Product, Trace};
pub use steps::Steps;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::model::ScoreModel;
use crate::ops::{Dual, combine, each};
use crate::run::Run;
use crate::{Error, Result};
use solve::{Parts, solve};

/// Refuses a time that is no start of a flow.
fn check_eps(eps: f64) -> Result<()> {
    match eps > 0.0 && eps < 1.0 {
        true => Ok(()),
        false => Err(Error::config("eps", format!("= {eps} is not allowed"), "use 1e-6 to 1e-2")),
    }
}

/// How accurately the ODE is solved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tolerance {
    /// Largest local error relative to the state.
    pub rtol: f64,
    /// Largest local error in the model's units.
    pub atol: f64,
    /// Steps after which the solver gives up.
    pub max_steps: usize,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { rtol: 1e-3, atol: 1e-3, max_steps: 1000 }
    }
}

impl Tolerance {
    /// The images that the states `prior` `[n, c, h, w]` at `t = 1` lead to, with the final denoising step, in the
    /// model's units.
    ///
    /// # Errors
    /// As [`encode`].
    pub async fn denoised(
        &self,
        model: &ScoreModel,
        prior: Tensor<4>,
        run: &mut Run<'_>,
    ) -> Result<Tensor<4>> {
        let eps = model.sde.sampling_eps();
        let x = integrate(model, prior, [1.0, eps], *self, run).await?;
        Ok(model.denoised(x, &[eps]))
    }
}

/// The latent code of `images`: the state at `t = 1` that the probability-flow ODE leads to.
///
/// `images` `[n, c, h, w]` are pixel values in `[0, 1]`; the code is in the model's units and about
/// normal with the prior's mean and deviation (Song et al. 2021, "uniquely identifiable encoding").
///
/// # Errors
/// [`Error::Cancelled`], [`Error::TooManySteps`], [`Error::NonFinite`], and [`Error::Config`] for a
/// model that has learned no score.
pub async fn encode(
    model: &ScoreModel,
    images: Tensor<4>,
    tolerance: Tolerance,
    run: &mut Run<'_>,
) -> Result<Tensor<4>> {
    let eps = model.sde.sampling_eps();
    let x = model.range.encode(images) * model.sde.marginal_prob(eps).0;
    integrate(model, x, [eps, 1.0], tolerance, run).await
}

/// The images `[n, c, h, w]`, pixel values in `[0, 1]`, of latent codes.
///
/// With `denoise` the last noise of the model is removed (Tweedie), which looks best; without it,
/// `decode` is the inverse of [`encode`] up to the tolerance.
///
/// # Errors
/// As [`encode`].
pub async fn decode(
    model: &ScoreModel,
    latents: Tensor<4>,
    tolerance: Tolerance,
    denoise: bool,
    run: &mut Run<'_>,
) -> Result<Tensor<4>> {
    let eps = model.sde.sampling_eps();
    let x = match denoise {
        true => tolerance.denoised(model, latents, run).await?,
        false => {
            let x = integrate(model, latents, [1.0, eps], tolerance, run).await?;
            x / model.sde.marginal_prob(eps).0
        }
    };
    Ok(model.range.decode(x))
}

/// The right-hand side of the probability-flow ODE, each sample at its own time. One NFE.
fn flow(model: &ScoreModel, x: Tensor<4>, t: &[f64]) -> Tensor<4> {
    let score = model.score(x.clone(), t);
    let [of_x, of_score] = flow_factors(model, t);
    combine(&[(x, &of_x), (score, &of_score)])
}

/// [`flow`], and how it changes along the tangent of `x`. One NFE.
fn flow_dual(model: &ScoreModel, x: Dual, t: &[f64]) -> Dual {
    let score = model.score_dual(x.clone(), t);
    let [of_x, of_score] = flow_factors(model, t);
    Dual::combine(&[(x, &of_x), (score, &of_score)])
}

fn flow_factors(model: &ScoreModel, t: &[f64]) -> [Vec<f64>; 2] {
    [each(t, |t| model.sde.probability_flow(t).x), each(t, |t| model.sde.probability_flow(t).score)]
}

/// Solves the probability-flow ODE from `from` to `to` for every sample of `x`, in either direction.
async fn integrate(
    model: &ScoreModel,
    x: Tensor<4>,
    ends: [f64; 2],
    tolerance: Tolerance,
    run: &mut Run<'_>,
) -> Result<Tensor<4>> {
    let slope_at = |[x]: &Parts<1>, t: &[f64]| [flow(model, x.clone(), t)];
    let [x] = solve(model, slope_at, [x], ends, tolerance, run).await?;
    Ok(x)
}
