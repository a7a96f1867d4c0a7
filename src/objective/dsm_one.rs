use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::denoise::denoising;
use super::{Loss, Models, Step, require};
use crate::Result;

/// Denoising score matching at one noise level (Vincent 2011): `sigma²·E |score(x_0 + sigma·z) + z/sigma|²`.
///
/// It learns the score of the data with that much noise, and of no other: the less noise, the closer to the data, and the
/// noisier the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DsmOne {
    /// The noise level, in the model's units.
    pub sigma: f64,
}

impl Default for DsmOne {
    fn default() -> Self {
        Self { sigma: 0.1 }
    }
}

impl Loss for DsmOne {
    fn check(&self) -> Result<()> {
        require("sigma", self.sigma, self.sigma > 0.0 && self.sigma.is_finite(), "use a positive number")
    }

    fn sigma(&mut self) -> Option<&mut f64> {
        Some(&mut self.sigma)
    }

    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        denoising(models.student, step, &[self.sigma], &[self.sigma.powi(-2)])
    }
}
