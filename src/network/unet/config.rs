use serde::{Deserialize, Serialize};

use super::style::Style;
use crate::network::family::Architecture;
use crate::network::layers::Embedding;
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
    /// Whether it is told how the images it learns from were moved (`augment` of the training).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub moves: bool,
    /// How the network reads the noise level.
    pub embedding: Embedding,
    /// What else differs from paper to paper.
    #[serde(skip_serializing_if = "Style::is_own")]
    pub style: Style,
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
            moves: false,
            embedding: Embedding::Fourier { scale: 1.0 },
            style: Style::default(),
        }
    }
}

impl UNetConfig {
    /// Channels of each level.
    pub fn widths(&self) -> Vec<usize> {
        self.multipliers.iter().map(|multiplier| multiplier * self.channels).collect()
    }

    /// Features of the noise level.
    pub fn features(&self) -> usize {
        self.style.features.unwrap_or(self.channels)
    }

    /// Pixels of a level, of images of this size.
    fn pixels(&self, level: usize, height: usize, width: usize) -> usize {
        let multiple = self.patch << (self.multipliers.len() - 1);
        let side = |size: usize| size.next_multiple_of(multiple) / (self.patch << level);
        side(height) * side(width)
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
        range("classes", self.classes, 0, 1000)?;
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
        if let Embedding::Frequencies { values } = &self.embedding
            && (2 * values.len() != self.features() || values.iter().any(|value| !value.is_finite()))
        {
            let problem = format!("are not {} finite numbers", self.features() / 2);
            return Err(Error::config("network.embedding.values", problem, "give half as many as features"));
        }
        if self.moves && self.style.class_table {
            let problem = "does not fit a network with a table of classes";
            return Err(Error::config("network.moves", problem, "leave out one of the two"));
        }
        self.style.validate(&self.widths())
    }

    /// No level may attend over more pixels than fit into memory: it needs the square of their number for every image
    /// of a batch.
    fn validate_for(&self, height: usize, width: usize) -> Result<()> {
        const MOST_PIXELS: usize = 64 * 64;
        self.validate()?;
        let middle = self.style.attends_in_the_middle.then_some(self.multipliers.len() - 1);
        for level in self.attention_levels.iter().copied().chain(middle) {
            let pixels = self.pixels(level, height, width);
            if pixels > MOST_PIXELS {
                let problem = format!("has level {level}, which attends over {pixels} pixels");
                let fix = format!("leave it to levels of at most {MOST_PIXELS}");
                return Err(Error::config("network.attention_levels", problem, fix));
            }
        }
        Ok(())
    }

    /// On the way up a convolution reads what came from below and what came down; attention compares all pixels.
    fn heaviest(&self, height: usize, width: usize) -> f64 {
        let widths = self.widths();
        let of_level = |level: usize| {
            let (pixels, channels) = (self.pixels(level, height, width), widths[level]);
            let below = widths.get(level + 1).copied().unwrap_or(0).max(channels);
            let convolution = 2 * 9 * pixels * (channels + below) * channels;
            let attends = self.attention_levels.contains(&level);
            let attention = if attends { 4 * pixels * pixels * channels } else { 0 };
            convolution.max(attention) as f64
        };
        (0..widths.len()).map(of_level).fold(0.0, f64::max)
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

    /// On the way up a level is first given the channels of the one below it.
    fn largest_output(&self, height: usize, width: usize) -> u64 {
        let widths = self.widths();
        let outputs = (0..widths.len()).map(|level| {
            let below = widths.get(level + 1).copied().unwrap_or_default();
            widths[level].max(below) as u64 * self.pixels(level, height, width) as u64
        });
        outputs.max().unwrap_or_default()
    }

    fn classes(&self) -> usize {
        self.classes
    }

    /// A row of a table stands for each class, and none for their absence.
    fn needs_class(&self) -> bool {
        self.style.class_table
    }

    fn learn_classes(&mut self, classes: usize) -> Option<&'static str> {
        self.classes = classes;
        self.style.class_table = false;
        Some("time.first.weight")
    }

    fn knows_moves(&self) -> bool {
        self.moves
    }

    fn learn_moves(&mut self) -> Option<&'static str> {
        self.moves = true;
        Some("time.first.weight")
    }
}
