//! `UNet2DModel` of `diffusers`, in every layout that its published networks use: DDPM's, NCSN++'s (skip blocks), and that
//! of the consistency models.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

use super::Published;
use super::state::{Renamed, StateDict};
use super::unet::{Attention, Block, Names, Place, transfer};
use crate::network::layers::{Embedding, Groups};
use crate::network::{InputPyramid, Resampling, Style, UNetConfig};
use crate::ops::Taps;
use crate::{Error, Result};

/// `config.json` of a `UNet2DModel`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct UNet2DModel {
    /// Channels of each level.
    pub block_out_channels: Vec<usize>,
    /// Kinds of the levels on the way down.
    pub down_block_types: Vec<String>,
    /// Kinds of the levels on the way up.
    pub up_block_types: Vec<String>,
    /// Blocks of a level.
    pub layers_per_block: usize,
    /// Whether the middle attends; published files from before the choice do.
    #[serde(default = "yes")]
    pub add_attention: bool,
    /// Channels of a head of attention.
    #[serde(default)]
    pub attention_head_dim: Option<usize>,
    /// Groups of the middle's attention.
    #[serde(default)]
    pub attn_norm_num_groups: Option<usize>,
    /// Groups of normalisations.
    #[serde(default)]
    pub norm_num_groups: Option<usize>,
    /// Added to variances.
    pub norm_eps: f64,
    /// Whether images of `[0, 1]` are taken to `[-1, 1]`.
    #[serde(default)]
    pub center_input_sample: bool,
    /// Zeros before the first pixel of convolutions that lead down.
    #[serde(default = "one")]
    pub downsample_padding: usize,
    /// `conv` or `resnet`.
    #[serde(default = "conv")]
    pub downsample_type: String,
    /// `default` or `scale_shift`.
    #[serde(default = "usual")]
    pub resnet_time_scale_shift: String,
    /// `positional` or `fourier`.
    #[serde(default = "positional")]
    pub time_embedding_type: String,
    /// Whether cosines go before sines.
    #[serde(default)]
    pub flip_sin_to_cos: bool,
    /// The slowest frequency is `10000^-((half - 1)/(half - freq_shift))`.
    #[serde(default)]
    pub freq_shift: f64,
    /// The middle's sums are divided by it.
    #[serde(default = "unit")]
    pub mid_block_scale_factor: f64,
    /// Classes.
    #[serde(default)]
    pub num_class_embeds: Option<usize>,
    /// Another way to read classes, which no published network uses.
    #[serde(default)]
    pub class_embed_type: Option<String>,
    /// `silu`.
    #[serde(default = "silu")]
    pub act_fn: String,
    /// Side of its images, or rows and columns.
    #[serde(default)]
    pub sample_size: Option<SampleSize>,
    /// Channels of the images that it reads.
    #[serde(default = "three")]
    pub in_channels: usize,
    /// Channels of what it returns.
    #[serde(default = "three")]
    pub out_channels: usize,
}

/// The size of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum SampleSize {
    /// Of a square.
    Side(usize),
    /// Rows and columns.
    Sides([usize; 2]),
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

fn three() -> usize {
    3
}

fn unit() -> f64 {
    1.0
}

fn conv() -> String {
    "conv".into()
}

fn usual() -> String {
    "default".into()
}

fn positional() -> String {
    "positional".into()
}

fn silu() -> String {
    "silu".into()
}

fn unknown<T>(what: &str, value: impl std::fmt::Debug, known: &str) -> Result<T> {
    Err(Error::config(what, format!("= {value:?} is unknown"), format!("use a network with {known}")))
}

