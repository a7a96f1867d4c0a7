use burn::module::{Module, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::Init;
use crate::ops::{self, Joined, Norm, Value};

/// The groups of a group normalisation, and what keeps it from dividing by zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Groups {
    /// How many; `None` for `min(channels/4, 32)`, as NCSN++ has it.
    pub number: Option<usize>,
    /// Added to the variance before the square root.
    pub epsilon: f64,
}

impl Default for Groups {
    fn default() -> Self {
        Self { number: None, epsilon: 1e-6 }
    }
}

/// Group normalisation followed by SiLU (Score-SDE's layer pair).
#[derive(Module, Debug)]
pub struct NormSilu {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    groups: usize,
    epsilon: f32,
}

impl NormSilu {
    /// Scale 1 and shift 0 for `channels`, which must be a multiple of 4, in `min(channels/4, 32)` groups.
    pub fn new(channels: usize, init: &Init) -> Self {
        Self::with(channels, Groups::default(), init)
    }

    /// Scale 1 and shift 0 for `channels`, a multiple of the number of groups.
    pub fn with(channels: usize, groups: Groups, init: &Init) -> Self {
        let most = groups.number.unwrap_or((channels / 4).clamp(1, 32));
        Self {
            gamma: init.vector(channels, 1.0),
            beta: init.vector(channels, 0.0),
            groups: (1..=most).rev().find(|g| channels.is_multiple_of(*g)).unwrap_or(1),
            epsilon: groups.epsilon as f32,
        }
    }

    /// The weights of this moment.
    pub fn norm(&self) -> Norm {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        Norm { gamma, beta, groups: self.groups, epsilon: self.epsilon }
    }

    /// `silu(norm(x))`, `[b, h, w, c]`.
    pub fn forward(&self, x: impl Into<Joined<Value>>) -> Value {
        Value::group_norm_silu(x.into(), &self.norm())
    }

    /// The gradient for `x` of `silu(norm(x + shift))`, `dy` being that of its result; `shift` is `[b or 1, c]`.
    pub fn gradient(&self, x: &Tensor<4>, shift: &Tensor<2>, dy: Tensor<4>) -> Tensor<4> {
        ops::shift_norm_silu_gradient(x, shift, &self.norm(), dy)
    }

    /// The normalisation alone.
    pub fn normalise(&self, x: Value) -> Value {
        x.group_norm(&self.norm())
    }
}
