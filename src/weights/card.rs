//! The model card: all that is needed to use a model's weights, and to judge them.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::Architecture;

use crate::images::DataRange;
use crate::model::{Learned, Preconditioned, Preconditioning, ScoreModel};
use crate::network::layers::Init;
use crate::network::{Network, NetworkConfig};
use crate::sde::AnySde;
use crate::weights::{LoadedModel, params};
use crate::{Error, Result};

/// Version of the file format that this crate writes and reads.
pub const FORMAT: u32 = 1;

/// What a model is, how it was made, and how good it was found to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Version of the file format.
    pub format: u32,
    /// Short name, as on the command line: `mnist-vp`.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// The network.
    pub architecture: Architecture,
    /// The forward diffusion; a classifier has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sde: Option<AnySde>,
    /// What black and white are inside the model.
    pub range: DataRange,
    /// Standard deviation of the data in the model's units.
    pub sigma_data: f64,
    /// Mean of the data in the model's units, around which the prior is; 0 in files of earlier versions, whose priors are
    /// around zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub data_mean: f64,
    /// Channels of an image.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The training images.
    pub dataset: String,
    /// Under which terms they may be used.
    pub dataset_licence: String,
    /// What its classes are called, in the order of their numbers; empty if it knows of none, or they have no names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// How it was trained.
    pub training: Training,
    /// Where the weights of others are from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Publication>,
    /// Measured quality of a score model, one entry per sampler.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quality: Vec<Quality>,
    /// Measured accuracy of a classifier, one entry per noise level.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accuracy: Vec<Accuracy>,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// How a model was trained.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Optimiser steps.
    pub steps: usize,
    /// Images per step.
    pub batch: usize,
    /// Wall-clock hours.
    pub hours: f64,
    /// The device.
    pub device: String,
    /// Revision of the source that the program was built from.
    pub revision: String,
    /// The command as it was given; those of a run that was resumed are joined by `&&`.
    pub command: String,
}

/// Where weights of others are from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    /// The folder or file that was imported.
    pub source: String,
    /// The licence that it states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
}

/// The quality of one sampler's samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Sampler and its options.
    pub sampler: String,
    /// Network evaluations per sample, counted.
    pub nfe: usize,
    /// Number of samples.
    pub count: usize,
    /// Share of samples that the classifier recognises with p > 0.9.
    pub recognised: f64,
    /// Entropy of the histogram of classes, in bits.
    pub class_entropy: f64,
    /// Fréchet distance to the test set in the classifier's features.
    pub frechet: f64,
}

/// How often a classifier is right at one noise level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    /// Standard deviation of the noise, pixel values being `[0, 1]`.
    pub sigma: f64,
    /// Share of the test images that it names correctly.
    pub correct: f64,
}

impl ModelCard {
    /// `[c, h, w]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Classes that a score model can be asked for, or that a classifier tells apart; 0 if it knows of none.
    pub fn classes(&self) -> usize {
        self.architecture.classes()
    }

    /// The number of the class that is called `text`; where none is, `text` may be a number itself.
    ///
    /// # Errors
    /// [`Error::Config`] with the names, if it is neither.
    pub fn class(&self, text: &str) -> Result<usize> {
        let named = self.class_names.iter().position(|name| name == text);
        named.or_else(|| text.parse().ok()).ok_or_else(|| {
            let fix = match (&self.class_names[..], self.classes()) {
                ([], 0) => "choose a model that has learned classes".into(),
                ([], n) => format!("use 0 to {}", n - 1),
                (names, _) => format!("use one of {}", names.join(", ")),
            };
            Error::config("the class", format!("`{text}` is not known to {}", self.name), fix)
        })
    }

    /// What a score model has learned; `None` for a classifier.
    pub fn learned(&self) -> Option<Learned> {
        match &self.architecture {
            Architecture::Score { preconditioning, .. } => Some(preconditioning.learned()),
            Architecture::Classifier { .. } => None,
        }
    }

    /// The diffusion in a few characters.
    pub fn diffusion(&self) -> String {
        self.sde.map_or("classifier".into(), |sde| sde.summary())
    }

    /// The model before its first training step, stored as the one of a file in half precision: its sizes, without its
    /// knowledge.
    ///
    /// # Errors
    /// [`Error::Weights`] if it is the card of a classifier.
    pub fn untrained(&self, device: &Device) -> Result<ScoreModel> {
        self.load(|network| Ok(params::in_half(network, device)), device)?.score_model()
    }

