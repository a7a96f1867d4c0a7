//! Halving and doubling of images, with a filter against aliases.

mod host;
mod plain;
mod wgsl;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::conv::upsample;
use super::gradient::record;

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
        self.by(apply, x)
    }

    /// [`Self::apply`] in burn's stock operations: the oracle of the tests.
    pub fn apply_plain(self, x: Tensor<4>) -> Tensor<4> {
        self.by(plain::apply, x)
    }

    fn by(self, apply: fn(Change, Tensor<4>) -> Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Halve(Taps::Box) => apply(Change::HalveBox, x),
            Self::Halve(Taps::Fir) => apply(Change::HalveFir, x),
            Self::Double(Taps::Box) => upsample(x),
            Self::Double(Taps::Fir) => apply(Change::DoubleFir, x),
        }
    }
}

/// The image under [`Taps::Fir`] at full resolution, `[b, h + 1, w + 1, c]`: what a convolution of stride 2 that takes
/// every pixel once reads without aliases (StyleGAN2's `conv_downsample_2d`).
pub fn smooth(x: Tensor<4>) -> Tensor<4> {
    apply(Change::SmoothFir, x)
}

/// What own code exists for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    HalveBox,
    HalveFir,
    DoubleFir,
    SmoothFir,
}

const FIR: [f32; 4] = [0.125, 0.375, 0.375, 0.125];

/// The windows of a separable change: pixel `i` of the result is the sum of pixels from
/// `(stride·i + divisor - 1)/divisor - back` on, times the weights of its place among `divisor`, zero beyond the image.
#[derive(Debug, Clone, Copy)]
struct Windows {
    stride: usize,
    divisor: usize,
    back: usize,
    taps: usize,
    weights: [[f32; 4]; 2],
    /// Pixels of a side of the result: `numerator·n/denominator + more`.
    size: (usize, usize, isize),
}

impl Windows {
    /// Pixels of the result's side.
    fn out(&self, side: usize) -> usize {
        let (numerator, denominator, more) = self.size;
        (numerator * side / denominator).saturating_add_signed(more)
    }

    fn halve(taps: usize, back: usize, weights: [f32; 4]) -> Self {
        Self { stride: 2, divisor: 1, back, taps, weights: [weights; 2], size: (1, 2, 0) }
    }

    fn double(weights: [[f32; 4]; 2]) -> Self {
        Self { stride: 1, divisor: 2, back: 1, taps: 2, weights, size: (2, 1, 0) }
    }

    fn smooth(back: usize, more: isize) -> Self {
        Self { stride: 1, divisor: 1, back, taps: 4, weights: [FIR; 2], size: (1, 1, more) }
    }
}

impl Change {
    fn windows(self) -> Windows {
        match self {
            Self::HalveBox => Windows::halve(2, 0, [0.5, 0.5, 0.0, 0.0]),
            Self::HalveFir => Windows::halve(4, 1, FIR),
            Self::DoubleFir => Windows::double([[0.25, 0.75, 0.0, 0.0], [0.75, 0.25, 0.0, 0.0]]),
            Self::SmoothFir => Windows::smooth(2, 1),
        }
    }

    /// Those that lead the gradient of the result back to the image: the same weights the other way round.
    fn adjoint(self) -> Windows {
        match self {
            Self::HalveBox => Windows::double([[0.0, 0.5, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0]]),
            Self::HalveFir => Windows::double([[0.125, 0.375, 0.0, 0.0], [0.375, 0.125, 0.0, 0.0]]),
            Self::DoubleFir => Windows::halve(4, 1, [0.25, 0.75, 0.75, 0.25]),
            Self::SmoothFir => Windows::smooth(1, -1),
        }
    }
}

/// By own code where the device has it, with its gradient.
fn apply(change: Change, x: Tensor<4>) -> Tensor<4> {
    let run = |windows: Windows, x: &Tensor<4>| {
        let on_host = || super::uses_flex(&x.device()).then(|| host::run(&windows, x));
        wgsl::run(&windows, x).or_else(on_host)
    };
    match run(change.windows(), &x.clone().without_autodiff()) {
        None => plain::apply(change, x),
        Some(y) => record([x.into_dispatch()], y, move |dy, _| {
            [run(change.adjoint(), &dy).map(Tensor::into_dispatch)]
        }),
    }
}
