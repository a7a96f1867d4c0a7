use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{Context, Init, Linear, Moved};
use crate::ops::{self, silu};
use crate::rng::{Domain, Noise};

/// How a noise level `c_noise` becomes a vector that a network can read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// `(sin, cos)(f·c_noise)` with these frequencies: those that a published network was trained with.
    Frequencies {
        /// Half as many as there are features.
        values: Vec<f64>,
    },
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
            Self::Frequencies { values } => values.clone(),
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

/// Features of how an image was moved, likewise.
pub const MOVE_FEATURES: usize = std::mem::size_of::<Moved>().div_ceil(4 * std::mem::size_of::<f32>()) * 4;

/// The sizes of a [`TimeMlp`].
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeSizes {
    /// Features of the noise level, an even number.
    pub features: usize,
    /// Units of the two hidden layers.
    pub hidden: usize,
    /// Classes; 0 for a network that knows of none.
    pub classes: usize,
    /// Each class has a vector that is added to the second layer (Dhariwal and Nichol 2021); otherwise it is one more
    /// feature of the first.
    pub class_table: bool,
    /// Whether it is told how images were moved.
    pub moves: bool,
}

/// Embeds noise levels and classes: features on the host, two dense layers with SiLU, and a third that holds
/// the projections of all blocks side by side, so that a device computes them in one go.
///
/// A class is one more feature, `sqrt(classes)` at its place (the one-hot code of Karras et al. 2022, of
/// variance one); an image of no class has zeros there, so the same layer serves both. How an image was moved is told after
/// that, zeros if it was not.
#[derive(Module, Debug)]
pub struct TimeMlp {
    first: Linear,
    second: Linear,
    blocks: Linear,
    table: Option<Param<Tensor<2>>>,
    dim: usize,
    classes: usize,
    moves: bool,
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
        let sizes = TimeSizes { features: dim, hidden: 4 * dim, classes, ..TimeSizes::default() };
        Self::with(sizes, embedding, blocks, init)
    }

    /// [`Self::new`] of other sizes.
    pub fn with(sizes: TimeSizes, embedding: Embedding, blocks: &TimeWidths, init: &mut Init) -> Self {
        let TimeSizes { features: dim, hidden, classes, class_table, moves } = sizes;
        let class_table = class_table && classes > 0;
        let told =
            if class_table { 0 } else { class_features(classes) + if moves { MOVE_FEATURES } else { 0 } };
        Self {
            first: Linear::new(dim + told, hidden, init),
            second: Linear::new(hidden, hidden, init),
            blocks: Linear::new(hidden, blocks.0, init),
            table: class_table.then(|| init.normal([classes, hidden], 0.0, 1.0)),
            dim,
            classes,
            moves,
            embedding,
        }
    }

    /// What the layers read, `[rows, n]`: a row for the whole batch, or one per image where the levels or what they are told
    /// differ. A network without classes takes no label but `None`.
    ///
    /// # Panics
    /// For a class that the network does not have, or moved images if it does not know of moves.
    pub fn features(&self, c_noise: &[f64], Context { labels, moved, .. }: Context<'_>) -> TensorData {
        assert!(self.moves || moved.is_empty(), "moved images of a network that knows of none");
        let rows = c_noise.len().max(labels.len()).max(moved.len());
        let known = self.dim + class_features(self.classes);
        let width = known + if self.moves { MOVE_FEATURES } else { 0 };
        let levels = self.embedding.features(c_noise, self.dim);
        let mut features = vec![0.0; rows * width];
        for (i, row) in features.chunks_exact_mut(width).enumerate() {
            let level = i.min(c_noise.len() - 1) * self.dim;
            row[..self.dim].copy_from_slice(&levels[level..level + self.dim]);
            if let Some(class) = labels.get(i.min(labels.len().saturating_sub(1))).copied().flatten() {
                assert!(class < self.classes, "class {class} of a network of {} classes", self.classes);
                row[self.dim + class] = if self.table.is_some() { 1.0 } else { (self.classes as f32).sqrt() };
            }
            if let Some(moved) = moved.get(i) {
                row[known..known + moved.len()].copy_from_slice(moved);
            }
        }
        TensorData::new(features, [rows, width])
    }

    /// `[rows, all blocks' channels]` for [`Self::features`].
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        match &self.table {
            None => ops::time_mlp(features, [&self.first, &self.second, &self.blocks].map(Linear::dense)),
            Some(table) => self.forward_with_classes(features, table.val()),
        }
    }

    /// The vector of the class joins the second layer.
    fn forward_with_classes(&self, features: Tensor<2>, table: Tensor<2>) -> Tensor<2> {
        let [_, hidden] = table.dims();
        let level = features.clone().narrow(1, 0, self.dim);
        let class = features.narrow(1, self.dim, self.classes);
        let level = self.second.forward(silu(self.first.forward(level)));
        let no_bias = Tensor::zeros([hidden], &table.device());
        self.blocks.forward(silu(level + ops::linear(class, (table, no_bias))))
    }
}
