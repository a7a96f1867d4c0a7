use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Loss, Models, Step};
use crate::ops::{each, scale};

/// Denoising at log-normal noise levels, by the Pseudo-Huber distance to the clean image.
///
/// `E sqrt(|D(x_0 + sigma·z; sigma) - x_0|² + c²) - c`, averaged over pixels. Say here: the equation and its source.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HuberDenoising {
    /// Where the distance turns from the square to the absolute value.
    pub c: f64,
}

impl Default for HuberDenoising {
    fn default() -> Self {
        Self { c: 0.03 }
    }
}

impl Loss for HuberDenoising {
    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let (_, normal) = step.levels();
        let sigma = each(&normal, |z| step.sigma_data * (0.3 + 1.2 * z).exp());
        let noisy = step.x0.clone() + scale(step.noise(), &sigma);
        let masks = step.masks();
        let error = models.student.forward(noisy, &sigma, step.context(&masks)) - step.x0.clone();
        let [b, c, h, w] = error.dims();
        let distance = (error.clone() * error + self.c * self.c).sqrt() - self.c;
        distance.reshape([b, c * h * w]).mean_dim(1).reshape([b])
    }
}
