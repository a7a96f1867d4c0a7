//! The U-Net of the DDPM++/NCSN++ family.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::family::{Architecture, ScoreNetwork};
use super::layers::{
    Attention, Conv, Dropout, Embedding, Init, NormSilu, ResBlock, TimeMlp, TimeWidths, depth_to_space,
    fill_up, space_to_depth,
};
use crate::ops::Joined;
use crate::{Error, Result};

/// Sizes of the U-Net of the DDPM++/NCSN++ family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UNetConfig {
    /// Channels of the highest resolution; a multiple of 4.
    pub channels: usize,
    /// Channels of each level as multiples of `channels`; each further level halves the image.
    pub multipliers: Vec<usize>,
    /// Residual blocks per level on the way down; the way up has one more.
    pub blocks: usize,
    /// Levels (0 is the highest resolution) that attend over all their pixels.
    pub attention_levels: Vec<usize>,
    /// Side of the patches that the stem turns into channels: 2 makes the network four times cheaper.
    pub patch: usize,
    /// Classes that the images may be asked for; 0 for a network that knows of none.
    pub classes: usize,
    /// How the network reads the noise level.
    pub embedding: Embedding,
}

impl Default for UNetConfig {
    fn default() -> Self {
        Self {
            channels: 32,
            multipliers: vec![1, 2],
            blocks: 1,
            attention_levels: vec![],
            patch: 2,
            classes: 0,
            embedding: Embedding::Fourier { scale: 1.0 },
        }
    }
}

impl Architecture for UNetConfig {
    fn validate(&self) -> Result<()> {
        let range = |what: &str, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::config(
                format!("network.{what} = {value}"),
                "is out of range",
                format!("choose {low} to {high}"),
            ))
        };
        range("channels", self.channels, 4, 1024)?;
        range("blocks", self.blocks, 1, 16)?;
        range("patch", self.patch, 1, 16)?;
        range("classes", self.classes, 0, 256)?;
        range("multipliers (their number)", self.multipliers.len(), 1, 8)?;
        for &multiplier in &self.multipliers {
            range("multipliers", multiplier, 1, 64)?;
        }
        for &level in &self.attention_levels {
            range("attention_levels", level, 0, self.multipliers.len() - 1)?;
        }
        if !self.channels.is_multiple_of(4) {
            return Err(Error::config(
                "network.channels",
                "is not a multiple of 4",
                "choose a multiple of 4",
            ));
        }
        Ok(())
    }

    /// No level may attend over more pixels than fit into memory: it needs the square of their number for every image
    /// of a batch.
    fn validate_for(&self, height: usize, width: usize) -> Result<()> {
        const MOST_PIXELS: usize = 64 * 64;
        self.validate()?;
        let multiple = self.patch << (self.multipliers.len() - 1);
        for &level in &self.attention_levels {
            let side = |size: usize| size.next_multiple_of(multiple) / (self.patch << level);
            let pixels = side(height) * side(width);
            if pixels > MOST_PIXELS {
                let problem = format!("has level {level}, which attends over {pixels} pixels");
                let fix = format!("leave it to levels of at most {MOST_PIXELS}");
                return Err(Error::config("network.attention_levels", problem, fix));
            }
        }
        Ok(())
    }

    /// One of every block on the way down.
    fn main_weights(&self) -> Vec<(String, [usize; 2])> {
        let blocks = (0..self.multipliers.len()).flat_map(|level| (0..self.blocks).map(move |b| (level, b)));
        blocks
            .map(|(level, block)| {
                let width = self.multipliers[level] * self.channels;
                (format!("down.{level}.stages.{block}.block.conv2.weight"), [9 * width, width])
            })
            .collect()
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn learn_classes(&mut self, classes: usize) -> &'static str {
        self.classes = classes;
        "time.first.weight"
    }
}

/// A block and the attention that may follow it.
#[derive(Module, Debug)]
struct Stage {
    block: ResBlock,
    attention: Option<Attention>,
}

impl Stage {
    fn forward(&self, x: impl Into<Joined>, time: &Tensor<2>, dropout: Option<&Dropout>) -> Tensor<4> {
        let x = self.block.forward(x, time, dropout);
        match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        }
    }
}

/// One resolution: its blocks, and the convolution that leads to the next one.
#[derive(Module, Debug)]
struct Level {
    stages: Vec<Stage>,
    resample: Option<Conv>,
}

