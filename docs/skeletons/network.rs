use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::family::{Architecture, ScoreNetwork};
use super::layers::{Context, Conv, Dropout, Embedding, Init, NormSilu, ResBlock, TimeMlp, TimeWidths};
use crate::ops::Value;
use crate::{Error, Result};

/// Sizes of a [`Plain`] network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlainConfig {
    /// Channels; a multiple of 4.
    pub channels: usize,
    /// Residual blocks.
    pub blocks: usize,
}

impl Default for PlainConfig {
    fn default() -> Self {
        Self { channels: 32, blocks: 4 }
    }
}

impl Architecture for PlainConfig {
    fn validate(&self) -> Result<()> {
        let fine = (4..=1024).contains(&self.channels) && self.channels.is_multiple_of(4);
        match fine && (1..=64).contains(&self.blocks) {
            true => Ok(()),
            false => Err(Error::config(
                format!("network.channels, blocks = {}, {}", self.channels, self.blocks),
                "is not allowed",
                "use a multiple of 4 up to 1024, and 1 to 64 blocks",
            )),
        }
    }

    fn validate_for(&self, _: usize, _: usize) -> Result<()> {
        self.validate()
    }

    fn heaviest(&self, height: usize, width: usize) -> f64 {
        (2 * 9 * height * width * self.channels * self.channels) as f64
    }

    fn main_weights(&self) -> Vec<(String, [usize; 2])> {
        let shape = [9 * self.channels, self.channels];
        (0..self.blocks).map(|block| (format!("blocks.{block}.conv2.weight"), shape)).collect()
    }

    fn largest_output(&self, height: usize, width: usize) -> u64 {
        (self.channels * height * width) as u64
    }

    fn classes(&self) -> usize {
        0
    }

    fn learn_classes(&mut self, _: usize) -> Option<&'static str> {
        None
    }
}

/// Residual blocks at full resolution and nothing else. Say here: whose network it is, and what differs.
#[derive(Module, Debug)]
pub struct Plain {
    time: TimeMlp,
    stem: Conv,
    blocks: Vec<ResBlock>,
    norm: NormSilu,
    head: Conv,
}

impl ScoreNetwork for Plain {
    type Config = PlainConfig;

    fn new(config: &PlainConfig, c_in: usize, c_out: usize, init: &mut Init) -> Self {
        let (c, mut widths) = (config.channels, TimeWidths::default());
        let stem = Conv::new(c_in, c, 3, 1, 1.0, init);
        let blocks = (0..config.blocks).map(|_| ResBlock::new(c, c, &mut widths, init)).collect();
        let time = TimeMlp::new(c, 0, Embedding::Fourier { scale: 1.0 }, &widths, init);
        Self { time, stem, blocks, norm: NormSilu::new(c, init), head: Conv::new(c, c_out, 3, 1, 0.0, init) }
    }

    fn features(&self, c_noise: &[f64], context: Context<'_>) -> TensorData {
        self.time.features(c_noise, context)
    }

    fn forward_features(&self, x: Value, features: Tensor<2>, dropout: Option<&Dropout>) -> Value {
        let time = self.time.forward(features);
        let x = self.stem.forward(x.linear(|x| x.permute([0, 2, 3, 1])));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x, &time, dropout));
        self.head.forward(self.norm.forward(x)).linear(|x| x.permute([0, 3, 1, 2]))
    }

    fn is_autodiff(&self) -> bool {
        self.stem.filter().weight.is_autodiff()
    }
}
