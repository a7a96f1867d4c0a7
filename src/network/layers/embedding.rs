use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
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

/// Features of `classes` classes: a multiple of 4, as GPU kernels read them.
pub fn class_features(classes: usize) -> usize {
    classes.next_multiple_of(4)
}

/// Embeds noise levels and classes: features on the host, two dense layers with SiLU, and a third that holds
/// the projections of all blocks side by side, so that a device computes them in one go.
///
/// A class is one more feature, `sqrt(classes)` at its place (the one-hot code of Karras et al. 2022, of
/// variance one); an image of no class has zeros there, so the same layer serves both.
#[derive(Module, Debug)]
pub struct TimeMlp {
    first: Linear,
    second: Linear,
    blocks: Linear,
    dim: usize,
    classes: usize,
    #[module(skip)]
    embedding: Embedding,
}

impl TimeMlp {
    /// `dim` features (even) of the noise level, `classes` of the class, `4·dim` hidden units, and the outputs
    /// that the blocks have reserved.
    pub fn new(
        dim: usize,
        classes: usize,
        embedding: Embedding,
        blocks: &TimeWidths,
        init: &mut Init,
    ) -> Self {
        Self {
            first: Linear::new(dim + class_features(classes), 4 * dim, init),
            second: Linear::new(4 * dim, 4 * dim, init),
            blocks: Linear::new(4 * dim, blocks.0, init),
            dim,
            classes,
            embedding,
        }
    }

    /// What the layers read, `[rows, n]`: a row for the whole batch, or one per image where the levels or the
    /// `labels` differ. A network without classes takes no label but `None`.
    ///
    /// # Panics
    /// For a class that the network does not have.
    pub fn features(&self, c_noise: &[f64], labels: &[Option<usize>]) -> TensorData {
        let (rows, width) = (c_noise.len().max(labels.len()), self.dim + class_features(self.classes));
        let levels = self.embedding.features(c_noise, self.dim);
        let mut features = vec![0.0; rows * width];
        for (i, row) in features.chunks_exact_mut(width).enumerate() {
            let level = i.min(c_noise.len() - 1) * self.dim;
            row[..self.dim].copy_from_slice(&levels[level..level + self.dim]);
            if let Some(class) = labels.get(i.min(labels.len().saturating_sub(1))).copied().flatten() {
                assert!(class < self.classes, "class {class} of a network of {} classes", self.classes);
                row[self.dim + class] = (self.classes as f32).sqrt();
            }
        }
        TensorData::new(features, [rows, width])
    }

    /// `[rows, all blocks' channels]` for [`Self::features`].
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        ops::time_mlp(features, [&self.first, &self.second, &self.blocks].map(Linear::dense))
    }
}