impl UNet2DModel {
    /// The network's sizes; its frequencies are those of its weights, see [`import`].
    ///
    /// # Errors
    /// [`Error::Config`] for a choice that no published network has made.
    pub fn network(&self) -> Result<UNetConfig> {
        let Some(&channels) = self.block_out_channels.first().filter(|channels| **channels > 0) else {
            return unknown("block_out_channels", &self.block_out_channels, "channels for every level");
        };
        if self.block_out_channels.iter().any(|width| !width.is_multiple_of(channels)) {
            return unknown("block_out_channels", &self.block_out_channels, "multiples of the first");
        }
        if self.act_fn != "silu" && self.act_fn != "swish" {
            return unknown("act_fn", &self.act_fn, "silu");
        }
        if self.in_channels != self.out_channels {
            return unknown(
                "in_channels, out_channels",
                [self.in_channels, self.out_channels],
                "as many of both",
            );
        }
        if self.class_embed_type.is_some() {
            return unknown("class_embed_type", &self.class_embed_type, "null");
        }
        let skips = self.down_block_types.iter().any(|kind| kind.contains("Skip"));
        let (resampling, groups) = self.resampling(skips)?;
        let style = Style {
            resampling,
            groups: Groups { number: groups, epsilon: self.norm_eps },
            // AttnSkipDownBlock2D and AttnSkipUpBlock2D normalise so whatever their channels.
            attending_groups: skips.then_some(32),
            rescaled: skips,
            rescaled_middle: Some(self.mid_block_scale_factor != 1.0).filter(|rescaled| *rescaled != skips),
            head_channels: self.attention_head_dim,
            attends_once: skips,
            attends_in_the_middle: self.add_attention,
            features: (self.time_embedding_type == "fourier").then_some(2 * channels),
            scale_shift: match self.resnet_time_scale_shift.as_str() {
                "default" => false,
                "scale_shift" => true,
                other => return unknown("resnet_time_scale_shift", other, "default or scale_shift"),
            },
            class_table: self.num_class_embeds.is_some(),
            input: if skips { InputPyramid::Skip } else { InputPyramid::None },
            output_skip: skips,
            centres: self.center_input_sample,
        };
        let attends = |kind: &String| kind.starts_with("Attn");
        let levels = self.down_block_types.len();
        let down: Vec<usize> = (0..levels).filter(|i| attends(&self.down_block_types[*i])).collect();
        let up = self.up_block_types.iter().rev().map(attends);
        if levels != self.block_out_channels.len() || !up.eq((0..levels).map(|level| down.contains(&level))) {
            return unknown(
                "up_block_types",
                &self.up_block_types,
                "attention on the same levels up and down",
            );
        }
        Ok(UNetConfig {
            channels,
            multipliers: self.block_out_channels.iter().map(|width| width / channels).collect(),
            blocks: self.layers_per_block,
            attention_levels: down,
            patch: 1,
            classes: self.num_class_embeds.unwrap_or(0),
            moves: false,
            embedding: self.embedding(channels)?,
            style,
        })
    }

    /// Rows and columns of its images.
    ///
    /// # Errors
    /// [`Error::Config`] if nothing is said of them.
    pub fn sides(&self) -> Result<[usize; 2]> {
        match self.sample_size {
            Some(SampleSize::Side(side)) => Ok([side; 2]),
            Some(SampleSize::Sides(sides)) => Ok(sides),
            None => unknown("sample_size", None::<usize>, "a sample_size, or write it into config.json"),
        }
    }

    /// How levels lead to each other, and the number of groups that goes with it.
    fn resampling(&self, skips: bool) -> Result<(Resampling, Option<usize>)> {
        let kinds = self.down_block_types.iter().chain(&self.up_block_types);
        let known = match skips {
            true => {
                ["SkipDownBlock2D", "AttnSkipDownBlock2D", "SkipUpBlock2D", "AttnSkipUpBlock2D"].as_slice()
            }
            false => &[
                "DownBlock2D",
                "AttnDownBlock2D",
                "ResnetDownsampleBlock2D",
                "UpBlock2D",
                "AttnUpBlock2D",
                "ResnetUpsampleBlock2D",
            ],
        };
        if let Some(kind) = kinds.clone().find(|kind| !known.contains(&kind.as_str())) {
            return unknown("down_block_types, up_block_types", kind, &known.join(", "));
        }
        if skips {
            return Ok((Resampling::Block { taps: Taps::Fir, projects: true }, None));
        }
        let groups = self.norm_num_groups.or(Some(32));
        match (self.downsample_type.as_str(), kinds.clone().any(|kind| kind.starts_with("Resnet"))) {
            ("conv", false) => Ok((Resampling::Conv { pad: self.downsample_padding }, groups)),
            ("resnet", _)
                if kinds.clone().all(|kind| !["DownBlock2D", "UpBlock2D"].contains(&kind.as_str())) =>
            {
                Ok((Resampling::Block { taps: Taps::Box, projects: false }, groups))
            }
            (other, _) => unknown("downsample_type", other, "conv, or resnet and blocks that resample so"),
        }
    }

    fn embedding(&self, channels: usize) -> Result<Embedding> {
        match (self.time_embedding_type.as_str(), self.freq_shift) {
            ("positional", 1.0) => Ok(Embedding::Positional),
            ("positional", shift) => {
                let half = channels / 2;
                let frequency = |i: usize| 1e4_f64.powf(-(i as f64) / (half as f64 - shift));
                Ok(Embedding::Frequencies { values: (0..half).map(frequency).collect() })
            }
            ("fourier", _) => Ok(Embedding::Fourier { scale: 16.0 }),
            (other, _) => unknown("time_embedding_type", other, "positional or fourier"),
        }
    }
}

