use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::sliced::{Point, Slice, row};
use super::{Loss, Models, Step, require};
use crate::Result;
use crate::flow::Probe;

/// Sliced score matching (Song et al. 2019, equation 7): `E [v·grad(v·score(x)) + ½(v·score(x))²]` over random vectors `v`,
/// per dimension.
///
/// The trace of the Jacobian, which costs as many passes as there are dimensions, becomes one product with a vector.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ssm {
    /// Noise of the data whose score is learned, in the model's units; 0 for none.
    pub sigma: f64,
    /// Random vectors for each image.
    pub projections: usize,
    /// What they are drawn from.
    pub distribution: Probe,
}

impl Default for Ssm {
    fn default() -> Self {
        Self { sigma: 0.1, projections: 1, distribution: Probe::Rademacher }
    }
}

impl Ssm {
    /// The loss of each image.
    pub(super) fn sliced(&self, slice: Slice, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let point = Point::new(models.student, step, &[self.sigma]);
        row(point.sliced(slice, self.distribution, self.projections))
    }
}

impl Loss for Ssm {
    fn check(&self) -> Result<()> {
        require("sigma", self.sigma, (0.0..1e6).contains(&self.sigma), "use 0 or a positive number")?;
        require("projections", self.projections, (1..=1000).contains(&self.projections), "use 1 to 1000")
    }

    fn sigma(&mut self) -> Option<&mut f64> {
        Some(&mut self.sigma)
    }

    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        self.sliced(Slice::Projected, models, step)
    }
}
