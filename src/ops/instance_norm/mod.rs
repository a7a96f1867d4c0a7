//! Instance normalisation that keeps what it takes away: InstanceNorm++.

mod host;
mod wgsl;

use burn::tensor::{Device, Tensor};

use super::gradient::record;
use super::group_norm::{Norm, group_norm, norm_tangent};

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
pub fn instance_norm(x: Tensor<4>, norm: InstanceNorm) -> Tensor<4> {
    if !x.is_autodiff()
        && !norm.gamma.is_autodiff()
        && let Some(y) = wgsl::run(&x, &norm)
    {
        return y;
    }
    let plain = x.clone().without_autodiff();
    if super::uses_flex(&plain.device()) {
        let InstanceNorm { gamma, alpha, beta } = norm;
        let inputs = [
            x.into_dispatch(),
            gamma.clone().into_dispatch(),
            alpha.clone().into_dispatch(),
            beta.clone().into_dispatch(),
        ];
        let norm = InstanceNorm {
            gamma: gamma.without_autodiff(),
            alpha: alpha.without_autodiff(),
            beta: beta.without_autodiff(),
        };
        let y = host::run(&plain, &norm);
        return record(inputs, y, move |dy, _| host::gradients(&plain, &norm, &dy).map(Some));
    }
    instance_norm_plain(x, norm)
}

/// [`instance_norm`] in other operations: the oracle of the tests, and the path of training on a GPU, since each of
/// these has a gradient.
pub fn instance_norm_plain(x: Tensor<4>, InstanceNorm { gamma, alpha, beta }: InstanceNorm) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let [rows, _] = gamma.dims();
    let pixel = |row: Tensor<2>, rows: usize| row.reshape([rows, 1, 1, c]);
    let means = x.clone().reshape([b, h * w, c]).mean_dim(1).reshape([b, c]);
    let centred = means.clone() - means.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).sum_dim(1) / others(c) as f64;
    let means = centred / (variance + EPSILON).sqrt();
    let shift = gamma.clone() * alpha * means + beta;
    let norm = by_channel(c, &x.device());
    group_norm(x, &norm) * pixel(gamma, rows) + pixel(shift, b)
}

/// How [`instance_norm`] of `x` changes as `x` does.
pub fn instance_norm_tangent(x: Tensor<4>, dx: Tensor<4>, norm: &InstanceNorm) -> Tensor<4> {
    let ([_, _, _, c], [rows, _]) = (x.dims(), norm.gamma.dims());
    let around_mean = |x: Tensor<4>| {
        let [b, h, w, c] = x.dims();
        let means = x.reshape([b, h * w, c]).mean_dim(1).reshape([b, c]);
        means.clone() - means.mean_dim(1)
    };
    let (m, dm) = (around_mean(x.clone()), around_mean(dx.clone()));
    let over_channels = |a: Tensor<2>| a.sum_dim(1) / others(c) as f64;
    let deviation = (over_channels(m.clone() * m.clone()) + EPSILON).sqrt();
    let m = m / deviation.clone();
    let along = over_channels(m.clone() * dm.clone());
    let dm = (dm - m * along) / deviation * norm.gamma.clone() * norm.alpha.clone();
    let [b, _] = dm.dims();
    norm_tangent(x, dx, &by_channel(c, &norm.gamma.device()), false)
        * norm.gamma.clone().reshape([rows, 1, 1, c])
        + dm.reshape([b, 1, 1, c])
}

/// The normalisation of each channel alone, without weights.
fn by_channel(c: usize, device: &Device) -> Norm {
    let device = device.clone().without_autodiff();
    Norm { gamma: Tensor::ones([c], &device), beta: Tensor::zeros([c], &device), groups: c, epsilon: EPSILON }
}

/// What an unbiased variance over `c` channels divides by.
fn others(c: usize) -> usize {
    c.saturating_sub(1).max(1)
}
