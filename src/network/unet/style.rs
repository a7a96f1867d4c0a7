use serde::{Deserialize, Serialize};

use crate::network::layers::{AttentionStyle, BlockStyle, Groups, SKIP_SCALE};
use crate::ops::{Resample, Taps};
use crate::{Error, Result};

/// What the U-Nets of different papers do differently. The default is this crate's own network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Style {
    /// How a level leads to the next one.
    pub resampling: Resampling,
    /// The groups of normalisations.
    pub groups: Groups,
    /// The number of groups on levels that attend, if another: before the attention, and where a block reads two images
    /// joined.
    pub attending_groups: Option<usize>,
    /// Sums that end a block are multiplied by 1/sqrt 2.
    pub rescaled: bool,
    /// Whether the sums of the middle are, if otherwise.
    pub rescaled_middle: Option<bool>,
    /// Channels of a head of attention; `None` for a single head.
    pub head_channels: Option<usize>,
    /// On the way up only the last block of a level is followed by attention.
    pub attends_once: bool,
    /// The middle attends whether or not its level does.
    pub attends_in_the_middle: bool,
    /// Features of the noise level, an even number; `None` for as many as `channels`.
    pub features: Option<usize>,
    /// The noise level multiplies as well as shifts; see [`BlockStyle::scale_shift`].
    pub scale_shift: bool,
    /// Classes have vectors of their own, which are added to the noise level's.
    pub class_table: bool,
    /// How the image itself, ever smaller, joins the way down.
    pub input: InputPyramid,
    /// Every level of the way up adds to an image that grows with it ("output skip", NCSN++ at 256 pixels).
    pub output_skip: bool,
    /// Images of `[0, 1]` are taken to `[-1, 1]` first.
    pub centres: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            resampling: Resampling::Conv { pad: 1 },
            groups: Groups::default(),
            attending_groups: None,
            rescaled: true,
            rescaled_middle: None,
            head_channels: None,
            attends_once: false,
            attends_in_the_middle: false,
            features: None,
            scale_shift: false,
            class_table: false,
            input: InputPyramid::None,
            output_skip: false,
            centres: false,
        }
    }
}

/// How a level of a U-Net leads to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Resampling {
    /// By a convolution: of stride 2 down, after doubling every pixel up.
    Conv {
        /// Zeros before the first pixel on the way down: 1, or 0 as DDPM has it.
        pad: usize,
    },
    /// By a residual block both of whose branches are resampled (BigGAN).
    Block {
        /// The filter.
        taps: Taps,
        /// A 1x1 convolution leads around it (NCSN++).
        projects: bool,
    },
}

/// How the image itself, ever smaller, joins the way down of a U-Net (Song et al. 2021, appendix H).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputPyramid {
    /// Not at all.
    None,
    /// Halved, by a 1x1 convolution ("input skip").
    Skip,
    /// By a convolution of what it was on the level before ("residual").
    Residual,
}

/// `1/sqrt 2` or 1.
fn factor(rescaled: bool) -> f64 {
    if rescaled { SKIP_SCALE } else { 1.0 }
}

impl Style {
    /// Whether it is this crate's own network: such a table is not written.
    pub(super) fn is_own(&self) -> bool {
        *self == Self::default()
    }

    /// The factor of the sums on the way down and up.
    pub(super) fn scale(&self) -> f64 {
        factor(self.rescaled)
    }

    /// The blocks of the way down.
    pub(super) fn block(&self) -> BlockStyle {
        BlockStyle {
            groups: [self.groups; 2],
            scale: self.scale(),
            scale_shift: self.scale_shift,
            ..BlockStyle::default()
        }
    }

    /// The blocks of the way up, which read what came down as well.
    pub(super) fn joined_block(&self, attends: bool) -> BlockStyle {
        let first = if attends { self.attending() } else { self.groups };
        BlockStyle { groups: [first, self.groups], ..self.block() }
    }

    fn attending(&self) -> Groups {
        Groups { number: self.attending_groups.or(self.groups.number), ..self.groups }
    }

    /// The blocks of the middle.
    pub(super) fn middle_block(&self) -> BlockStyle {
        BlockStyle { scale: factor(self.rescaled_middle.unwrap_or(self.rescaled)), ..self.block() }
    }

    /// The blocks that lead to another level.
    pub(super) fn resampling_block(&self, resample: Resample, projects: bool) -> BlockStyle {
        BlockStyle { resample: Some(resample), projects, ..self.block() }
    }

    /// The attention of a level of `channels` channels.
    pub(super) fn attention(&self, channels: usize) -> AttentionStyle {
        AttentionStyle { groups: self.attending(), scale: self.scale(), heads: self.heads(channels) }
    }

    /// The attention of the middle.
    pub(super) fn middle_attention(&self, channels: usize) -> AttentionStyle {
        let scale = self.middle_block().scale;
        AttentionStyle { groups: self.groups, scale, heads: self.heads(channels) }
    }

    fn heads(&self, channels: usize) -> usize {
        channels / self.head_channels.unwrap_or(channels)
    }

    /// Checks every size for levels of these channels.
    pub(super) fn validate(&self, widths: &[usize]) -> Result<()> {
        let invalid = |what: &str, problem: String, fix: &str| {
            Err(Error::config(format!("network.style.{what}"), problem, fix))
        };
        let divides = |n: &usize| *n > 0 && widths.iter().all(|width| width.is_multiple_of(*n));
        let parts = [
            ("groups.number", self.groups.number),
            ("attending_groups", self.attending_groups),
            ("head_channels", self.head_channels),
        ];
        for (what, value) in parts {
            if let Some(value) = value.filter(|value| !divides(value)) {
                return invalid(what, format!("= {value} does not divide {widths:?}"), "choose a divisor");
            }
        }
        if !(self.groups.epsilon > 0.0 && self.groups.epsilon <= 1e-2) {
            let problem = format!("= {} is out of range", self.groups.epsilon);
            return invalid("groups.epsilon", problem, "choose a positive number up to 0.01");
        }
        if let Some(features) = self.features
            && !(features.is_multiple_of(2) && (2..=4096).contains(&features))
        {
            return invalid(
                "features",
                format!("= {features} is not allowed"),
                "choose an even number, 2 to 4096",
            );
        }
        if let Resampling::Conv { pad } = self.resampling
            && pad > 1
        {
            return invalid("resampling.pad", format!("= {pad} is out of range"), "choose 0 or 1");
        }
        Ok(())
    }
}
