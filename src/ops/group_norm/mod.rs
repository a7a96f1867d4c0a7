//! Group normalisation of `[b, h, w, c]` images with the SiLU that follows it: one op, because they are
//! one pass over memory.

mod flex;
mod wgsl;

use burn::tensor::{Tensor, activation::silu};

use super::Joined;

/// Added to the variance before the square root (Score-SDE's choice; PyTorch's default is 1e-5).
pub const EPSILON: f32 = 1e-6;

/// The weights of a group normalisation (Wu and He 2018), statistics per image and group, biased variance.
#[derive(Debug, Clone)]
pub struct Norm {
    /// Factor of every channel, `[c]`.
    pub gamma: Tensor<1>,
    /// Summand of every channel, `[c]`.
    pub beta: Tensor<1>,
    /// Number of groups, a divisor of `c`.
    pub groups: usize,
}

/// Returns `silu(gamma·(x - mean)/sqrt(var + 1e-6) + beta)`, `[b, h, w, c]`.
///
/// Differentiable in `x`, `gamma` and `beta`.
pub fn group_norm_silu(x: Joined, norm: &Norm) -> Tensor<4> {
    if let Some(y) = wgsl::run(&x, norm, true) {
        return y;
    }
    match super::is_flex(&norm.gamma.device()) {
        true => {
            let x = x.cat();
            let [_, _, _, c] = x.dims();
            let none = Tensor::zeros([1, c], &norm.gamma.device());
            flex::shift_norm_silu(x, none, norm)
        }
        false => group_norm_silu_plain(x, norm),
    }
}

/// `silu(norm(x + shift))`; `shift` is `[b or 1, c]`, one number for all pixels of a channel.
pub fn shift_norm_silu(x: Tensor<4>, shift: Tensor<2>, norm: &Norm) -> Tensor<4> {
    match super::is_flex(&norm.gamma.device()) {
        true => flex::shift_norm_silu(x, shift, norm),
        false => group_norm_silu(shifted(x, shift).into(), norm),
    }
}

/// [`shift_norm_silu`] in burn's stock operations.
pub fn shift_norm_silu_plain(x: Tensor<4>, shift: Tensor<2>, norm: &Norm) -> Tensor<4> {
    group_norm_silu_plain(shifted(x, shift).into(), norm)
}

fn shifted(x: Tensor<4>, shift: Tensor<2>) -> Tensor<4> {
    let [n, c] = shift.dims();
    x + shift.reshape([n, 1, 1, c])
}

/// [`group_norm_silu`] in burn's stock operations: the oracle of the tests.
pub fn group_norm_silu_plain(x: Joined, norm: &Norm) -> Tensor<4> {
    silu(group_norm_plain(x.cat(), norm))
}

/// Group normalisation without the activation, as attention wants it.
pub fn group_norm(x: Tensor<4>, norm: &Norm) -> Tensor<4> {
    let x = x.into();
    wgsl::run(&x, norm, false).unwrap_or_else(|| group_norm_plain(x.cat(), norm))
}

/// [`group_norm`] in burn's stock operations.
pub fn group_norm_plain(x: Tensor<4>, norm: &Norm) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let groups = norm.groups;
    let x = x.reshape([b, h * w, groups, c / groups]);
    let mean = x.clone().mean_dim(3).mean_dim(1);
    let x = x - mean;
    let variance = (x.clone() * x.clone()).mean_dim(3).mean_dim(1);
    let x = x / (variance + EPSILON).sqrt();
    let row = |v: &Tensor<1>| v.clone().reshape([1, 1, 1, c]);
    x.reshape([b, h, w, c]) * row(&norm.gamma) + row(&norm.beta)
}
