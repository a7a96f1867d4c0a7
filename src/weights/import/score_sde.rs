//! The networks of `score_sde_pytorch` (Song et al. 2021): `ddpm` and `ncsnpp`, whose layers are numbered in the order in
//! which they are made.

use std::f64::consts::TAU;

use serde::Deserialize;

use super::state::Renamed;
use super::unet::{Attention, Block, Names, Place, transfer};
use super::{Described, Published, StateDict, Trained};
use crate::images::DataRange;
use crate::model::Preconditioning;
use crate::network::layers::{Embedding, Groups};
use crate::network::{InputPyramid, Resampling, Style, UNetConfig};
use crate::ops::Taps;
use crate::sde::{Betas, DdpmSde, SubVpSde, VeSde, VpSde};
use crate::{Error, Result};

/// A configuration of the source, as JSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Config {
    /// The network and the constants of the diffusion.
    pub model: ModelSection,
    /// The images.
    pub data: DataSection,
    /// Which diffusion.
    pub training: TrainingSection,
}

/// What of a configuration's `data` section is needed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DataSection {
    /// Side of the images.
    pub image_size: usize,
    /// Whether they are in `[-1, 1]`; else in `[0, 1]`.
    pub centered: bool,
}

/// What of a configuration's `training` section is needed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TrainingSection {
    /// `vesde`, `vpsde` or `subvpsde`.
    pub sde: String,
    /// Whether it was trained at all times, and not at the levels of a chain only.
    pub continuous: bool,
}

/// The model of a state dict and its configuration.
pub(super) fn describe(state: StateDict, config: Config) -> Result<Described> {
    let Config { model, data, training } = config;
    let ModelSection { beta_min, beta_max, sigma_min, sigma_max, num_scales, .. } = model;
    let sde = match (training.sde.as_str(), training.continuous) {
        // Networks that read features of `ln sigma` need no number.
        ("vesde", continuous) => {
            let levels = (!continuous && model.embedding_type != "fourier").then_some(num_scales);
            VeSde { sigma_min, sigma_max, levels }.into()
        }
        ("vpsde", true) => VpSde { beta_min, beta_max }.into(),
        ("vpsde", false) => {
            let of_level = |beta: f64| beta / num_scales as f64;
            DdpmSde {
                schedule: Betas::Linear,
                beta_start: of_level(beta_min),
                beta_end: of_level(beta_max),
                levels: num_scales,
                ..DdpmSde::default()
            }
            .into()
        }
        ("subvpsde", true) => SubVpSde { beta_min, beta_max }.into(),
        (sde, continuous) => {
            let problem = format!("= {sde}, {continuous} is unknown");
            let fix = "use vesde, vpsde, or a continuous subvpsde";
            return Err(Error::config("training.sde, continuous", problem, fix));
        }
    };
    // Of a variance-exploding model the output is the score; where it is divided by sigma, `import` makes it the noise.
    let preconditioning = match training.sde == "vesde" && !model.scale_by_sigma {
        true => Preconditioning::Score,
        false => Preconditioning::Eps,
    };
    let range = if data.centered { DataRange::CENTRED } else { DataRange::UNIT };
    let trained = Trained { sde, preconditioning, range };
    let published = import(state, &model, (data.image_size, data.centered))?;
    Ok(Described { published, trained, side: [data.image_size; 2] })
}

/// What of a configuration's `model` section the network depends on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModelSection {
    /// `ddpm` or `ncsnpp`.
    pub name: String,
    /// Channels of the highest resolution.
    pub nf: usize,
    /// Channels of each level as multiples of `nf`.
    pub ch_mult: Vec<usize>,
    /// Blocks of a level.
    pub num_res_blocks: usize,
    /// Sides of the images that are attended over.
    pub attn_resolutions: Vec<usize>,
    /// Whether the output is divided by sigma.
    #[serde(default)]
    pub scale_by_sigma: bool,
    /// `fourier` or `positional`; `ddpm` is always positional.
    #[serde(default)]
    pub embedding_type: String,
    /// Whether images are resampled by `[1, 3, 3, 1]`.
    #[serde(default)]
    pub fir: bool,
    /// Whether sums are multiplied by 1/sqrt 2.
    #[serde(default)]
    pub skip_rescale: bool,
    /// `none` or `output_skip`.
    #[serde(default = "none")]
    pub progressive: String,
    /// `none`, `input_skip` or `residual`.
    #[serde(default = "none")]
    pub progressive_input: String,
    /// `sum`.
    #[serde(default = "sum")]
    pub progressive_combine: String,
    /// `biggan`.
    #[serde(default = "biggan")]
    pub resblock_type: String,
    /// Rate at the start, of VP and sub-VP.
    #[serde(default = "tenth")]
    pub beta_min: f64,
    /// Rate at the end.
    #[serde(default = "twenty")]
    pub beta_max: f64,
    /// Smallest noise level, of VE.
    #[serde(default = "hundredth")]
    pub sigma_min: f64,
    /// Largest noise level.
    #[serde(default = "fifty")]
    pub sigma_max: f64,
    /// Levels of a discrete chain.
    #[serde(default = "thousand")]
    pub num_scales: usize,
}

fn tenth() -> f64 {
    0.1
}

fn twenty() -> f64 {
    20.0
}

fn hundredth() -> f64 {
    0.01
}

fn fifty() -> f64 {
    50.0
}

fn thousand() -> usize {
    1000
}

fn none() -> String {
    "none".into()
}

fn sum() -> String {
    "sum".into()
}

fn biggan() -> String {
    "biggan".into()
}

