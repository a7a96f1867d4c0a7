//! Group normalisation of `[b, h, w, c]` images with the SiLU that follows it: one op, because they are
//! one pass over memory.

mod host;
mod wgsl;

use burn::tensor::{Tensor, activation::silu};

use super::Joined;
use super::gradient::record;

/// What most networks add to the variance before the square root (Score-SDE's choice; PyTorch's default is 1e-5).
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
    /// Added to the variance before the square root.
    pub epsilon: f32,
}

impl Norm {
    fn without_autodiff(&self) -> Self {
        let [gamma, beta] = [&self.gamma, &self.beta].map(|weight| weight.clone().without_autodiff());
        Self { gamma, beta, groups: self.groups, epsilon: self.epsilon }
    }
}

/// Returns `silu(gamma·(x - mean)/sqrt(var + epsilon) + beta)`, `[b, h, w, c]`.
///
/// Differentiable in `x`, `gamma` and `beta`.
pub fn group_norm_silu(x: Joined, norm: &Norm) -> Tensor<4> {
    fused(&x, norm, true).unwrap_or_else(|| apply(x.cat(), None, norm, true))
}

/// One kernel, where the device has one and no gradient is wanted.
fn fused(x: &Joined, norm: &Norm, silu: bool) -> Option<Tensor<4>> {
    match x.x.is_autodiff() || norm.gamma.is_autodiff() {
        true => None,
        false => wgsl::run(x, norm, silu),
    }
}

/// `silu(norm(x + shift))`; `shift` is `[b or 1, c]`, one number for all pixels of a channel.
pub fn shift_norm_silu(x: Tensor<4>, shift: Tensor<2>, norm: &Norm) -> Tensor<4> {
    apply(x, Some(shift), norm, true)
}

/// The op with its gradient, by our own code where the device has it; `silu` tells whether that follows.
fn apply(x: Tensor<4>, shift: Option<Tensor<2>>, norm: &Norm, silu: bool) -> Tensor<4> {
    let [_, _, _, c] = x.dims();
    let plain = x.clone().without_autodiff();
    let row = match &shift {
        Some(shift) => shift.clone(),
        None => Tensor::zeros([1, c], &plain.device()),
    };
    let inputs = [
        x.clone().into_dispatch(),
        row.clone().into_dispatch(),
        norm.gamma.clone().into_dispatch(),
        norm.beta.clone().into_dispatch(),
    ];
    let (row, weights) = (row.without_autodiff(), norm.without_autodiff());
    if super::is_flex(&plain.device()) {
        let y = host::forward(&plain, &row, &weights, silu);
        return record(inputs, y, move |dy, _| host::backward(&plain, &row, &weights, silu, &dy).map(Some));
    }
    let shifted_plain = match &shift {
        Some(_) => shifted(plain.clone(), row.clone()),
        None => plain.clone(),
    };
    if let Some(y) = wgsl::run(&shifted_plain.into(), &weights, silu) {
        return record(inputs, y, move |dy, _| wgsl::backward(&plain, &row, &weights, silu, dy).map(Some));
    }
    let x = match shift {
        Some(shift) => shifted(x, shift),
        None => x,
    };
    match silu {
        true => group_norm_silu_plain(x.into(), norm),
        false => group_norm_plain(x, norm),
    }
}

/// The gradient `[b, h, w, c]` of `silu(norm(x + shift))` for `x`, by hand: for devices without autodiff.
///
/// # Panics
/// On devices that have neither kernels nor our code for main memory.
pub fn shift_norm_silu_gradient(x: &Tensor<4>, shift: &Tensor<2>, norm: &Norm, dy: Tensor<4>) -> Tensor<4> {
    let [dx, ..] = match super::is_flex(&x.device()) {
        true => host::backward(x, shift, norm, true, &dy),
        false => wgsl::backward(x, shift, norm, true, dy),
    };
    Tensor::from_dispatch(dx)
}

/// [`shift_norm_silu`] in burn's stock operations.
pub fn shift_norm_silu_plain(x: Tensor<4>, shift: Tensor<2>, norm: &Norm) -> Tensor<4> {
    group_norm_silu_plain(shifted(x, shift).into(), norm)
}

/// `x` with the `shift` of each channel, `[b or 1, c]`, added to all its pixels.
pub fn shifted(x: Tensor<4>, shift: Tensor<2>) -> Tensor<4> {
    let [n, c] = shift.dims();
    x + shift.reshape([n, 1, 1, c])
}

/// [`group_norm_silu`] in burn's stock operations: the oracle of the tests.
pub fn group_norm_silu_plain(x: Joined, norm: &Norm) -> Tensor<4> {
    silu(group_norm_plain(x.cat(), norm))
}

/// Group normalisation without the activation, as attention wants it.
pub fn group_norm(x: Tensor<4>, norm: &Norm) -> Tensor<4> {
    fused(&x.clone().into(), norm, false).unwrap_or_else(|| apply(x, None, norm, false))
}

/// [`group_norm`] in burn's stock operations.
pub fn group_norm_plain(x: Tensor<4>, norm: &Norm) -> Tensor<4> {
    let dims = x.dims();
    let (x, _) = standardised(x, norm);
    x.reshape(dims) * row(&norm.gamma) + row(&norm.beta)
}

/// How [`group_norm`] of `x` changes as `x` does, or that with the SiLU after it: with the normalised `n` and the deviation
/// `s` of a group, `dn = (dx - mean(dx) - n·mean(n·dx))/s`.
pub fn norm_tangent(x: Tensor<4>, dx: Tensor<4>, norm: &Norm, silu: bool) -> Tensor<4> {
    let dims = x.dims();
    let (n, deviation) = standardised(x, norm);
    let dx = dx.reshape(n.dims());
    let along = group_mean(n.clone() * dx.clone());
    let dn = (dx.clone() - group_mean(dx) - n.clone() * along) / deviation;
    let dy = dn.reshape(dims) * row(&norm.gamma);
    match silu {
        true => dy * super::silu_slope(n.reshape(dims) * row(&norm.gamma) + row(&norm.beta)),
        false => dy,
    }
}

/// `x` less its mean over its deviation, and that, all by groups: `[b, h·w, groups, c/groups]`.
fn standardised(x: Tensor<4>, norm: &Norm) -> (Tensor<4>, Tensor<4>) {
    let [b, h, w, c] = x.dims();
    let x = x.reshape([b, h * w, norm.groups, c / norm.groups]);
    let x = x.clone() - group_mean(x);
    let deviation = (group_mean(x.clone() * x.clone()) + norm.epsilon).sqrt();
    (x / deviation.clone(), deviation)
}

/// The mean of each group of an image.
fn group_mean(x: Tensor<4>) -> Tensor<4> {
    x.mean_dim(3).mean_dim(1)
}

/// A number for each channel, for all pixels.
fn row(v: &Tensor<1>) -> Tensor<4> {
    let [c] = v.dims();
    v.clone().reshape([1, 1, 1, c])
}