/// Predicts an image-shaped quantity from a noisy image and its noise level.
///
/// DDPM's U-Net with the changes of DDPM++ (Song et al. 2021, appendix H): residual branches scaled
/// by 1/sqrt 2, zero-initialised last convolutions, GroupNorm of epsilon 1e-6. The stem may turn
/// patches into channels, which makes the network several times cheaper at little loss for small
/// images. Works on any image size: the input is padded with zeros to a multiple of
/// `patch·2^(levels - 1)` and the output cropped.
#[derive(Module, Debug)]
pub struct UNet {
    time: TimeMlp,
    stem: Conv,
    down: Vec<Level>,
    middle: Vec<Stage>,
    up: Vec<Level>,
    norm: NormSilu,
    head: Conv,
    patch: usize,
}

impl ScoreNetwork for UNet {
    type Config = UNetConfig;

    fn new(config: &UNetConfig, c_in: usize, c_out: usize, init: &mut Init) -> Self {
        let widths: Vec<usize> = config.multipliers.iter().map(|m| m * config.channels).collect();
        let levels = widths.len();
        let area = config.patch * config.patch;
        let mut time = TimeWidths::default();
        let stem = Conv::new(c_in * area, widths[0], 3, 1, 1.0, init);
        let mut stage = |level: usize, c_in: usize, attends: bool, init: &mut Init| Stage {
            block: ResBlock::new(c_in, widths[level], &mut time, init),
            attention: attends.then(|| Attention::new(widths[level], init)),
        };
        let attends = |level: usize| config.attention_levels.contains(&level);

        // The widths of the images that the way up will read again, in the order they are made.
        let mut kept = vec![widths[0]];
        let mut width = widths[0];
        let mut down = Vec::new();
        for (level, &level_width) in widths.iter().enumerate() {
            let mut stages = Vec::new();
            for _ in 0..config.blocks {
                stages.push(stage(level, width, attends(level), init));
                width = level_width;
                kept.push(width);
            }
            let resample = (level + 1 < levels).then(|| Conv::new(width, width, 3, 2, 1.0, init));
            if resample.is_some() {
                kept.push(width);
            }
            down.push(Level { stages, resample });
        }

        let last = levels - 1;
        let middle = vec![stage(last, width, attends(last), init), stage(last, width, false, init)];

        let mut up = Vec::new();
        for level in (0..levels).rev() {
            let mut stages = Vec::new();
            for _ in 0..=config.blocks {
                stages.push(stage(level, width + kept.pop().unwrap_or(0), attends(level), init));
                width = widths[level];
            }
            let resample = (level > 0).then(|| Conv::new(width, width, 3, 1, 1.0, init));
            up.push(Level { stages, resample });
        }

        let time = TimeMlp::new(config.channels, config.classes, config.embedding, &time, init);
        let norm = NormSilu::new(width, init);
        let head = Conv::new(width, c_out * area, 3, 1, 0.0, init);
        Self { time, stem, down, middle, up, norm, head, patch: config.patch }
    }

    fn is_autodiff(&self) -> bool {
        self.stem.filter().weight.is_autodiff()
    }

    fn features(&self, c_noise: &[f64], labels: &[Option<usize>]) -> TensorData {
        self.time.features(c_noise, labels)
    }

    fn forward_features(&self, x: Tensor<4>, features: Tensor<2>, dropout: Option<&Dropout>) -> Tensor<4> {
        let [b, _, height, width] = x.dims();
        let multiple = self.patch << (self.down.len() - 1);
        let time = self.time.forward(features);
        let mut x = self.stem.forward(space_to_depth(fill_up(x, multiple), self.patch));
        let mut kept = vec![x.clone()];
        for level in &self.down {
            for stage in &level.stages {
                x = stage.forward(x, &time, dropout);
                kept.push(x.clone());
            }
            if let Some(resample) = &level.resample {
                x = resample.forward(x);
                kept.push(x.clone());
            }
        }
        for stage in &self.middle {
            x = stage.forward(x, &time, dropout);
        }
        for level in &self.up {
            for stage in &level.stages {
                x = match kept.pop() {
                    Some(skip) => stage.forward(Joined::new(x, skip), &time, dropout),
                    None => stage.forward(x, &time, dropout),
                };
            }
            if let Some(resample) = &level.resample {
                x = resample.forward_upsampled(x);
            }
        }
        let x = depth_to_space(self.head.forward(self.norm.forward(x)), self.patch);
        let [_, channels, _, _] = x.dims();
        x.slice([0..b, 0..channels, 0..height, 0..width])
    }
}
