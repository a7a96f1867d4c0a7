use burn::tensor::Tensor;

use super::Step;
use crate::model::Preconditioned;
use crate::network::Moved;
use crate::ops::{each, per_sample, scale};

/// `weight·|D(x_0 + sigma·z; sigma) - x_0|²` of each image, averaged over pixels, a noise level and a weight for each:
/// what all denoising objectives are. Where the step has [`References`](super::References), their mean stands for `x_0`.
///
/// The score of the noisy data is `(D - x)/sigma²` and that of the noise alone is `-z/sigma`, so this is
/// `weight·sigma⁴·|score error|²`.
pub fn denoising(model: &Preconditioned, step: &Step<'_>, sigma: &[f64], weight: &[f64]) -> Tensor<1> {
    let noisy = step.x0.clone() + scale(step.noise(), sigma);
    let target = match step.references {
        Some(references) => {
            let mean = references.mean(Some(step.x0.clone()), noisy.clone(), sigma, step.labels);
            own_where_moved(mean, step)
        }
        None => step.x0.clone(),
    };
    let masks = step.masks();
    let error = model.forward(noisy, sigma, step.context(&masks)) - target;
    let [b, c, h, w] = error.dims();
    // The root of the weight goes inside the square: its own square can leave the range of f32.
    let weighted = error.clone() * per_sample(&each(weight, f64::sqrt), &error.device());
    (weighted.clone() * weighted).reshape([b, c * h * w]).mean_dim(1).reshape([b])
}

/// `mean`, but `x_0` of images that were moved: no reference was moved like them.
fn own_where_moved(mean: Tensor<4>, step: &Step<'_>) -> Tensor<4> {
    if step.moved.is_empty() {
        return mean;
    }
    let moved: Vec<f64> =
        step.moved.iter().map(|moved| f64::from(u8::from(*moved != Moved::default()))).collect();
    let device = mean.device();
    mean * per_sample(&each(&moved, |moved| 1.0 - moved), &device)
        + step.x0.clone() * per_sample(&moved, &device)
}
