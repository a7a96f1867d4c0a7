//! Halving and doubling of images, with a filter against aliases.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::conv::upsample;

/// The filter that images are resampled with, the same along both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taps {
    /// `[1, 1]`: the mean of four pixels, or each pixel four times.
    Box,
    /// `[1, 3, 3, 1]` (StyleGAN2, NCSN++), zero beyond the image.
    Fir,
}

/// A change of size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resample {
    /// To half the height and width, which are even.
    Halve(Taps),
    /// To twice the height and width.
    Double(Taps),
}

impl Resample {
    /// `[b, h, w, c]` to `[b, h/2, w/2, c]` or `[b, 2h, 2w, c]`; what is constant stays so, but for the edges of
    /// [`Taps::Fir`].
    pub fn apply(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Halve(Taps::Box) => along_both(x, halve_box),
            Self::Halve(Taps::Fir) => along_both(x, halve_fir),
            Self::Double(Taps::Box) => upsample(x),
            Self::Double(Taps::Fir) => along_both(x, double_fir),
        }
    }
}

/// The image under [`Taps::Fir`] at full resolution, `[b, h + 1, w + 1, c]`: what a convolution of stride 2 that takes
/// every pixel once reads without aliases (StyleGAN2's `conv_downsample_2d`).
pub fn smooth(x: Tensor<4>) -> Tensor<4> {
    along_both(x, smooth_fir)
}

/// `f`, which maps `[n, length, inner]` to `[n, another length, inner]`, along the height and then the width.
fn along_both(x: Tensor<4>, f: fn(Tensor<3>) -> Tensor<3>) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let x = f(x.reshape([b, h, w * c]));
    let [_, h, _] = x.dims();
    let x = f(x.reshape([b * h, w, c]));
    let [_, w, _] = x.dims();
    x.reshape([b, h, w, c])
}

/// `x[2i]` and `x[2i + 1]` for every `i`.
fn pairs(x: Tensor<3>) -> [Tensor<3>; 2] {
    let [n, length, inner] = x.dims();
    let x = x.reshape([n, length / 2, 2 * inner]);
    [0, 1].map(|i| x.clone().narrow(2, i * inner, inner))
}

fn padded(x: Tensor<3>, by: usize) -> Tensor<3> {
    x.pad([(by, by), (0, 0)], 0.0)
}

fn halve_box(x: Tensor<3>) -> Tensor<3> {
    let [even, odd] = pairs(x);
    (even + odd) * 0.5
}

fn halve_fir(x: Tensor<3>) -> Tensor<3> {
    let [even, odd] = pairs(padded(x, 1));
    let [_, length, _] = even.dims();
    let at = |x: &Tensor<3>, first: usize| x.clone().narrow(1, first, length - 1);
    (at(&even, 0) + at(&odd, 1)) * 0.125 + (at(&odd, 0) + at(&even, 1)) * 0.375
}

fn double_fir(x: Tensor<3>) -> Tensor<3> {
    let [n, length, inner] = x.dims();
    let x = padded(x, 1);
    let at = |first: usize| x.clone().narrow(1, first, length);
    let (before, here, after) = (at(0) * 0.25, at(1) * 0.75, at(2) * 0.25);
    Tensor::cat(vec![before + here.clone(), here + after], 2).reshape([n, 2 * length, inner])
}

fn smooth_fir(x: Tensor<3>) -> Tensor<3> {
    let [_, length, _] = x.dims();
    let x = padded(x, 2);
    let at = |first: usize| x.clone().narrow(1, first, length + 1);
    (at(0) + at(3)) * 0.125 + (at(1) + at(2)) * 0.375
}
