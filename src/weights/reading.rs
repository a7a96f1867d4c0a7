//! How a model file is read: piece by piece, so that a large one and its weights need not be in memory together.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use safetensors::tensor::{Dtype, Metadata, TensorView};
use serde::Serialize;

use super::params::Values;
use super::{CARD_KEY, ModelCard, ModelFile, Precision};
use crate::{Error, Result};

/// Bytes before the header, which are its length.
const PREFIX: usize = 8;

/// Bytes of memory that a model needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// All weights.
    pub weights: u64,
    /// The largest of them.
    pub largest_weight: u64,
    /// The largest layer's output for one image; a batch needs as many times that, in one piece.
    pub image: u64,
}

impl ModelFile {
    /// Reads and checks a file's content; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Weights`] for a damaged header, a missing or invalid card, or an element type other
    /// than f16 and f32.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        Self::read(name, bytes.len(), |range| Ok(Cow::Borrowed(&bytes[range])))
    }

    /// The same of a file of `length` bytes, of which `piece` gives those of a range.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and those of `piece`.
    pub fn read<'a>(
        name: &str,
        length: usize,
        piece: impl Fn(Range<usize>) -> Result<Cow<'a, [u8]>>,
    ) -> Result<Self> {
        let damaged = |problem: String| Error::weights(name, problem, "download or export the file again");
        let broken = |problem: &str| damaged(format!("not a whole safetensors file ({problem})"));
        if length < PREFIX {
            return Err(broken("it is too short"));
        }
        let prefix = piece(0..PREFIX)?.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let begin = usize::try_from(prefix).ok().and_then(|header| header.checked_add(PREFIX));
        let begin = begin.filter(|begin| *begin <= length).ok_or_else(|| broken("its header is cut off"))?;
        let header: Metadata =
            serde_json::from_slice(&piece(PREFIX..begin)?).map_err(|e| broken(&e.to_string()))?;
        if begin + header.data_len() != length {
            return Err(broken("its length is not the one that it states"));
        }
        let card = header.metadata().as_ref().and_then(|metadata| metadata.get(CARD_KEY));
        let card = card.ok_or_else(|| damaged("has no Scorefield model card".into()))?;
        let card: ModelCard =
            serde_json::from_str(card).map_err(|e| damaged(format!("its model card is invalid ({e})")))?;
        card.validate(name)?;
        let (mut weights, mut precision) = (HashMap::new(), Precision::F16);
        for (tensor, info) in header.tensors() {
            match info.dtype {
                Dtype::F16 => {}
                Dtype::F32 => precision = Precision::F32,
                other => return Err(damaged(format!("{tensor} has type {other:?}, not F16 or F32"))),
            }
            let (from, to) = info.data_offsets;
            let bytes = piece(begin + from..begin + to)?;
            let view = TensorView::new(info.dtype, info.shape.clone(), &bytes)
                .map_err(|e| damaged(e.to_string()))?;
            let values = Values::read(name, &tensor, &view)?;
            weights.insert(tensor, values);
        }
        Ok(Self { card, weights, precision })
    }

    /// The memory that the model needs, its weights being single precision on every device at some time.
    pub fn needs(&self) -> Needs {
        let sizes = || self.weights.values().map(|values| size_of_val(&values.data[..]) as u64);
        Needs {
            weights: sizes().sum(),
            largest_weight: sizes().max().unwrap_or_default(),
            image: self.card.image_bytes(),
        }
    }
}
