use js_sys::{Function, Uint8Array};
use serde::Serialize;
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::*;

use crate::model::Learned;
use crate::page::Session;
use crate::page::messages::{object, plain};
use crate::weights::import::Bundle;
use crate::weights::{ModelCard, Needs};
use crate::{Error, Result};

/// What the list of models says of one.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    name: &'a str,
    title: &'a str,
    bytes: usize,
    sha256: String,
    gives: Option<Learned>,
    memory: Needs,
    card: &'a ModelCard,
}

#[wasm_bindgen]
impl Session {
    /// Makes a model file of the visitor's files: a file of ours, or a published model's weights and configurations. `read`
    /// gives the bytes of one of `paths`, as a `Uint8Array`. Returns `{entry, file}`: what the list of models says of it,
    /// under `name`, with the bytes of memory that it needs, and its bytes.
    ///
    /// # Errors
    /// Code `weights` or `request` names the first thing that is missing, unknown, or does not fit.
    pub fn import(&self, name: &str, paths: Vec<String>, read: &Function) -> Result<JsValue, JsValue> {
        let content = |path: &str| -> Result<Vec<u8>> {
            let bytes = read.call1(&JsValue::NULL, &path.into()).map_err(|e| {
                let problem = format!("{path} cannot be read ({})", e.as_string().unwrap_or_default());
                Error::weights(name, problem, "choose the file again")
            })?;
            Ok(Uint8Array::new(&bytes).to_vec())
        };
        let import = || -> Result<_> {
            let file = Bundle::new(name, paths, content).model()?.named(name);
            Ok((file.to_bytes()?, file.needs(), file.card))
        };
        let (bytes, memory, card) = import().map_err(|e| self.failure(&e))?;
        let entry = plain(&Entry {
            name: &card.name,
            title: &card.title,
            bytes: bytes.len(),
            sha256: Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
            gives: card.learned(),
            memory,
            card: &card,
        })?;
        Ok(object(&[("entry", entry), ("file", Uint8Array::from(&bytes[..]).into())]))
    }
}
