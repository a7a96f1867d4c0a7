use burn::module::Module;
use burn::tensor::Tensor;

use super::{Conv, Dropout, Init, Linear, NormSilu};

/// `1/sqrt 2`: keeps the variance of a sum of two unit-variance branches at one (NCSN++).
const SKIP_SCALE: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// The residual block of DDPM and NCSN++: two normalised 3x3 convolutions, the noise level added
/// between them, the second starting at zero.
#[derive(Module, Debug)]
pub struct ResBlock {
    norm1: NormSilu,
    conv1: Conv,
    time: Linear,
    norm2: NormSilu,
    conv2: Conv,
    skip: Option<Conv>,
}

impl ResBlock {
    /// `c_in` to `c_out` channels; `c_time` is the width of the time embedding.
    pub fn new(c_in: usize, c_out: usize, c_time: usize, init: &mut Init) -> Self {
        Self {
            norm1: NormSilu::new(c_in, init),
            conv1: Conv::new(c_in, c_out, 3, 1, 1.0, init),
            time: Linear::new(c_time, c_out, init),
            norm2: NormSilu::new(c_out, init),
            conv2: Conv::new(c_out, c_out, 3, 1, 0.0, init),
            skip: (c_in != c_out).then(|| Conv::new(c_in, c_out, 1, 1, 1.0, init)),
        }
    }

    /// `[b, h, w, c_in]` to `[b, h, w, c_out]`; `time` is `[b or 1, c_time]`.
    pub fn forward(&self, x: Tensor<4>, time: &Tensor<2>, dropout: Option<&Dropout>) -> Tensor<4> {
        let h = self.conv1.forward(self.norm1.forward(x.clone()));
        let shift = self.time.forward(time.clone());
        let [n, c] = shift.dims();
        let h = self.norm2.forward(h + shift.reshape([n, 1, 1, c]));
        let h = self.conv2.forward(match dropout {
            Some(dropout) => dropout.apply(h),
            None => h,
        });
        let x = match &self.skip {
            Some(skip) => skip.forward(x),
            None => x,
        };
        (x + h) * SKIP_SCALE
    }
}
