use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::denoise::denoising;
use super::{Loss, Models, Step, require};
use crate::Result;
use crate::ops::each;

/// DDPM's simplified objective (Ho et al. 2020, equation 14): `E |z - eps(x_t, t)|²`, the timestep `t` one of `1..=steps`,
/// all equally often.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DdpmSimple {
    /// Timesteps of the chain.
    pub steps: usize,
}

impl Default for DdpmSimple {
    fn default() -> Self {
        Self { steps: 1000 }
    }
}

impl DdpmSimple {
    /// A timestep for each `uniform` number in `[0, 1)`.
    pub(super) fn timesteps(&self, uniform: &[f64]) -> Vec<f64> {
        each(uniform, |u| (u * self.steps as f64).floor() + 1.0)
    }
}

impl Loss for DdpmSimple {
    fn check(&self) -> Result<()> {
        require("steps", self.steps, self.steps > 0, "use 1 or more; DDPM has 1000")
    }

    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let (uniform, _) = step.levels();
        let sigma = each(&self.timesteps(&uniform), |i| models.student.sde.sigma(i / self.steps as f64));
        denoising(models.student, step, &sigma, &each(&sigma, |s| s.powi(-2)))
    }
}
