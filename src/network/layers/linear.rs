use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Init;
use crate::ops::{Dense, linear};

/// A dense layer `x·W + b`.
#[derive(Module, Debug)]
pub struct Linear {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Linear {
    /// Variance-scaled weights, zero bias.
    pub fn new(c_in: usize, c_out: usize, init: &mut Init) -> Self {
        Self { weight: init.matrix([c_in, c_out], [c_in, c_out], 1.0), bias: init.vector(c_out, 0.0) }
    }

    /// The weights of this moment.
    pub fn dense(&self) -> Dense {
        (self.weight.val(), self.bias.val())
    }

    /// `[b, c_in]` to `[b, c_out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        linear(x, self.dense())
    }

    /// The gradient `[b, c_in]` for the input of [`Self::forward`], `dy` being that of its result.
    pub fn gradient(&self, dy: Tensor<2>) -> Tensor<2> {
        let weight = self.weight.val().swap_dims(0, 1);
        let [_, c_in] = weight.dims();
        let bias = Tensor::zeros([c_in], &dy.device());
        linear(dy, (weight, bias))
    }
}
