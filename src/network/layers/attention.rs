use burn::module::Module;
use burn::tensor::Tensor;

use super::block::SKIP_SCALE;
use super::{Conv, Init, NormSilu};
use crate::ops::{attention_added, conv_normalised};

/// Single-head self-attention over all pixels, `x + out(softmax(q·k/sqrt c)·v)`, scaled by
/// `1/sqrt 2`; the last projection starts at zero (DDPM's attention block, NCSN++'s skip scale).
#[derive(Module, Debug)]
pub struct Attention {
    norm: NormSilu,
    /// Query, key and value.
    qkv: Conv,
    out: Conv,
}

impl Attention {
    /// Attention over `channels` channels.
    pub fn new(channels: usize, init: &mut Init) -> Self {
        let norm = NormSilu::new(channels, init);
        let qkv = Conv::new(channels, 3 * channels, 1, 1, 0.1, init);
        Self { norm, qkv, out: Conv::new(channels, channels, 1, 1, 0.0, init) }
    }

    /// Shape `[b, h, w, c]` kept; time grows with `(h·w)²`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, h, w, c] = x.dims();
        let qkv = conv_normalised(x.clone(), &self.norm.norm(), self.qkv.filter());
        attention_added(qkv.reshape([b, h * w, 3 * c]), self.out.filter(), x, SKIP_SCALE)
    }
}
