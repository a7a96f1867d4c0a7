use burn::module::Module;

use super::block::SKIP_SCALE;
use super::{Conv, Groups, Init, NormSilu};
use crate::ops::{Then, Value};

/// What attention of different papers does differently. The default is NCSN++'s.
#[derive(Debug, Clone, Copy)]
pub struct AttentionStyle {
    /// Groups of the normalisation.
    pub groups: Groups,
    /// Multiplies the sum of input and result.
    pub scale: f64,
    /// Heads, each of which attends with its own part of the channels; a divisor of their number.
    pub heads: usize,
}

impl Default for AttentionStyle {
    fn default() -> Self {
        Self { groups: Groups::default(), scale: SKIP_SCALE, heads: 1 }
    }
}

/// Self-attention over all pixels, `scale·(x + out(softmax(q·k/sqrt d)·v))` with the `d` channels of a head; the last
/// projection starts at zero (DDPM's attention block, NCSN++'s skip scale).
#[derive(Module, Debug)]
pub struct Attention {
    norm: NormSilu,
    /// Query, key and value.
    qkv: Conv,
    out: Conv,
    scale: f64,
    heads: usize,
}

impl Attention {
    /// Attention over `channels` channels, by one head.
    pub fn new(channels: usize, init: &mut Init) -> Self {
        Self::with(channels, AttentionStyle::default(), init)
    }

    /// [`Self::new`] in another style.
    pub fn with(channels: usize, style: AttentionStyle, init: &mut Init) -> Self {
        let norm = NormSilu::with(channels, style.groups, init);
        let qkv = Conv::new(channels, 3 * channels, 1, 1, 0.1, init);
        let out = Conv::new(channels, channels, 1, 1, 0.0, init);
        Self { norm, qkv, out, scale: style.scale, heads: style.heads }
    }

    /// Shape `[b, h, w, c]` kept; time grows with `(h·w)²`.
    pub fn forward(&self, x: Value) -> Value {
        let qkv = x.clone().conv_normalised(&self.norm.norm(), self.qkv.filter());
        match self.heads {
            1 => qkv.attention_added(self.out.filter(), x, self.scale),
            heads => {
                let attended = by_heads(qkv, heads);
                self.out.then(attended.into(), Then::Add { x: x.into(), projection: None, scale: self.scale })
            }
        }
    }
}

/// Attention of each head alone: `[b, h, w, 3c]` to `[b, h, w, c]`.
fn by_heads(qkv: Value, heads: usize) -> Value {
    let [b, h, w, channels] = qkv.dims();
    let (n, d) = (h * w, channels / 3 / heads);
    let parts = qkv.linear(|qkv| {
        qkv.reshape([b, n, 3, heads, d]).permute([0, 3, 1, 2, 4]).reshape([b * heads, h, w, 3 * d])
    });
    parts
        .attention()
        .linear(|y| y.reshape([b, heads, n, d]).permute([0, 2, 1, 3]).reshape([b, h, w, heads * d]))
}
