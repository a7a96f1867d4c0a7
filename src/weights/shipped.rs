//! The models that come with the program, compiled into it so that they are found without a path.

use std::path::Path;

use super::ModelFile;
use crate::{Error, Result};

/// Name and file of every shipped model, in the order in which they are listed.
const SHIPPED: &[(&str, &[u8])] = &[
    ("mnist-vp", include_bytes!("../../web/models/mnist-vp.safetensors")),
    ("mnist-ve", include_bytes!("../../web/models/mnist-ve.safetensors")),
];

/// Names of the shipped score models.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// The bytes of the shipped model of that name.
pub fn bytes(name: &str) -> Option<&'static [u8]> {
    SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, bytes)| *bytes)
}

/// Opens a shipped model by name, or any model file by path.
///
/// # Errors
/// [`Error::Weights`] lists the shipped names if `model` is neither, or says what is wrong with the file.
pub fn open(model: &str) -> Result<ModelFile> {
    if let Some(bytes) = bytes(model) {
        return ModelFile::parse(model, bytes);
    }
    let path = Path::new(model);
    if !path.exists() {
        let fix = format!("name a .safetensors file or one of {}", names().collect::<Vec<_>>().join(", "));
        return Err(Error::weights(model, "there is no such model or file", fix));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e, "name a readable .safetensors file"))?;
    ModelFile::parse(model, &bytes)
}
