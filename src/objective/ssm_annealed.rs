use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::levels::levels;
use super::sliced::{Point, Slice, row};
use super::{DsmAnnealed, Loss, Models, Ssm, Step};
use crate::Result;
use crate::flow::Probe;
use crate::ops::{each, scale};

/// Sliced score matching at the noise levels of a ladder (Song and Ermon 2019, appendix): the mean over the levels of
/// `sigma²·E [v·grad(v·score) + ½|score|²]`, per dimension.
///
/// It needs no formula for the score of the noise, so that other disturbances than Gaussian noise could be learned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SsmAnnealed {
    /// Number of levels, in equal ratios from the largest noise of the diffusion to its least.
    pub levels: usize,
    /// Random vectors for each image.
    pub projections: usize,
    /// What they are drawn from.
    pub distribution: Probe,
}

impl Default for SsmAnnealed {
    fn default() -> Self {
        let Ssm { projections, distribution, .. } = Ssm::default();
        Self { levels: DsmAnnealed::default().levels, projections, distribution }
    }
}

impl Loss for SsmAnnealed {
    fn check(&self) -> Result<()> {
        DsmAnnealed { levels: self.levels, ..DsmAnnealed::default() }.check()?;
        Ssm { projections: self.projections, ..Ssm::default() }.check()
    }

    fn levels(&mut self) -> Option<&mut usize> {
        Some(&mut self.levels)
    }

    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let (uniform, _) = step.levels();
        let sigma = levels(models.student, self.levels, &uniform);
        let point = Point::new(models.student, step, &sigma);
        let sliced = point.sliced(Slice::Whole, self.distribution, self.projections);
        row(scale(sliced, &each(&sigma, |s| s * s)))
    }
}
