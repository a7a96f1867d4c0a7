use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::denoise::denoising;
use super::dsm::T_MIN;
use super::{Loss, Models, Step};
use crate::ops::each;

/// Score matching with the likelihood weighting `g²`, its times drawn by importance (Song et al. 2021b, equation 7 and
/// section 4): `½·∫ g(t)²·E |score(x_t, t) - grad log p(x_t | x_0)|² dt`.
///
/// Up to a constant an upper bound of the negative log-likelihood, here in nats per dimension. Times are drawn with a density
/// in proportion to `g²/std²`, which makes every time count alike. As `d ln(sigma²)/dt = g²/std²` for every diffusion
/// with a linear drift, the noise levels are even in `ln(sigma)`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Likelihood {}

impl Loss for Likelihood {
    /// In the noise `eps = (x - D)/sigma` the integrand over `ln(sigma²)` is `½·|eps error|²`.
    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let sde = &*models.student.sde;
        let [least, most] = [T_MIN, 1.0].map(|t| sde.sigma(t).ln());
        let (uniform, _) = step.levels();
        let sigma = each(&uniform, |u| (least + u * (most - least)).exp());
        denoising(models.student, step, &sigma, &each(&sigma, |s| (most - least) / (s * s)))
    }
}
