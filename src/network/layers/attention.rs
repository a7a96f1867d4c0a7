use burn::module::Module;
use burn::tensor::{Tensor, activation::softmax};

use super::{Conv, Init, NormSilu};

/// Single-head self-attention over all pixels, `x + out(softmax(q·k/sqrt c)·v)`, scaled by
/// `1/sqrt 2`; the last projection starts at zero (DDPM's attention block, NCSN++'s skip scale).
#[derive(Module, Debug)]
pub struct Attention {
    norm: NormSilu,
    query: Conv,
    key: Conv,
    value: Conv,
    out: Conv,
}

impl Attention {
    /// Attention over `channels` channels.
    pub fn new(channels: usize, init: &mut Init) -> Self {
        let mut project = |scale| Conv::new(channels, channels, 1, 1, scale, init);
        let (query, key, value, out) = (project(0.1), project(0.1), project(0.1), project(0.0));
        Self { norm: NormSilu::new(channels, init), query, key, value, out }
    }

    /// Shape `[b, h, w, c]` kept; memory and time grow with `(h·w)²`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, h, w, c] = x.dims();
        let normalised = self.norm.normalise(x.clone());
        let flat = |t: Tensor<4>| t.reshape([b, h * w, c]);
        let query = flat(self.query.forward(normalised.clone()));
        let key = flat(self.key.forward(normalised.clone()));
        let value = flat(self.value.forward(normalised));
        let weights = softmax(query.matmul(key.swap_dims(1, 2)) / (c as f64).sqrt(), 2);
        let attended = weights.matmul(value).reshape([b, h, w, c]);
        (x + self.out.forward(attended)) * std::f64::consts::FRAC_1_SQRT_2
    }
}
