//! The networks of `ncsn` (Song and Ermon 2019) and `ncsnv2` (Song and Ermon 2020).

use serde::Deserialize;

use super::state::{Renamed, transposed};
use super::unet::Layers as _;
use super::{Described, Published, StateDict, Trained};
use crate::images::DataRange;
use crate::model::Preconditioning;
use crate::network::{Levels, RefineNetConfig};
use crate::sde::VeSde;
use crate::{Error, Result};

/// A configuration of the sources, as JSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Config {
    /// The network and its ladder of noise levels.
    pub model: ModelSection,
    /// The images.
    pub data: DataSection,
}

/// What of a configuration's `model` section is needed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModelSection {
    /// Channels of the first stage.
    pub ngf: usize,
    /// Noise levels.
    pub num_classes: usize,
    /// The largest; NCSN's is 1.
    #[serde(default = "one")]
    pub sigma_begin: f64,
    /// The smallest.
    #[serde(default = "hundredth")]
    pub sigma_end: f64,
}

/// What of a configuration's `data` section is needed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DataSection {
    /// Side of the images.
    pub image_size: usize,
    /// Whether images are taken to logits first.
    #[serde(default)]
    pub logit_transform: bool,
    /// Whether they are in `[-1, 1]`.
    #[serde(default)]
    pub rescaled: bool,
}

fn one() -> f64 {
    1.0
}

fn hundredth() -> f64 {
    0.01
}

/// The model of a state dict and its configuration. Which of the papers' networks it is, is seen from the parts it has.
pub(super) fn describe(state: StateDict, config: Config) -> Result<Described> {
    let Config { model, data } = config;
    for (what, is) in [("data.logit_transform", data.logit_transform), ("data.rescaled", data.rescaled)] {
        if is {
            return Err(Error::config(
                what,
                "= true is not known here",
                "use a network of images from 0 to 1",
            ));
        }
    }
    let ModelSection { ngf: channels, num_classes: number, sigma_begin: sigma_max, sigma_end: sigma_min } =
        model;
    let network = match (state.has_part("normalizer.embed"), state.has_part("res31"), state.has_part("res5"))
    {
        (true, ..) => RefineNetConfig {
            levels: Some(Levels { sigma_max, sigma_min, number }),
            ..RefineNetConfig::ncsn()
        },
        (_, true, _) => RefineNetConfig::ncsnv2_deepest(),
        (_, _, true) => RefineNetConfig::ncsnv2_deeper(),
        _ => RefineNetConfig::ncsnv2(),
    };
    let preconditioning = match network.levels {
        Some(_) => Preconditioning::Score,
        None => Preconditioning::Eps,
    };
    let sde = VeSde { sigma_min, sigma_max, levels: None }.into();
    let trained = Trained { sde, preconditioning, range: DataRange::UNIT };
    let published = import(state, &RefineNetConfig { channels, ..network })?;
    Ok(Described { published, trained, side: [data.image_size; 2] })
}

/// How the sources number their stages, and the blocks that refine, which begin at the last stage.
fn numbers(stages: usize) -> Result<[&'static [&'static str]; 2]> {
    match stages {
        4 => Ok([&["1", "2", "3", "4"]; 2]),
        5 => Ok([&["1", "2", "3", "4", "5"]; 2]),
        6 => Ok([&["1", "2", "3", "31", "4", "5"], &["1", "2", "31", "3", "4", "5"]]),
        _ => Err(Error::config(
            format!("{stages} stages"),
            "are those of no published network",
            "use 4 (NCSN, NCSNv2), 5 (Deeper) or 6 (Deepest)",
        )),
    }
}

/// The network of a state dict for a configuration of one of the papers. It reads `ln sigma`. NCSN returns the score;
/// NCSNv2 the noise, which is the score times `-sigma`.
///
/// # Errors
/// [`Error::Config`] for a number of stages that no published network has, [`Error::Weights`] naming the tensor that is
/// missing, unknown, or of another shape.
pub fn import(mut state: StateDict, config: &RefineNetConfig) -> Result<Published> {
    // The ladder of noise levels, which the sampler knows.
    state.ignore("sigmas");
    let [stages, refines] = numbers(config.multipliers.len())?;
    let mut walk = Walk {
        renamed: Renamed::new(state),
        conditional: config.levels.is_some(),
        norms: [vec![], vec![], vec![]],
    };
    walk.renamed.conv("stem", "begin_conv")?;
    for (stage, name) in stages.iter().enumerate() {
        for unit in 0..2 {
            walk.unit(&format!("stages.{stage}.units.{unit}"), &format!("res{name}.{unit}"))?;
        }
    }
    for (step, name) in refines.iter().enumerate() {
        walk.refine(&format!("refine.{step}"), &format!("refine{name}"))?;
    }
    walk.norm("normalizer")?;
    walk.renamed.conv("head", "end_conv")?;
    if !walk.conditional {
        walk.renamed.negate("head");
    }
    walk.finish(config)
}

