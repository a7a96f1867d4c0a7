use serde::{Deserialize, Serialize};

use crate::network::family::Architecture;
use crate::{Error, Result};

/// Sizes of the RefineNet of NCSN and NCSNv2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefineNetConfig {
    /// Channels of the first stage.
    pub channels: usize,
    /// Channels of each stage as multiples of `channels`.
    pub multipliers: Vec<usize>,
    /// The dilation of each stage's convolutions. A stage after the first halves the image if its dilation is 1, and keeps
    /// its size otherwise.
    pub dilations: Vec<usize>,
    /// The noise levels that the network tells apart; `None` for one that is the same at all of them (NCSNv2).
    pub levels: Option<Levels>,
    /// Images of `[0, 1]` are taken to `[-1, 1]` first.
    pub centres: bool,
}

/// A geometric ladder of noise levels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levels {
    /// The largest.
    pub sigma_max: f64,
    /// The smallest.
    pub sigma_min: f64,
    /// How many.
    pub number: usize,
}

impl Levels {
    /// The shares of the levels in `ln_sigma`, 0 being the largest: the level above it and that below, in proportion to how
    /// near it is to each; outside the ladder its end alone.
    pub fn shares(&self, ln_sigma: f64) -> Vec<f32> {
        let last = (self.number - 1) as f64;
        let step = (self.sigma_max / self.sigma_min).ln() / last;
        let place = ((self.sigma_max.ln() - ln_sigma) / step).clamp(0.0, last);
        (0..self.number).map(|level| (1.0 - (place - level as f64).abs()).max(0.0) as f32).collect()
    }
}

impl Default for RefineNetConfig {
    fn default() -> Self {
        Self {
            channels: 32,
            multipliers: vec![1, 2, 2, 2],
            dilations: vec![1, 1, 2, 4],
            levels: None,
            centres: false,
        }
    }
}

impl RefineNetConfig {
    /// NCSN (Song and Ermon 2019) at 32 pixels, ten levels from 1 to 0.01: 30,117,635 weights.
    pub fn ncsn() -> Self {
        let levels = Some(Levels { sigma_max: 1.0, sigma_min: 0.01, number: 10 });
        Self { channels: 128, levels, centres: true, ..Self::default() }
    }

    /// NCSN at 28 pixels (MNIST) with a single channel: 7,638,657 weights.
    pub fn ncsn_mnist() -> Self {
        Self { channels: 64, ..Self::ncsn() }
    }

    /// NCSNv2 (Song and Ermon 2020) at 32 and 64 pixels: 29,694,083 weights.
    pub fn ncsnv2() -> Self {
        Self { channels: 128, centres: true, ..Self::default() }
    }

    /// NCSNv2 at 96 and 128 pixels ("Deeper"): 83,445,379 weights.
    pub fn ncsnv2_deeper() -> Self {
        Self { multipliers: vec![1, 2, 2, 4, 4], dilations: vec![1, 1, 1, 2, 4], ..Self::ncsnv2() }
    }

    /// NCSNv2 at 256 pixels ("Deepest"): 94,132,611 weights.
    pub fn ncsnv2_deepest() -> Self {
        Self { multipliers: vec![1, 2, 2, 2, 4, 4], dilations: vec![1, 1, 1, 1, 2, 4], ..Self::ncsnv2() }
    }

    /// Channels of each stage.
    pub fn widths(&self) -> Vec<usize> {
        self.multipliers.iter().map(|multiplier| multiplier * self.channels).collect()
    }

    /// Channels of each stage, and the pixels that it convolves: a stage halves the image afterwards.
    fn stages(&self, height: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
        let mut pixels = height * width;
        self.widths().into_iter().enumerate().map(move |(stage, channels)| {
            let convolved = pixels;
            pixels /= if self.halves(stage) { 4 } else { 1 };
            (channels, convolved)
        })
    }

    /// Whether a stage halves the image.
    pub(super) fn halves(&self, stage: usize) -> bool {
        stage > 0 && self.dilations[stage] == 1
    }
}

impl Architecture for RefineNetConfig {
    fn validate(&self) -> Result<()> {
        let invalid =
            |what: String, fix: &str| Err(Error::config(format!("network.{what}"), "is out of range", fix));
        if !(4..=1024).contains(&self.channels) {
            return invalid(format!("channels = {}", self.channels), "choose 4 to 1024");
        }
        let stages = self.multipliers.len();
        if !(2..=8).contains(&stages) || self.dilations.len() != stages {
            let what = format!("multipliers, dilations (their numbers) = {stages}, {}", self.dilations.len());
            return invalid(what, "give 2 to 8 stages a multiplier and a dilation each");
        }
        if let Some(multiplier) = self.multipliers.iter().find(|m| !(1..=64).contains(*m)) {
            return invalid(format!("multipliers = {multiplier}"), "choose 1 to 64");
        }
        if let Some(dilation) = self.dilations.iter().find(|d| !(1..=16).contains(*d)) {
            return invalid(format!("dilations = {dilation}"), "choose 1 to 16");
        }
        if let Some(Levels { sigma_max, sigma_min, number }) = self.levels {
            let fine = sigma_min > 0.0 && sigma_max > sigma_min && sigma_max.is_finite();
            if !fine || !(2..=4096).contains(&number) {
                let what = format!("levels = {number} from {sigma_max} to {sigma_min}");
                return invalid(what, "choose 2 to 4096 levels from a larger to a smaller positive number");
            }
        }
        Ok(())
    }

    fn validate_for(&self, _: usize, _: usize) -> Result<()> {
        self.validate()
    }

    fn heaviest(&self, height: usize, width: usize) -> f64 {
        let convolutions =
            self.stages(height, width).map(|(channels, pixels)| 2 * 9 * pixels * channels * channels);
        convolutions.max().unwrap_or_default() as f64
    }

    /// One of every unit of the stages.
    fn main_weights(&self) -> Vec<(String, [usize; 2])> {
        let widths = self.widths();
        let stages = widths.iter().enumerate().flat_map(|(stage, &width)| {
            let before = widths[stage.saturating_sub(1)];
            [before, width].into_iter().enumerate().map(move |(unit, c_in)| {
                (format!("stages.{stage}.units.{unit}.conv2.weight"), [9 * c_in, width])
            })
        });
        stages.collect()
    }

    fn largest_output(&self, height: usize, width: usize) -> u64 {
        self.stages(height, width)
            .map(|(channels, pixels)| (channels * pixels) as u64)
            .max()
            .unwrap_or_default()
    }

    fn classes(&self) -> usize {
        0
    }

    fn learn_classes(&mut self, _: usize) -> Option<&'static str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten levels from 1 to .01: at a level its row alone, between two the two beside it, beyond the ends the end.
    #[test]
    fn a_noise_level_is_shared_by_the_two_beside_it() {
        let levels = RefineNetConfig::ncsn().levels.unwrap();
        let step = 100.0_f64.ln() / 9.0;
        for (place, expected) in
            [(0.0, [1.0, 0.0]), (0.25, [0.75, 0.25]), (1.0, [0.0, 1.0]), (-3.0, [1.0, 0.0])]
        {
            let shares = levels.shares(-place * step);
            assert_eq!(shares.len(), 10);
            assert!(
                shares.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6),
                "{shares:?}"
            );
            assert!(shares[2..].iter().all(|share| *share < 1e-6));
        }
        assert_eq!(levels.shares(-20.0)[9], 1.0);
    }
}
