use std::ops::Range;

use js_sys::{Function, Uint8Array};
use serde::Serialize;
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::*;

use crate::device::DeviceChoice;
use crate::model::Learned;
use crate::page::messages::{failure, plain};
use crate::weights::import::Bundle;
use crate::weights::{ModelCard, Needs, hex};
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

/// Makes a model file of the visitor's files: a file of ours, or a published model's weights and configurations, at
/// `paths`, of `lengths` bytes. `read(path, from, to)` gives a piece of one, as a `Uint8Array`, and `write` takes the
/// pieces of the model's file in order. Returns what the list of models says of it, under `name`, with the bytes of memory
/// that it needs.
///
/// # Errors
/// Code `weights` or `request` names the first thing that is missing, unknown, or does not fit.
#[wasm_bindgen]
pub fn import_model(
    name: &str,
    paths: Vec<String>,
    lengths: Vec<usize>,
    read: &Function,
    write: &Function,
) -> Result<JsValue, JsValue> {
    let piece = |path: &str, range: Range<usize>| -> Result<Vec<u8>> {
        let bytes = read.call3(&JsValue::NULL, &path.into(), &range.start.into(), &range.end.into());
        let bytes = bytes.map_err(|e| {
            let problem = format!("{path} cannot be read ({})", e.as_string().unwrap_or_default());
            Error::weights(name, problem, "choose the file again")
        })?;
        Ok(Uint8Array::new(&bytes).to_vec())
    };
    let import = || -> Result<_> {
        let file = Bundle::new(name, paths.into_iter().zip(lengths), piece).model()?.named(name);
        let (mut digest, mut bytes) = (Sha256::new(), 0);
        file.write(|piece| {
            digest.update(piece);
            bytes += piece.len();
            // It only stores them.
            let _ = write.call1(&JsValue::NULL, &Uint8Array::from(piece));
        })?;
        Ok((bytes, hex(&digest.finalize()), file.needs(), file.card))
    };
    let (bytes, sha256, memory, card) = import().map_err(|e| failure(&e, DeviceChoice::Cpu))?;
    plain(&Entry {
        name: &card.name,
        title: &card.title,
        bytes,
        sha256,
        gives: card.learned(),
        memory,
        card: &card,
    })
}
