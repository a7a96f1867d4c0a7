use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Init;
use crate::ops::{Filter, Joined, Pass, Then, Value, conv_input_gradient};

/// A convolution of odd kernel size and zero padding; see [`conv`](crate::ops::conv).
#[derive(Module, Debug)]
pub struct Conv {
    weight: Param<Tensor<2>>,
    bias: Option<Param<Tensor<1>>>,
    kernel: usize,
    stride: usize,
    pad: usize,
}

impl Conv {
    /// `scale` multiplies the variance of the initial weights; 0 makes them zero.
    pub fn new(c_in: usize, c_out: usize, kernel: usize, stride: usize, scale: f64, init: &mut Init) -> Self {
        let area = kernel * kernel;
        Self {
            weight: init.matrix([area * c_in, c_out], [area * c_in, area * c_out], scale),
            bias: Some(init.vector(c_out, 0.0)),
            kernel,
            stride,
            pad: kernel / 2,
        }
    }

    /// The convolution without a bias.
    #[must_use]
    pub fn unbiased(mut self) -> Self {
        self.bias = None;
        self
    }

    /// The convolution with `pad` zeros before the first pixel of each side instead of `kernel / 2`, and more after the
    /// last one.
    #[must_use]
    pub fn padded(mut self, pad: usize) -> Self {
        self.pad = pad;
        self
    }

    /// Whether the result has half the height and width.
    pub fn halves(&self) -> bool {
        self.stride == 2
    }

    /// The weights of this moment.
    pub fn filter(&self) -> Filter {
        let weight = self.weight.val();
        let [_, c_out] = weight.dims();
        let bias = match &self.bias {
            Some(bias) => bias.val(),
            None => Tensor::zeros([c_out], &weight.device()),
        };
        Filter { weight, bias, kernel: self.kernel, stride: self.stride, pad: self.pad }
    }

    /// `[b, h, w, c_in]` to `[b, h/stride, w/stride, c_out]`.
    pub fn forward(&self, x: Value) -> Value {
        self.then(x.into(), Then::Nothing)
    }

    /// [`Self::forward`] of the image doubled in height and width.
    pub fn forward_upsampled(&self, x: Value) -> Value {
        Value::pass(Pass { x: x.into(), upsample: true, filter: self.filter(), then: Then::Nothing })
    }

    /// [`Self::forward`] with `dilation - 1` pixels left out between the taps of the window.
    ///
    /// Each tap stays among the pixels whose row and column leave the same rest when divided by `dilation`. So the image
    /// is `dilation²` interleaved ones, each convolved without gaps.
    pub fn forward_dilated(&self, x: Value, dilation: usize) -> Value {
        if dilation == 1 {
            return self.forward(x);
        }
        let (d, [b, height, width, c]) = (dilation, x.dims());
        let [h, w] = [height, width].map(|side| side.div_ceil(d));
        let parts = self.forward(x.linear(|x| {
            let x = x.pad([(0, d * h - height), (0, d * w - width), (0, 0)], 0.0);
            x.reshape([b, h, d, w, d, c]).permute([0, 2, 4, 1, 3, 5]).reshape([b * d * d, h, w, c])
        }));
        let [_, _, _, c] = parts.dims();
        parts.linear(|y| {
            let y = y.reshape([b, d, d, h, w, c]).permute([0, 3, 1, 4, 2, 5]).reshape([b, d * h, d * w, c]);
            y.slice([0..b, 0..height, 0..width, 0..c])
        })
    }

    /// The gradient for `x` of [`Self::forward`], `dy` being that of its result.
    pub fn gradient(&self, x: &Tensor<4>, dy: Tensor<4>) -> Tensor<4> {
        conv_input_gradient(x, &self.filter(), dy)
    }

    /// The convolution and what follows it.
    pub fn then(&self, x: Joined<Value>, then: Then<Value>) -> Value {
        Value::pass(Pass { x, upsample: false, filter: self.filter(), then })
    }
}
