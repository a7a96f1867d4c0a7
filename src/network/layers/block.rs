use burn::module::Module;
use burn::tensor::Tensor;

use super::{Conv, Dropout, Init, NormSilu, TimeWidths};
use crate::ops::{Joined, Then};

/// `1/sqrt 2`: keeps the variance of a sum of two unit-variance branches at one (NCSN++).
pub const SKIP_SCALE: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// The residual block of DDPM and NCSN++: two normalised 3x3 convolutions, the noise level added
/// between them, the second starting at zero.
#[derive(Module, Debug)]
pub struct ResBlock {
    norm1: NormSilu,
    conv1: Conv,
    norm2: NormSilu,
    conv2: Conv,
    skip: Option<Conv>,
    /// Where this block's channels begin in what the [`TimeMlp`](super::TimeMlp) returns.
    time: usize,
}

impl ResBlock {
    /// `c_in` to `c_out` channels; `time` reserves those that the noise level shifts.
    pub fn new(c_in: usize, c_out: usize, time: &mut TimeWidths, init: &mut Init) -> Self {
        Self {
            norm1: NormSilu::new(c_in, init),
            conv1: Conv::new(c_in, c_out, 3, 1, 1.0, init),
            norm2: NormSilu::new(c_out, init),
            conv2: Conv::new(c_out, c_out, 3, 1, 0.0, init),
            skip: (c_in != c_out).then(|| Conv::new(c_in, c_out, 1, 1, 1.0, init)),
            time: time.reserve(c_out),
        }
    }

    /// `[b, h, w, c_in]` to `[b, h, w, c_out]`; `time` is `[b or 1, all channels]`.
    pub fn forward(&self, x: impl Into<Joined>, time: &Tensor<2>, dropout: Option<&Dropout>) -> Tensor<4> {
        let x = x.into();
        let h = self.norm1.forward(x.clone());
        let shift = Then::ShiftNormSilu { shift: time.clone(), first: self.time, norm: self.norm2.norm() };
        let h = self.conv1.then(h.into(), shift);
        let h = match dropout {
            Some(dropout) => dropout.apply(h),
            None => h,
        };
        let projection = self.skip.as_ref().map(Conv::filter);
        self.conv2.then(h.into(), Then::Add { x, projection, scale: SKIP_SCALE })
    }

    /// The gradient for `x` of [`Self::forward`] without dropout, `dy` being that of its result.
    pub fn gradient(&self, x: &Tensor<4>, time: &Tensor<2>, dy: Tensor<4>) -> Tensor<4> {
        let ([_, _, _, c_in], [_, _, _, c_out]) = (x.dims(), dy.dims());
        let no_shift = Tensor::zeros([1, c_in], &x.device());
        let shift = time.clone().narrow(1, self.time, c_out);
        let dy = dy * SKIP_SCALE;
        let between = self.conv1.forward(self.norm1.forward(x.clone()));
        let d_between = self.norm2.gradient(&between, &shift, self.conv2.gradient(&between, dy.clone()));
        let through = self.norm1.gradient(x, &no_shift, self.conv1.gradient(x, d_between));
        let around = match &self.skip {
            Some(skip) => skip.gradient(x, dy),
            None => dy,
        };
        through + around
    }
}