    /// Names and shapes of the large weights of a score model; see [`NetworkConfig::main_weights`].
    ///
    /// # Errors
    /// [`Error::Weights`] if it is the card of a classifier.
    pub fn main_weights(&self) -> Result<Vec<(String, [usize; 2])>> {
        Ok(self.parts()?.0.main_weights())
    }

    /// Bytes of the largest layer's output for one image, of a score model.
    pub(super) fn image_bytes(&self) -> u64 {
        let output = self.parts().map(|(network, ..)| network.largest_output(self.height, self.width));
        output.unwrap_or_default() * size_of::<f32>() as u64
    }

    /// The score model whose network `fill` gives its weights, on `device`.
    pub(super) fn load(
        &self,
        fill: impl FnOnce(Network) -> Result<Network>,
        device: &Device,
    ) -> Result<LoadedModel> {
        let (config, preconditioning, sde) = self.parts()?;
        let [c_in, c_out] = preconditioning.channels(self.channels);
        let network = fill(Network::new(config, c_in, c_out, &mut Init::new(0, device)))?;
        Ok(LoadedModel {
            denoiser: Preconditioned::new(network, preconditioning, sde),
            range: self.range,
            data_mean: self.data_mean,
            shape: self.shape(),
            classes: config.classes(),
            needs_class: config.needs_class(),
            image_bytes: self.image_bytes(),
            heaviest: config.heaviest(self.height, self.width),
            device: device.clone(),
        })
    }

    /// What a score model is made of.
    fn parts(&self) -> Result<(&NetworkConfig, Preconditioning, AnySde)> {
        match (&self.architecture, self.sde) {
            (Architecture::Score { network, preconditioning }, Some(sde)) => {
                Ok((network, *preconditioning, sde))
            }
            _ => {
                Err(Error::weights(&self.name, "is a classifier, not a score model", "choose another model"))
            }
        }
    }

    /// Checks every number, so that nothing absurd reaches a device.
    ///
    /// # Errors
    /// [`Error::Weights`] names the first field that is out of range.
    pub fn validate(&self, name: &str) -> Result<()> {
        let invalid =
            |problem: String| Error::weights(name, problem, "use the file with the version that wrote it");
        if self.format != FORMAT {
            return Err(invalid(format!("has format {}, this version reads {FORMAT}", self.format)));
        }
        if ![1, 3].contains(&self.channels) {
            return Err(invalid(format!("has {} colour channels, not 1 or 3", self.channels)));
        }
        for side in [self.height, self.width] {
            if !(1..=1024).contains(&side) {
                return Err(invalid(format!("has images {side} pixels wide or high, not 1 to 1024")));
            }
        }
        if self.class_names.len() > self.classes() {
            let (names, classes) = (self.class_names.len(), self.classes());
            return Err(invalid(format!("has {names} names for {classes} classes")));
        }
        let positive = |what: &str, value: f64| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => Err(invalid(format!("has {what} = {value}, which is not a positive number"))),
        };
        positive("sigma_data", self.sigma_data)?;
        positive("a range of", self.range.high - self.range.low)?;
        if self.data_mean.abs() > self.range.low.abs().max(self.range.high.abs()) {
            return Err(invalid(format!("has data_mean = {}, which is outside its range", self.data_mean)));
        }
        match (&self.architecture, self.sde) {
            (Architecture::Score { network, preconditioning }, Some(sde)) => {
                if sde.is_open() {
                    return Err(invalid(format!("has a diffusion that is not measured ({})", sde.summary())));
                }
                preconditioning
                    .sigma_data()
                    .map_or(Ok(()), |value| positive("the preconditioning's sigma_data", value))?;
                sde.check().and_then(|()| network.validate_for(self.height, self.width))
            }
            (Architecture::Score { .. }, None) => {
                return Err(invalid("is a score model without a diffusion".into()));
            }
            (Architecture::Classifier { config }, None) => config.validate(),
            (Architecture::Classifier { .. }, Some(_)) => {
                return Err(invalid("is a classifier with a diffusion".into()));
            }
        }
        .map_err(|e| invalid(e.to_string()))
    }
}
