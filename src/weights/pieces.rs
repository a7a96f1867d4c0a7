//! How model files are read and written: piece by piece, so that a large file and its weights need not be in memory
//! together.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use safetensors::tensor::{Dtype, Metadata, TensorInfo, TensorView};
use serde::Serialize;

use super::params::Values;
use super::{CARD_KEY, ModelCard, ModelFile, Precision};
use crate::{Error, Result};

/// Bytes before the header, which are its length.
const PREFIX: usize = 8;

/// A safetensors file, of which pieces are read when they are needed.
pub(super) struct Pieces<'a> {
    name: &'a str,
    length: usize,
    read: Box<Read<'a>>,
}

/// Gives the bytes of a range.
type Read<'a> = dyn Fn(Range<usize>) -> Result<Cow<'a, [u8]>> + 'a;

/// What a file says of its tensors.
pub(super) struct Header {
    /// Where the tensors begin.
    begin: usize,
    tensors: Metadata,
}

impl Header {
    /// The card of a file of ours.
    pub fn card(&self) -> Option<&String> {
        self.tensors.metadata().as_ref()?.get(CARD_KEY)
    }

    /// Names of all tensors, and what they are.
    pub fn tensors(&self) -> HashMap<String, &TensorInfo> {
        self.tensors.tensors()
    }
}

impl<'a> Pieces<'a> {
    /// A file of `length` bytes; `name` is what errors call it.
    pub fn new(
        name: &'a str,
        length: usize,
        read: impl Fn(Range<usize>) -> Result<Cow<'a, [u8]>> + 'a,
    ) -> Self {
        Self { name, length, read: Box::new(read) }
    }

    /// A file that is in memory.
    pub fn of(name: &'a str, bytes: &'a [u8]) -> Self {
        Self::new(name, bytes.len(), |range| Ok(Cow::Borrowed(&bytes[range])))
    }

    fn damaged(&self, problem: impl std::fmt::Display) -> Error {
        Error::weights(self.name, problem.to_string(), "download or export the file again")
    }

    /// The header, once it is seen to fit the file's length.
    pub fn header(&self) -> Result<Header> {
        let broken = |problem: &str| self.damaged(format!("not a whole safetensors file ({problem})"));
        if self.length < PREFIX {
            return Err(broken("it is too short"));
        }
        let prefix = (self.read)(0..PREFIX)?.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let begin = usize::try_from(prefix).ok().and_then(|header| header.checked_add(PREFIX));
        let begin = begin.filter(|begin| *begin <= self.length);
        let begin = begin.ok_or_else(|| broken("its header is cut off"))?;
        let tensors: Metadata = serde_json::from_slice(&(self.read)(PREFIX..begin)?)
            .map_err(|e| broken(&format!("its header is wrong: {e}")))?;
        match begin.checked_add(tensors.data_len()) == Some(self.length) {
            true => Ok(Header { begin, tensors }),
            false => Err(broken("its length is not what its header says")),
        }
    }

    /// The values of a tensor.
    pub fn values(&self, header: &Header, tensor: &str, info: &TensorInfo) -> Result<Values> {
        let (from, to) = info.data_offsets;
        let bytes = (self.read)(header.begin + from..header.begin + to)?;
        let view = TensorView::new(info.dtype, info.shape.clone(), &bytes).map_err(|e| self.damaged(e))?;
        Values::read(self.name, tensor, &view)
    }

    /// Whether the file is one of ours. What is no whole safetensors file is left to [`ModelFile::parse`].
    pub fn has_card(&self) -> bool {
        self.header().map_or(true, |header| header.card().is_some())
    }

    /// The model of a file of ours.
    pub fn model(&self) -> Result<ModelFile> {
        let header = self.header()?;
        let card = header.card().ok_or_else(|| self.damaged("has no Scorefield model card"))?;
        let card: ModelCard = serde_json::from_str(card)
            .map_err(|e| self.damaged(format!("its model card is invalid ({e})")))?;
        card.validate(self.name)?;
        let (mut weights, mut precision) = (HashMap::new(), Precision::F16);
        for (tensor, info) in header.tensors() {
            match info.dtype {
                Dtype::F16 => {}
                Dtype::F32 => precision = Precision::F32,
                other => {
                    return Err(self.damaged(format!("{tensor} has type {other:?}, not F16 or F32")));
                }
            }
            let values = self.values(&header, &tensor, info)?;
            weights.insert(tensor, values);
        }
        Ok(ModelFile { card, weights, precision })
    }
}

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
        Pieces::of(name, bytes).model()
    }

    /// The same of a file of `length` bytes, of which `read` gives those of a range.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and those of `read`.
    pub fn read<'a>(
        name: &'a str,
        length: usize,
        read: impl Fn(Range<usize>) -> Result<Cow<'a, [u8]>> + 'a,
    ) -> Result<Self> {
        Pieces::new(name, length, read).model()
    }

    /// The file's content, in the precision in which it was read.
    ///
    /// # Errors
    /// [`Error::Weights`] if a weight is not finite or cannot be represented in that precision.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.write(|piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// Gives the file's content to `take`, piece by piece.
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes).
    pub fn write(&self, mut take: impl FnMut(&[u8])) -> Result<()> {
        let failed = |problem: String| {
            Error::weights(&self.card.name, problem, "train again with a lower learning rate")
        };
        let mut weights: Vec<(&String, &Values)> = self.weights.iter().collect();
        weights.sort_by_key(|(name, _)| *name);
        let (dtype, size) = match self.precision {
            Precision::F16 => (Dtype::F16, size_of::<half::f16>()),
            Precision::F32 => (Dtype::F32, size_of::<f32>()),
        };
        let mut end = 0;
        let infos = weights.iter().map(|(name, values)| {
            let begin = end;
            end += values.data.len() * size;
            let info = TensorInfo { dtype, shape: values.shape.clone(), data_offsets: (begin, end) };
            ((*name).clone(), info)
        });
        let card = serde_json::to_string(&self.card).map_err(|e| failed(e.to_string()))?;
        let metadata = HashMap::from([(CARD_KEY.to_string(), card)]);
        let header = Metadata::new(Some(metadata), infos.collect()).map_err(|e| failed(e.to_string()))?;
        let mut header = serde_json::to_vec(&header).map_err(|e| failed(e.to_string()))?;
        header.resize(header.len().next_multiple_of(PREFIX), b' '); // so that the tensors are aligned
        take(&(header.len() as u64).to_le_bytes());
        take(&header);
        for (name, Values { data, .. }) in weights {
            if data.iter().any(|v| !v.is_finite()) {
                return Err(failed(format!("{name} holds a NaN or an infinity")));
            }
            match self.precision {
                Precision::F32 => take(bytemuck::cast_slice(data)),
                Precision::F16 => {
                    let halves: Vec<half::f16> = data.iter().map(|v| half::f16::from_f32(*v)).collect();
                    if halves.iter().any(|v| !v.is_finite()) {
                        return Err(failed(format!("{name} does not fit half precision")));
                    }
                    take(bytemuck::cast_slice(&halves));
                }
            }
        }
        Ok(())
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
