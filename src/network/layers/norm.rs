use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Init;
use crate::ops::{self, Joined, Norm};

/// Group normalisation with `min(c/4, 32)` groups followed by SiLU (Score-SDE's layer pair).
#[derive(Module, Debug)]
pub struct NormSilu {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    groups: usize,
}

impl NormSilu {
    /// Scale 1 and shift 0 for `channels`, which must be a multiple of 4.
    pub fn new(channels: usize, init: &Init) -> Self {
        let most = (channels / 4).clamp(1, 32);
        let groups = (1..=most).rev().find(|g| channels.is_multiple_of(*g)).unwrap_or(1);
        Self { gamma: init.vector(channels, 1.0), beta: init.vector(channels, 0.0), groups }
    }

    /// The weights of this moment.
    pub fn norm(&self) -> Norm {
        Norm { gamma: self.gamma.val(), beta: self.beta.val(), groups: self.groups }
    }

    /// `silu(norm(x))`, `[b, h, w, c]`.
    pub fn forward(&self, x: impl Into<Joined>) -> Tensor<4> {
        ops::group_norm_silu(x.into(), &self.norm())
    }

    /// The gradient for `x` of `silu(norm(x + shift))`, `dy` being that of its result; `shift` is `[b or 1, c]`.
    pub fn gradient(&self, x: &Tensor<4>, shift: &Tensor<2>, dy: Tensor<4>) -> Tensor<4> {
        ops::shift_norm_silu_gradient(x, shift, &self.norm(), dy)
    }
}
