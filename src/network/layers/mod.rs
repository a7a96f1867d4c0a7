//! The layers that the networks are made of. Images are `[b, h, w, c]` inside a network.

mod attention;
mod block;
mod context;
mod conv;
mod embedding;
mod init;
mod linear;
mod norm;

pub use attention::{Attention, AttentionStyle};
pub use block::{BlockStyle, ResBlock, SKIP_SCALE};
pub use context::{Context, Moved};
pub use conv::Conv;
pub use embedding::{Embedding, MOVE_FEATURES, TimeMlp, TimeSizes, TimeWidths, class_features};
pub use init::Init;
pub use linear::Linear;
pub use norm::{Groups, NormSilu};

use burn::tensor::Tensor;

use crate::ops::Value;
use crate::rng::{Domain, Noise};

/// Random zeroing of activations while training (Srivastava et al. 2014), by the counter generator.
///
/// A value of the crate's own rather than a layer, so that a resumed run draws the same masks.
#[derive(Debug)]
pub struct Dropout {
    rate: f64,
    noise: Noise,
    first: usize,
    draw: std::cell::Cell<u32>,
}

impl Dropout {
    /// Masks for one training step; `rate` is the share of values set to zero.
    pub fn new(rate: f64, seed: u64, step: u32) -> Self {
        Self { rate, noise: Noise::new(seed).domain(Domain::Dropout).at(step), first: 0, draw: 0.into() }
    }

    /// The same masks for images that are the batch's from `first` on.
    pub fn from_image(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// Zeroes values with probability `rate` and scales the others by `1/(1 - rate)`.
    pub fn apply(&self, x: Value) -> Value {
        if self.rate == 0.0 {
            return x;
        }
        let dims = x.dims();
        let stride: usize = dims[1..].iter().product();
        let values = self.first * stride..(self.first + dims[0]) * stride;
        let uniform = self.noise.uniform_within(self.draw.get(), values);
        self.draw.set(self.draw.get() + 1);
        let keep = (1.0 / (1.0 - self.rate)) as f32;
        let mask: Vec<f32> =
            uniform.into_iter().map(|u| if f64::from(u) < self.rate { 0.0 } else { keep }).collect();
        x.linear(|x| {
            let device = x.device().without_autodiff();
            let mask = Tensor::<1>::from_floats(mask.as_slice(), &device).reshape(dims);
            x * Tensor::from_inner(mask)
        })
    }
}

/// `[b, c, h, w]` with zeros to the right and below, so that both sides are multiples of `multiple`.
pub fn fill_up(x: Tensor<4>, multiple: usize) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    match [h, w].map(|side| side.next_multiple_of(multiple) - side) {
        // burn would make a copy, in two launches of a GPU.
        [0, 0] => x,
        [below, right] => x.pad((0, right, 0, below), 0.0),
    }
}

/// `[b, c, h, w]` to `[b, h/p, w/p, c·p·p]`: every `p` by `p` patch becomes one pixel.
pub fn space_to_depth(x: Tensor<4>, p: usize) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    x.reshape([b, c, h / p, p, w / p, p]).permute([0, 2, 4, 1, 3, 5]).reshape([b, h / p, w / p, c * p * p])
}

/// The inverse of [`space_to_depth`].
pub fn depth_to_space(x: Tensor<4>, p: usize) -> Tensor<4> {
    let [b, h, w, cpp] = x.dims();
    let c = cpp / (p * p);
    x.reshape([b, h, w, c, p, p]).permute([0, 3, 1, 4, 2, 5]).reshape([b, c, h * p, w * p])
}
