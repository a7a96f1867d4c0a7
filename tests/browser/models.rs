//! Small models with random weights beside the shipped ones: with classes, and in colour.

use std::collections::HashMap;

use burn::module::Module;
use scorefield::data::Dataset;
use scorefield::network::UNetConfig;
use scorefield::weights::{LoadedModel, ModelCard, ModelFile, Precision, to_bytes};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::site::{Site, dist};
use crate::support::{cpu, lively_unet, small_unet};
use crate::weights::card;

/// Grey, of no classes.
pub const PLAIN: &str = "test-plain";
/// Of the ten classes of MNIST.
pub const DIGITS: &str = "test-digits";
/// Of three classes of something else, which have names.
pub const KINDS: &str = "test-kinds";
/// Of the letters A to Z and a to z.
pub const LETTERS: &str = "test-letters";
/// In colour.
pub const COLOUR: &str = "test-colour";

/// The content of a model's file.
pub fn file(name: &str) -> Vec<u8> {
    let (dataset, classes, names) = match name {
        DIGITS => ("mnist", 10, &[][..]),
        KINDS => ("none", 3, &["boat", "moon", "tree"][..]),
        LETTERS => ("letters", 52, Dataset::Letters.set().class_names),
        _ => ("none", 0, &[][..]),
    };
    let config = UNetConfig { classes, ..small_unet() };
    let channels = if name == COLOUR { 3 } else { 1 };
    let card = ModelCard {
        name: name.into(),
        title: name.into(),
        dataset: dataset.into(),
        class_names: names.iter().map(ToString::to_string).collect(),
        channels,
        ..card(&config)
    };
    let network = lively_unet(&config, channels, 3, &cpu()).no_grad();
    to_bytes(&network, &card, Precision::F32).expect("a file")
}

/// The model of that name, as the page has it.
pub fn native(name: &str) -> LoadedModel {
    let folder = dist().expect("a built page").join("models");
    let shipped = || std::fs::read(folder.join(format!("{name}.safetensors"))).expect("weights");
    let bytes = if name.starts_with("test-") { file(name) } else { shipped() };
    ModelFile::parse(name, &bytes).expect("a model").load(&cpu()).expect("a score model")
}

/// The built page with these models added to its list.
pub fn site_with(names: &[&'static str]) -> Site {
    altered_site_with(names, |_, bytes| bytes)
}

/// The same, what is served being changed further by `alter`.
pub fn altered_site_with(
    names: &[&'static str],
    alter: impl Fn(&str, Option<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> Site {
    let files: HashMap<String, Vec<u8>> =
        names.iter().map(|name| (format!("models/{name}.safetensors"), file(name))).collect();
    let entries: Vec<Value> = names
        .iter()
        .map(|name| {
            let bytes = &files[&format!("models/{name}.safetensors")];
            let card = ModelFile::parse(name, bytes).expect("a model").card;
            let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            json!({
                "name": name, "title": name, "file": format!("{name}.safetensors"), "bytes": bytes.len(),
                "sha256": sha256, "card": card,
            })
        })
        .collect();
    Site::serve_altered(dist().expect("a built page"), move |path, bytes| {
        if path != "models/manifest.json" {
            return alter(path, bytes.or_else(|| files.get(path).cloned()));
        }
        let mut models: Vec<Value> = serde_json::from_slice(&bytes?).expect("the list of models");
        models.extend(entries.iter().cloned());
        alter(path, Some(serde_json::to_vec(&models).expect("JSON")))
    })
}
