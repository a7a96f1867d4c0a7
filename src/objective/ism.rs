use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::sliced::{Point, Slice, row};
use super::{Loss, Models, Step, require};
use crate::Result;
use crate::flow::Probe;

/// Implicit score matching (Hyvärinen 2005, equation 4): `E [trace(grad score(x)) + ½|score(x)|²]`, per dimension.
///
/// Up to a constant half the mean squared error of the score, which it never sees. The trace is exact, by one tangent for
/// each dimension, up to 64 dimensions; beyond, it is estimated without bias along one random sign vector.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ism {
    /// Noise of the data whose score is learned, in the model's units; 0 for none.
    pub sigma: f64,
}

impl Default for Ism {
    fn default() -> Self {
        Self { sigma: 0.1 }
    }
}

/// Most dimensions of an exact trace.
const MOST_EXACT: usize = 64;

impl Loss for Ism {
    fn check(&self) -> Result<()> {
        require(
            "sigma",
            self.sigma,
            self.sigma >= 0.0 && self.sigma.is_finite(),
            "use 0 or a positive number",
        )
    }

    fn sigma(&mut self) -> Option<&mut f64> {
        Some(&mut self.sigma)
    }

    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let point = Point::new(models.student, step, &[self.sigma]);
        row(match point.dim() <= MOST_EXACT {
            true => point.exact(),
            false => point.sliced(Slice::Whole, Probe::Rademacher, 1),
        })
    }
}
