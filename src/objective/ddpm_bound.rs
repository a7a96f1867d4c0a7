use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::denoise::denoising;
use super::{DdpmSimple, Loss, Models, Step};
use crate::Result;
use crate::ops::each;

/// DDPM's variational bound (Ho et al. 2020, equation 12), with reverse variances `beta_t`: the sum over the timesteps of
/// `beta_t/(2·alpha_t·(1 - alpha_bar_t))·E |z - eps(x_t, t)|²`, in nats per dimension.
///
/// What does not depend on the network is left out. The sum is estimated by one timestep for each image, times their number.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DdpmBound(pub DdpmSimple);

impl Loss for DdpmBound {
    fn check(&self) -> Result<()> {
        self.0.check()
    }

    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let (sde, n) = (&*models.student.sde, self.0.steps as f64);
        let (uniform, _) = step.levels();
        let i = self.0.timesteps(&uniform);
        let sigma = each(&i, |i| sde.sigma(i / n));
        let weight = each(&i, |i| {
            let (root_alpha, beta) = sde.transition((i - 1.0) / n, i / n);
            let ((_, std), sigma) = (sde.marginal_prob(i / n), sde.sigma(i / n));
            n * beta / (2.0 * root_alpha.powi(2) * (std * sigma).powi(2))
        });
        denoising(models.student, step, &sigma, &weight)
    }
}
