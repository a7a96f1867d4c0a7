//! Bilinear interpolation to any size.

use burn::tensor::{Device, Int, Tensor};

use super::linear;

/// `x` `[b, h, w, c]` stretched to `size` `[height, width]` by linear interpolation along each side, corners staying
/// corners: `[b, height, width, c]`.
pub fn interpolate(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    // The side that is stretched goes last, so that it is a dense layer's.
    let x = stretch_last(x.permute([0, 2, 3, 1]), size[0]);
    stretch_last(x.permute([0, 3, 2, 1]), size[1]).permute([0, 1, 3, 2])
}

/// `[a, b, c, from]` to `[a, b, c, to]`.
fn stretch_last(x: Tensor<4>, to: usize) -> Tensor<4> {
    let [a, b, c, from] = x.dims();
    if from == to {
        return x;
    }
    let device = x.device().without_autodiff();
    let dense = (hats(from, to, &device), Tensor::zeros([to], &device));
    linear(x.reshape([a * b * c, from]), dense).reshape([a, b, c, to])
}

/// How much of each of `from` values there is in each of `to`, `[from, to]`: a hat around its own place. Computed on the
/// device, where launches may be recorded and uploads may not.
fn hats(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let numbers = |n: usize| Tensor::<1, Int>::arange(0..n as i64, device).float();
    let step = (from - 1) as f64 / (to - 1).max(1) as f64;
    let place = (numbers(to) * step).reshape([1, to]);
    let distance = (place - numbers(from).reshape([from, 1])).abs();
    (distance.neg() + 1.0).clamp_min(0.0)
}
