//! Model files: named weights and a model card in one `.safetensors` file.
//!
//! A file is only a claim until every number of it is checked: the card against the allowed ranges,
//! each tensor against the network that the card describes. Nothing in a file can make loading panic
//! or allocate more than the file itself justifies.

mod architecture;
mod card;
pub mod import;
mod loaded;
mod params;
mod pieces;
#[cfg(not(target_family = "wasm"))]
pub mod shipped;

pub use architecture::Architecture;
pub use card::{Accuracy, FORMAT, ModelCard, Publication, Quality, Training};
pub use loaded::{LoadedClassifier, LoadedModel};
pub use pieces::Needs;

use std::collections::HashMap;

use burn::tensor::Device;
#[cfg(not(target_family = "wasm"))]
use sha2::{Digest, Sha256};

use crate::model::ScoreModel;
use crate::network::layers::{Init, MOVE_FEATURES, class_features};
use crate::network::{Classifier, NetworkConfig};
use crate::{Error, Result};

/// Name of the header entry that holds the card.
const CARD_KEY: &str = "scorefield";

/// The element type of a written file. Reading takes either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// IEEE half: half the download, relative error 5e-4.
    F16,
    /// As trained.
    F32,
}

/// A model file's card and its weights, not yet on a device.
#[derive(Debug)]
pub struct ModelFile {
    /// What the file says about itself, validated.
    pub card: ModelCard,
    weights: HashMap<String, params::Values>,
    precision: Precision,
}

/// Serialises `network` and `card`. Reads the weights back from the device: native only.
///
/// # Errors
/// [`Error::Weights`] if a weight is not finite or cannot be represented in `precision`.
#[cfg(not(target_family = "wasm"))]
pub fn to_bytes<M: burn::module::Module>(
    network: &M,
    card: &ModelCard,
    precision: Precision,
) -> Result<Vec<u8>> {
    let weights = params::collect(network)?.into_iter().collect();
    ModelFile { card: card.clone(), weights, precision }.to_bytes()
}

/// Bytes as hexadecimal digits: how checksums are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ModelFile {
    /// The weights of several files of one network, each times its factor, added up, with the last card, in half precision.
    ///
    /// # Errors
    /// Those of the files, and [`Error::Weights`] if they are of different networks.
    pub fn sum(parts: impl Iterator<Item = Result<(f64, Self)>>) -> Result<Self> {
        let mut sum: HashMap<String, (Vec<usize>, Vec<f64>)> = HashMap::new();
        let mut last = None;
        for part in parts {
            let (factor, Self { card, weights, .. }) = part?;
            for (name, values) in weights {
                let empty = || (values.shape.clone(), vec![0.0; values.data.len()]);
                let (shape, total) = sum.entry(name.clone()).or_insert_with(empty);
                if *shape != values.shape {
                    let problem = format!("its weight {name} has another shape than that of the others");
                    return Err(Error::weights(&card.name, problem, "use files of one run"));
                }
                let add = |(total, value): (&mut f64, &f32)| *total += factor * f64::from(*value);
                total.iter_mut().zip(&values.data).for_each(add);
            }
            last = Some(card);
        }
        let card = last.ok_or_else(|| Error::weights("the sum", "has no parts", "name some files"))?;
        let narrow = |(name, (shape, total)): (String, (Vec<usize>, Vec<f64>))| {
            (name, params::Values { shape, data: total.into_iter().map(|value| value as f32).collect() })
        };
        Ok(Self { card, weights: sum.into_iter().map(narrow).collect(), precision: Precision::F16 })
    }

    /// The same model under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.card.name = name.into();
        self
    }

    /// The same model, to be written in this precision.
    #[must_use]
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// SHA-256, in hex, of all that the model's output depends on: the weights and the card without measured
    /// figures.
    #[cfg(not(target_family = "wasm"))]
    pub fn fingerprint(&self) -> String {
        let card = ModelCard { quality: Vec::new(), accuracy: Vec::new(), ..self.card.clone() };
        let mut digest = Sha256::new_with_prefix(serde_json::json!(card).to_string());
        let mut weights: Vec<_> = self.weights.iter().collect();
        weights.sort_by_key(|(name, _)| *name);
        for (name, params::Values { shape, data }) in weights {
            digest.update(format!("{name} {shape:?}"));
            digest.update(bytemuck::cast_slice::<f32, u8>(data));
        }
        hex(&digest.finalize())
    }

    /// The score model of the file, on `device`.
    ///
    /// # Errors
    /// As [`ModelFile::load`].
    pub fn score_model(self, device: &Device) -> Result<ScoreModel> {
        self.load(device)?.score_model()
    }

    /// Puts the score model of the file on `device`.
    ///
    /// # Errors
    /// [`Error::Weights`] if the weights are not those of the card's network, or it is a classifier.
    pub fn load(self, device: &Device) -> Result<LoadedModel> {
        let card = self.card;
        params::expect(&card.name, &self.weights, &card.main_weights()?)?;
        let fill = |network| {
            let network = params::fill(&card.name, network, self.weights)?;
            Ok(match self.precision {
                Precision::F16 => params::in_half(network, device),
                Precision::F32 => network,
            })
        };
        card.load(fill, device)
    }

    /// The same weights for a network that also knows the classes of `wanted`, or is told of moves as it is, if this one is not:
    /// their influence is zero.
    #[must_use]
    pub fn learning(mut self, wanted: &NetworkConfig) -> Self {
        let Architecture::Score { network, .. } = &mut self.card.architecture else { return self };
        // What is told of classes comes before what is told of moves, at the end of all features.
        let moves = if network.knows_moves() { MOVE_FEATURES } else { 0 };
        let classes = wanted.classes();
        let mut new = vec![];
        if classes > 0 && network.classes() == 0 {
            new.extend(network.learn_classes(classes).map(|reader| (reader, class_features(classes), moves)));
        }
        if wanted.knows_moves() && moves == 0 {
            new.extend(network.learn_moves().map(|reader| (reader, MOVE_FEATURES, 0)));
        }
        for (reader, rows, after) in new {
            if let Some(reader) = self.weights.get_mut(reader)
                && let [features, hidden] = &mut reader.shape[..]
            {
                let at = features.saturating_sub(after) * *hidden;
                reader.data.splice(at..at, vec![0.0; rows * *hidden]);
                *features += rows;
            }
        }
        self
    }

    /// `network` with the file's weights, to train on from them.
    ///
    /// # Errors
    /// [`Error::Weights`] if they are the weights of another network.
    pub fn fill<M: burn::module::Module>(self, network: M) -> Result<M> {
        params::fill(&self.card.name, network, self.weights)
    }

    /// The classifier of the file, on `device`.
    ///
    /// # Errors
    /// [`Error::Weights`] if the weights are not those of the card's network, or it is a score model.
    pub fn classifier(self, device: &Device) -> Result<Classifier> {
        let card = self.card;
        let Architecture::Classifier { config } = &card.architecture else {
            return Err(Error::weights(
                &card.name,
                "is a score model, not a classifier",
                "choose another model",
            ));
        };
        params::expect(&card.name, &self.weights, &config.main_weights())?;
        let network = Classifier::new(config, card.channels, &mut Init::new(0, device));
        params::fill(&card.name, network, self.weights)
    }
}
