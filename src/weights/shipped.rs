//! The models that come with the program, compiled into it so that they are found without a path.

use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::import::{Bundle, bundle};
use super::pieces::Pieces;
use super::{ModelCard, ModelFile, hex};
use crate::model::Learned;
use crate::{Error, Result};

/// What the page's manifest says of a shipped model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Name on the command line and in links.
    pub name: &'static str,
    /// One line for people.
    pub title: String,
    /// File beside the manifest.
    pub file: String,
    /// Its length.
    pub bytes: usize,
    /// Its SHA-256, in hex.
    pub sha256: String,
    /// What it has learned, which decides the samplers that it can use; null for a classifier.
    pub gives: Option<Learned>,
    /// A weaker version of it that comes with it too, to guide it; see [`autoguided`](crate::control::autoguided).
    pub weaker: Option<&'static str>,
    /// With which weight that is best.
    pub weaker_weight: Option<f64>,
    /// Sixteen images that it has drawn, as a file beside it; none of a classifier.
    pub picture: Option<String>,
    /// The card inside it.
    pub card: ModelCard,
}

/// All shipped models; as JSON this is `web/models/manifest.json`.
///
/// # Errors
/// [`Error::Weights`] if a file that was compiled in is damaged.
pub fn manifest() -> Result<Vec<Entry>> {
    let entry = |(name, bytes): &(&'static str, &[u8])| {
        let card = ModelFile::parse(name, bytes)?.card;
        let sha256 = hex(&Sha256::digest(bytes));
        let file = format!("{name}.safetensors");
        let gives = card.learned();
        let picture = gives.map(|_| format!("{name}.png"));
        let weaker = WEAKER.iter().find(|(guided, ..)| guided == name);
        let (weaker, weaker_weight) = weaker.map(|&(_, weaker, weight)| (weaker, weight)).unzip();
        let title = card.title.clone();
        Ok(Entry {
            name,
            title,
            file,
            bytes: bytes.len(),
            sha256,
            gives,
            weaker,
            weaker_weight,
            picture,
            card,
        })
    };
    SHIPPED.iter().map(entry).collect()
}

/// Name and file of every shipped model, in the order in which they are listed.
const SHIPPED: &[(&str, &[u8])] = &[
    ("mnist-vp", include_bytes!("../../web/models/mnist-vp.safetensors")),
    ("mnist-ve", include_bytes!("../../web/models/mnist-ve.safetensors")),
    ("mnist-class-vp", include_bytes!("../../web/models/mnist-class-vp.safetensors")),
    ("mnist-cm", include_bytes!("../../web/models/mnist-cm.safetensors")),
    ("mnist-weak", include_bytes!("../../web/models/mnist-weak.safetensors")),
    ("mnist-likelihood", include_bytes!("../../web/models/mnist-likelihood.safetensors")),
    ("fashion", include_bytes!("../../web/models/fashion.safetensors")),
    ("letters", include_bytes!("../../web/models/letters.safetensors")),
    ("letters-cm", include_bytes!("../../web/models/letters-cm.safetensors")),
    ("avatars", include_bytes!("../../web/models/avatars.safetensors")),
    ("mnist-classifier", include_bytes!("../../web/models/mnist-classifier.safetensors")),
    ("letters-classifier", include_bytes!("../../web/models/letters-classifier.safetensors")),
    ("fashion-classifier", include_bytes!("../../web/models/fashion-classifier.safetensors")),
];

/// Models that a weaker version guides, one with classes only where it is told one; that version, and the weight
/// (docs/TRAINING.md).
const WEAKER: &[(&str, &str, f64)] = &[
    ("mnist-vp", "mnist-weak", 2.0),
    ("mnist-ve", "mnist-weak", 2.0),
    ("mnist-class-vp", "mnist-weak", 1.25),
];

/// Names of the shipped models.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// The bytes of the shipped model of that name.
pub fn bytes(name: &str) -> Option<&'static [u8]> {
    SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, bytes)| *bytes)
}

/// Opens a shipped model by name, any model file by path, or a published model by its folder or by its file of weights,
/// beside which its configuration lies (see [`import`](super::import)).
///
/// # Errors
/// [`Error::Weights`] lists the shipped names if `model` is none of them, or says what is wrong with it.
pub fn open(model: &str) -> Result<ModelFile> {
    if let Some(bytes) = bytes(model) {
        return ModelFile::parse(model, bytes);
    }
    let path = Path::new(model);
    if !path.exists() {
        let shipped = names().collect::<Vec<_>>().join(", ");
        let fix = format!("name a .safetensors file, the folder of a published model, or one of {shipped}");
        return Err(Error::weights(model, "there is no such model or file", fix));
    }
    bundle::refuse_pickle(model)?;
    if path.is_dir() {
        return Bundle::open(path)?.model();
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e, "name a readable .safetensors file"))?;
    match Pieces::of(model, &bytes).has_card() {
        true => ModelFile::parse(model, &bytes),
        false => Bundle::open(path)?.model(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_gets_the_manifest_of_the_compiled_in_files() {
        let served: serde_json::Value =
            serde_json::from_str(include_str!("../../web/models/manifest.json")).unwrap();
        let fix = "run `scorefield models --json > web/models/manifest.json`";
        assert_eq!(served, serde_json::json!(manifest().unwrap()), "{fix}");
    }

    #[test]
    fn an_unknown_model_is_answered_with_the_known_ones() {
        let message = open("mnist-vq").unwrap_err().to_string();
        assert!(names().all(|name| message.contains(name)), "{message}");
    }
}
