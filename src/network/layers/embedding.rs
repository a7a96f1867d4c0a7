use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Init, Linear};
use crate::ops;
use crate::rng::{Domain, Noise};

/// How a noise level `c_noise` becomes a vector that a network can read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Embedding {
    /// `(sin, cos)(2π·f·c_noise)` with frequencies `f ~ N(0, scale²)` that are part of the seed
    /// (NCSN++, scale 16 on ln sigma; EDM-style `ln(sigma)/4` wants 1 to 4).
    Fourier {
        /// Standard deviation of the frequencies.
        scale: f64,
    },
    /// `(sin, cos)(c_noise·10000^(-i/(half - 1)))` (DDPM, on `999·t`).
    Positional,
}

impl Embedding {
    /// The features of each noise level on the host: `[levels, dim]`, sines first, then cosines.
    pub fn features(&self, levels: &[f64], dim: usize) -> Vec<f32> {
        let half = dim / 2;
        let frequencies: Vec<f64> = match self {
            Self::Fourier { scale } => Noise::new(0)
                .domain(Domain::Init)
                .normal(u32::MAX, 1, half)
                .into_iter()
                .map(|f| std::f64::consts::TAU * scale * f64::from(f))
                .collect(),
            Self::Positional => {
                let last = (half - 1).max(1) as f64;
                (0..half).map(|i| (-(1e4_f64.ln()) * i as f64 / last).exp()).collect()
            }
        };
        let mut features = Vec::with_capacity(levels.len() * dim);
        for level in levels {
            features.extend(frequencies.iter().map(|f| (f * level).sin() as f32));
            features.extend(frequencies.iter().map(|f| (f * level).cos() as f32));
        }
        features
    }
}

/// The channels that the noise level shifts, block after block.
#[derive(Debug, Default)]
pub struct TimeWidths(usize);

impl TimeWidths {
    /// Makes room for `width` channels; returns where they begin.
    pub fn reserve(&mut self, width: usize) -> usize {
        self.0 += width;
        self.0 - width
    }
}

/// Embeds noise levels: features on the host, two dense layers with SiLU, and a third that holds the
/// projections of all blocks side by side, so that a device computes them in one go.
#[derive(Module, Debug)]
pub struct TimeMlp {
    first: Linear,
    second: Linear,
    blocks: Linear,
    dim: usize,
    #[module(skip)]
    embedding: Embedding,
}

impl TimeMlp {
    /// `dim` features (even), `4·dim` hidden units, and the outputs that the blocks have reserved.
    pub fn new(dim: usize, embedding: Embedding, blocks: &TimeWidths, init: &mut Init) -> Self {
        Self {
            first: Linear::new(dim, 4 * dim, init),
            second: Linear::new(4 * dim, 4 * dim, init),
            blocks: Linear::new(4 * dim, blocks.0, init),
            dim,
            embedding,
        }
    }

    /// `[levels, all blocks' channels]`.
    pub fn forward(&self, c_noise: &[f64], device: &Device) -> Tensor<2> {
        let features = self.embedding.features(c_noise, self.dim);
        let features =
            Tensor::<1>::from_floats(features.as_slice(), device).reshape([c_noise.len(), self.dim]);
        ops::time_mlp(features, [&self.first, &self.second, &self.blocks].map(Linear::dense))
    }
}
