use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::sliced::Slice;
use super::{Loss, Models, Ssm, Step};
use crate::Result;

/// Sliced score matching with reduced variance (Song et al. 2019, equation 8): `E [v·grad(v·score(x)) + ½|score(x)|²]`, per
/// dimension.
///
/// Where `E v·vᵀ = I`, as it is for all distributions here, the mean of the second term is known without slices.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SsmVr(pub Ssm);

impl Loss for SsmVr {
    fn check(&self) -> Result<()> {
        self.0.check()
    }

    fn sigma(&mut self) -> Option<&mut f64> {
        self.0.sigma()
    }

    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        self.0.sliced(Slice::Whole, models, step)
    }
}