impl ModelSection {
    /// The network's sizes for images of side `image_size`, in `[-1, 1]` if `centred` and in `[0, 1]` otherwise; its
    /// frequencies are those of its weights, see [`import`].
    ///
    /// # Errors
    /// [`Error::Config`] for a choice that no published network has made.
    pub fn network(&self, image_size: usize, centred: bool) -> Result<UNetConfig> {
        let unknown = |what: &str, value: &str, known: &str| {
            Err(Error::config(
                format!("model.{what}"),
                format!("= `{value}` is unknown"),
                format!("use {known}"),
            ))
        };
        let style = Style {
            attends_once: true,
            attends_in_the_middle: true,
            rescaled: self.skip_rescale,
            centres: !centred,
            ..Style::default()
        };
        let (style, embedding) = match self.name.as_str() {
            "ddpm" => {
                let groups = Groups { number: Some(32), ..Groups::default() };
                let resampling = Resampling::Conv { pad: 0 };
                (Style { groups, resampling, rescaled: false, ..style }, Embedding::Positional)
            }
            "ncsnpp" => {
                if (self.resblock_type.as_str(), self.progressive_combine.as_str()) != ("biggan", "sum") {
                    let value = format!("{}, {}", self.resblock_type, self.progressive_combine);
                    return unknown("resblock_type, progressive_combine", &value, "biggan, sum");
                }
                let taps = if self.fir { Taps::Fir } else { Taps::Box };
                let input = match self.progressive_input.as_str() {
                    "none" => InputPyramid::None,
                    "input_skip" => InputPyramid::Skip,
                    "residual" => InputPyramid::Residual,
                    other => return unknown("progressive_input", other, "none, input_skip or residual"),
                };
                if input != InputPyramid::None && !self.fir {
                    return unknown("fir", "false", "true with progressive_input");
                }
                let output_skip = match self.progressive.as_str() {
                    "none" => false,
                    "output_skip" => true,
                    other => return unknown("progressive", other, "none or output_skip"),
                };
                let (features, embedding) = match self.embedding_type.as_str() {
                    "positional" => (None, Embedding::Positional),
                    "fourier" => (Some(2 * self.nf), Embedding::Fourier { scale: 16.0 }),
                    other => return unknown("embedding_type", other, "fourier or positional"),
                };
                let resampling = Resampling::Block { taps, projects: true };
                (Style { resampling, input, output_skip, features, ..style }, embedding)
            }
            other => return unknown("name", other, "ddpm or ncsnpp"),
        };
        let levels = 0..self.ch_mult.len();
        Ok(UNetConfig {
            channels: self.nf,
            multipliers: self.ch_mult.clone(),
            blocks: self.num_res_blocks,
            attention_levels: levels.filter(|l| self.attn_resolutions.contains(&(image_size >> l))).collect(),
            patch: 1,
            classes: 0,
            moves: false,
            embedding,
            style,
        })
    }
}

/// Numbers instead of names.
struct Numbered {
    next: usize,
    /// The convolution around a block is called so.
    skip: &'static str,
    /// The convolutions of the image's pyramid are called so.
    pyramid: &'static str,
}

impl Numbered {
    fn next(&mut self) -> String {
        self.next += 1;
        format!("all_modules.{}", self.next - 1)
    }
}

impl Names for Numbered {
    fn time(&mut self) -> [String; 2] {
        [self.next(), self.next()]
    }

    fn stem(&mut self) -> String {
        self.next()
    }

    fn block(&mut self, _: Place) -> Block {
        let at = self.next();
        Block {
            norms: [format!("{at}.GroupNorm_0"), format!("{at}.GroupNorm_1")],
            convs: [format!("{at}.Conv_0"), format!("{at}.Conv_1")],
            time: format!("{at}.Dense_0"),
            skip: format!("{at}.{}", self.skip),
        }
    }

    fn attention(&mut self, _: Place) -> Attention {
        let at = self.next();
        Attention {
            norm: format!("{at}.GroupNorm_0"),
            qkv: [0, 1, 2].map(|i| format!("{at}.NIN_{i}")),
            out: format!("{at}.NIN_3"),
        }
    }

    fn resample(&mut self, _: Place) -> String {
        format!("{}.Conv_0", self.next())
    }

    fn pyramid(&mut self, _: Place) -> String {
        format!("{}.{}", self.next(), self.pyramid)
    }

    fn head(&mut self, _: Option<Place>) -> [String; 2] {
        [self.next(), self.next()]
    }
}

/// The network of a state dict and its configuration, reading `ln sigma` (`fourier`) or `999·t`, and returning the noise:
/// a network that is divided by sigma to give the score gets the opposite sign.
///
/// # Errors
/// [`Error::Config`] for an unknown choice in the configuration, [`Error::Weights`] naming the tensor that is missing,
/// unknown, or of another shape.
pub fn import(
    mut state: StateDict,
    model: &ModelSection,
    (image_size, centred): (usize, bool),
) -> Result<Published> {
    let mut config = model.network(image_size, centred)?;
    let mut names = Numbered {
        next: 0,
        skip: if model.name == "ddpm" { "NIN_0" } else { "Conv_2" },
        pyramid: if config.style.input == InputPyramid::Skip { "Conv_0" } else { "Conv2d_0" },
    };
    // The ladder of noise levels, which the sampler knows.
    state.ignore("sigmas");
    if let Embedding::Fourier { .. } = config.embedding {
        let (_, w) = state.take::<1>(&format!("{}.W", names.next()))?;
        config.embedding = Embedding::Frequencies { values: w.iter().map(|w| TAU * f64::from(*w)).collect() };
    }
    let mut renamed = Renamed::new(state);
    transfer(&config, &mut names, &mut renamed, model.scale_by_sigma)?;
    renamed.published(config)
}
