use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Init;
use crate::ops::{Filter, Joined, Pass, Then, conv_input_gradient};

/// A convolution of odd kernel size with bias and zero padding; see [`conv`](crate::ops::conv).
#[derive(Module, Debug)]
pub struct Conv {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    kernel: usize,
    stride: usize,
}

impl Conv {
    /// `scale` multiplies the variance of the initial weights; 0 makes them zero.
    pub fn new(c_in: usize, c_out: usize, kernel: usize, stride: usize, scale: f64, init: &mut Init) -> Self {
        let area = kernel * kernel;
        Self {
            weight: init.matrix([area * c_in, c_out], [area * c_in, area * c_out], scale),
            bias: init.vector(c_out, 0.0),
            kernel,
            stride,
        }
    }

    /// The weights of this moment.
    pub fn filter(&self) -> Filter {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        Filter { weight, bias, kernel: self.kernel, stride: self.stride }
    }

    /// `[b, h, w, c_in]` to `[b, h/stride, w/stride, c_out]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.then(x.into(), Then::Nothing)
    }

    /// [`Self::forward`] of the image doubled in height and width.
    pub fn forward_upsampled(&self, x: Tensor<4>) -> Tensor<4> {
        Pass { x: x.into(), upsample: true, filter: self.filter(), then: Then::Nothing }.run()
    }

    /// The gradient for `x` of [`Self::forward`], `dy` being that of its result.
    pub fn gradient(&self, x: &Tensor<4>, dy: Tensor<4>) -> Tensor<4> {
        conv_input_gradient(x, &self.filter(), dy)
    }

    /// The convolution and what follows it.
    pub fn then(&self, x: Joined, then: Then) -> Tensor<4> {
        Pass { x, upsample: false, filter: self.filter(), then }.run()
    }
}
