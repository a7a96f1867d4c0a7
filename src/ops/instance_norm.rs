//! Instance normalisation that keeps what it takes away: InstanceNorm++.

use burn::tensor::Tensor;

use super::group_norm::{Norm, group_norm};

/// PyTorch's epsilon, which the networks were trained with.
const EPSILON: f32 = 1e-5;

/// What InstanceNorm++ multiplies and adds, `[b or 1, c]` each.
#[derive(Debug, Clone)]
pub struct InstanceNorm {
    /// Factor of every channel.
    pub gamma: Tensor<2>,
    /// Factor of the channel's mean.
    pub alpha: Tensor<2>,
    /// Summand of every channel.
    pub beta: Tensor<2>,
}

/// Returns `gamma·((x - mean)/sqrt(var + 1e-5) + alpha·m) + beta`, `[b, h, w, c]`, with the mean and variance of each channel
/// of an image, and `m = (mean - mean(mean))/sqrt(var(mean) + 1e-5)` over the channels, of unbiased variance (Song and Ermon
/// 2019, appendix A; 2020, appendix A).
///
/// Without `m` a network could not tell two images that differ by a constant apart. Differentiable in all of it.
pub fn instance_norm(x: Tensor<4>, InstanceNorm { gamma, alpha, beta }: InstanceNorm) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let [rows, _] = gamma.dims();
    let pixel = |row: Tensor<2>, rows: usize| row.reshape([rows, 1, 1, c]);
    let means = x.clone().reshape([b, h * w, c]).mean_dim(1).reshape([b, c]);
    let centred = means.clone() - means.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).sum_dim(1) / c.saturating_sub(1).max(1) as f64;
    let means = centred / (variance + EPSILON).sqrt();
    let device = x.device().without_autodiff();
    let (ones, zeros) = (Tensor::ones([c], &device), Tensor::zeros([c], &device));
    let norm = Norm { gamma: ones, beta: zeros, groups: c, epsilon: EPSILON };
    let shift = gamma.clone() * alpha * means + beta;
    group_norm(x, &norm) * pixel(gamma, rows) + pixel(shift, b)
}