/// Names by place.
pub(super) struct ByPlace {
    /// Whether the file is from before attention had a class of its own.
    pub old: bool,
    pub blocks: usize,
    pub output_skip: bool,
}

impl ByPlace {
    /// The block of this place, and its attention.
    fn at(&self, place: Place, what: &str) -> String {
        match place {
            Place::Down { level, block: Some(block) } => format!("down_blocks.{level}.{what}.{block}"),
            Place::Down { level, block: None } if self.output_skip => {
                format!("down_blocks.{level}.resnet_down")
            }
            Place::Down { level, block: None } => format!("down_blocks.{level}.downsamplers.0"),
            Place::Middle { block } => format!("mid_block.{what}.{block}"),
            Place::Up { step, block: Some(block) } => format!("up_blocks.{step}.{what}.{block}"),
            Place::Up { step, block: None } if self.output_skip => format!("up_blocks.{step}.resnet_up"),
            Place::Up { step, block: None } => format!("up_blocks.{step}.upsamplers.0"),
        }
    }
}

impl Names for ByPlace {
    fn time(&mut self) -> [String; 2] {
        [1, 2].map(|i| format!("time_embedding.linear_{i}"))
    }

    fn stem(&mut self) -> String {
        "conv_in".into()
    }

    fn block(&mut self, place: Place) -> Block {
        let at = self.at(place, "resnets");
        Block {
            norms: [1, 2].map(|i| format!("{at}.norm{i}")),
            convs: [1, 2].map(|i| format!("{at}.conv{i}")),
            time: format!("{at}.time_emb_proj"),
            skip: format!("{at}.conv_shortcut"),
        }
    }

    /// Files from before attention had its own class call the layers otherwise.
    fn attention(&mut self, place: Place) -> Attention {
        // A level that attends once has one attention, behind its last block.
        let place = match place {
            Place::Up { step, block: Some(block) } if self.output_skip && block == self.blocks => {
                Place::Up { step, block: Some(0) }
            }
            other => other,
        };
        let at = self.at(place, "attentions");
        let name = |usual: &str, old: &str| format!("{at}.{}", if self.old { old } else { usual });
        Attention {
            norm: format!("{at}.group_norm"),
            qkv: [name("to_q", "query"), name("to_k", "key"), name("to_v", "value")],
            out: name("to_out.0", "proj_attn"),
        }
    }

    fn resample(&mut self, place: Place) -> String {
        format!("{}.conv", self.at(place, ""))
    }

    fn pyramid(&mut self, place: Place) -> String {
        match place {
            Place::Down { level, .. } => format!("down_blocks.{level}.skip_conv"),
            other => self.at(other, "skip_conv"),
        }
    }

    fn head(&mut self, place: Option<Place>) -> [String; 2] {
        match place {
            Some(Place::Up { step, .. }) => {
                ["norm", "conv"].map(|end| format!("up_blocks.{step}.skip_{end}"))
            }
            _ => ["conv_norm_out".into(), "conv_out".into()],
        }
    }
}

/// The network of a state dict and its `config.json`. It reads `c_noise`, of which `timestep` times as much is the time step
/// of the original: 1, or 1000 for a consistency model, which calls `ln(sigma)/4` so. Networks of skip blocks read
/// `ln sigma` and return the noise here, which is the score times `-sigma`.
///
/// # Errors
/// [`Error::Config`] for an unknown choice in the configuration, [`Error::Weights`] naming the tensor that is missing,
/// unknown, or of another shape.
pub fn import(mut state: StateDict, model: &UNet2DModel, timestep: f64) -> Result<Published> {
    let mut config = model.network()?;
    if let Embedding::Fourier { .. } = config.embedding {
        let (_, w) = state.take::<1>("time_proj.weight")?;
        config.embedding = Embedding::Frequencies { values: w.iter().map(|w| TAU * f64::from(*w)).collect() };
    }
    if let Embedding::Frequencies { values } = &mut config.embedding {
        values.iter_mut().for_each(|value| *value *= timestep);
    }
    let class_table = match config.style.class_table {
        true => Some(state.take::<2>("class_embedding.weight")?),
        false => None,
    };
    let (output_skip, blocks) = (config.style.output_skip, config.blocks);
    let old = state.has("mid_block.attentions.0.query.weight");
    let mut renamed = Renamed::new(state);
    transfer(&config, &mut ByPlace { old, blocks, output_skip }, &mut renamed, output_skip)?;
    if model.time_embedding_type == "positional" && model.flip_sin_to_cos {
        renamed.exchange_halves("time.first.weight");
    }
    if let Some((shape, data)) = class_table {
        renamed.put("time.table".into(), &shape, data);
    }
    renamed.published(config)
}
