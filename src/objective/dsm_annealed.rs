use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::denoise::denoising;
use super::levels::levels;
use super::{Loss, Models, Step, require};
use crate::Result;
use crate::ops::each;

/// Denoising score matching at the noise levels of a ladder (Song and Ermon 2019, equation 6): the mean over the levels of
/// `sigma^power·E |score(x_0 + sigma·z; sigma) + z/sigma|²`.
///
/// The ladder leads in equal ratios from the largest noise of the diffusion to its least.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DsmAnnealed {
    /// Number of levels.
    pub levels: usize,
    /// Of the weight `sigma^power`. With 2 every level counts alike, since `|score|` is about `1/sigma`.
    pub power: f64,
}

impl Default for DsmAnnealed {
    fn default() -> Self {
        Self { levels: 10, power: 2.0 }
    }
}

impl Loss for DsmAnnealed {
    fn check(&self) -> Result<()> {
        require("levels", self.levels, self.levels > 1, "use 2 or more")?;
        require("power", self.power, self.power.abs() <= 8.0, "use -8 to 8; the papers have 2")
    }

    fn levels(&mut self) -> Option<&mut usize> {
        Some(&mut self.levels)
    }

    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let (uniform, _) = step.levels();
        let sigma = levels(models.student, self.levels, &uniform);
        denoising(models.student, step, &sigma, &each(&sigma, |s| s.powf(self.power - 4.0)))
    }
}