struct Walk {
    renamed: Renamed,
    conditional: bool,
    /// Factors, factors of the mean, and summands of all normalisations: a list of `[levels, channels]`.
    norms: [Vec<(usize, Vec<f32>)>; 3],
}

impl Walk {
    /// One InstanceNorm++: three vectors, or a table of them for every level.
    fn norm(&mut self, theirs: &str) -> Result<()> {
        let state = &mut self.renamed.state;
        if !self.conditional {
            for (norms, end) in self.norms.iter_mut().zip(["gamma", "alpha", "beta"]) {
                norms.push((1, state.take::<1>(&format!("{theirs}.{end}"))?.1));
            }
            return Ok(());
        }
        let ([levels, columns], table) = state.take::<2>(&format!("{theirs}.embed.weight"))?;
        let channels = columns / 3;
        for (i, norms) in self.norms.iter_mut().enumerate() {
            let rows = table.chunks_exact(columns).flat_map(|row| &row[i * channels..(i + 1) * channels]);
            norms.push((levels, rows.copied().collect()));
        }
        Ok(())
    }

    /// The convolution may stand inside a layer that also pools.
    fn conv(&mut self, ours: &str, theirs: &str) -> Result<()> {
        let inner = format!("{theirs}.conv");
        let theirs = if self.renamed.state.has(&format!("{inner}.weight")) { &inner } else { theirs };
        self.renamed.conv(ours, theirs)
    }

    fn unit(&mut self, ours: &str, theirs: &str) -> Result<()> {
        for i in [1, 2] {
            self.norm(&format!("{theirs}.normalize{i}"))?;
            self.conv(&format!("{ours}.conv{i}"), &format!("{theirs}.conv{i}"))?;
        }
        let shortcut = format!("{theirs}.shortcut");
        match ["", ".conv"].iter().any(|end| self.renamed.state.has(&format!("{shortcut}{end}.weight"))) {
            true => self.conv(&format!("{ours}.shortcut"), &shortcut),
            false => Ok(()),
        }
    }

    /// Pairs of convolutions, as many as there are.
    fn conv_units(&mut self, ours: &str, theirs: &str) -> Result<()> {
        for i in 0.. {
            let at = format!("{theirs}.{}_{}", i / 2 + 1, i % 2 + 1);
            if !self.renamed.state.has(&format!("{at}_conv.weight")) {
                break;
            }
            if self.conditional {
                self.norm(&format!("{at}_norm"))?;
            }
            self.renamed.unbiased_conv(&format!("{ours}.convs.{i}"), &format!("{at}_conv"))?;
        }
        Ok(())
    }

    fn refine(&mut self, ours: &str, theirs: &str) -> Result<()> {
        let has = |walk: &Self, name: String| walk.renamed.state.has(&format!("{theirs}.{name}.weight"));
        for i in 0..2 {
            if has(self, format!("adapt_convs.{i}.1_1_conv")) {
                self.conv_units(&format!("{ours}.adapt.{i}"), &format!("{theirs}.adapt_convs.{i}"))?;
            }
        }
        for (part, layers) in [("fuse", "msf"), ("pool", "crp")] {
            for i in 0..2 {
                if !has(self, format!("{layers}.convs.{i}")) {
                    continue;
                }
                if self.conditional {
                    self.norm(&format!("{theirs}.{layers}.norms.{i}"))?;
                }
                let (ours, theirs) = (format!("{ours}.{part}.{i}"), format!("{theirs}.{layers}.convs.{i}"));
                match part {
                    "fuse" => self.renamed.conv(&ours, &theirs)?,
                    _ => self.renamed.unbiased_conv(&ours, &theirs)?,
                }
            }
        }
        self.conv_units(&format!("{ours}.output"), &format!("{theirs}.output_convs"))
    }

    fn finish(mut self, config: &RefineNetConfig) -> Result<Published> {
        for (end, norms) in ["gamma", "alpha", "beta"].iter().zip(std::mem::take(&mut self.norms)) {
            let levels = norms.first().map_or(0, |(levels, _)| *levels);
            if let Some((other, _)) = norms.iter().find(|(other, _)| *other != levels) {
                return Err(self
                    .renamed
                    .state
                    .error(format!("has tables of {levels} and of {other} levels")));
            }
            // Side by side: a column of the whole is a column of one of them.
            let columns: Vec<f32> = norms
                .iter()
                .flat_map(|(levels, table)| transposed([*levels, table.len() / levels.max(&1)], table))
                .collect();
            let channels = columns.len() / levels.max(1);
            self.renamed.put(
                format!("norms.{end}"),
                &[levels, channels],
                transposed([channels, levels], &columns),
            );
        }
        self.renamed.published(config.clone())
    }
}
