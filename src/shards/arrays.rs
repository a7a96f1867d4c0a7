//! Files of named arrays, one row for each sample of a batch: safetensors, small and exact.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use bytemuck::Pod;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::files::write_atomic;
use crate::{Error, Result};

/// The name of the header's one entry, the NFE of a job. Of several entries the order would be random, and equal parts would
/// not be equal files.
fn entry(job: &str) -> String {
    match job {
        "" => "nfe".into(),
        job => format!("nfe of {job}"),
    }
}

/// Writes `arrays`, all or nothing: name, kind, shape and bytes of each. `nfe` is what each sample cost, `job` what they are
/// of, see [`Settings::job`](super::Settings::job); empty where the folder has one maker only.
///
/// # Errors
/// As [`write_atomic`]; [`Error::Data`] if the bytes of an array do not fit its shape.
pub fn save(path: &Path, job: &str, nfe: usize, arrays: &[(&str, Dtype, Vec<usize>, &[u8])]) -> Result<()> {
    let failed = |e: safetensors::SafeTensorError| Error::data(path, e.to_string(), "report this as a bug");
    let views = arrays
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    let header = HashMap::from([(entry(job), nfe.to_string())]);
    let bytes = safetensors::serialize(views, Some(header)).map_err(failed)?;
    write_atomic(path, |file| file.write_all(&bytes))
}

/// The NFE and the bytes of each array, whose first axis has `n` rows and the second at least one column.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Data`] if it is damaged, holds something else or is of another job:
/// it is to be deleted, since it can be made again.
pub fn load(path: &Path, job: &str, arrays: &[(&str, Dtype)], n: usize) -> Result<(usize, Vec<Vec<u8>>)> {
    let bytes =
        std::fs::read(path).map_err(|e| Error::io(path, e, "make the file readable, or delete it"))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(path, format!("is damaged ({e})")))?;
    let header = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(path, e.to_string()))?.1;
    let entries = header.metadata().as_ref().ok_or_else(|| damaged(path, "does not say its NFE"))?;
    let nfe = entries.get(&entry(job)).ok_or_else(|| {
        damaged(path, "was made with other settings than those of its folder, or does not say its NFE")
    })?;
    let nfe = nfe.parse().map_err(|_| damaged(path, format!("has an NFE of {nfe}")))?;
    let read = |(name, dtype): &(&str, Dtype)| {
        let view = file.tensor(name).map_err(|e| damaged(path, format!("lacks {name} ({e})")))?;
        match view.shape() {
            [rows, columns] if *rows == n && *columns > 0 && view.dtype() == *dtype => {
                Ok(view.data().to_vec())
            }
            shape => Err(damaged(path, format!("has {name} of shape {shape:?}, not [{n}, ..]"))),
        }
    };
    Ok((nfe, arrays.iter().map(read).collect::<Result<_>>()?))
}

/// The error of a file whose content is not what it should be.
fn damaged(path: &Path, problem: impl Into<String>) -> Error {
    Error::data(path, problem, "delete the file; it will be made again")
}

/// What numbers may be that are kept bit by bit.
pub trait Number: Pod {
    /// What safetensors calls it.
    const DTYPE: Dtype;
}

impl Number for f32 {
    const DTYPE: Dtype = Dtype::F32;
}

impl Number for f64 {
    const DTYPE: Dtype = Dtype::F64;
}

/// What was made of some samples, and what each of them cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Made<T> {
    /// The same count of numbers for each sample, one sample after the other.
    pub values: Vec<T>,
    /// Network evaluations for each sample, counted; of the batch with the most.
    pub nfe: usize,
}

/// Nothing yet.
impl<T> Default for Made<T> {
    fn default() -> Self {
        Self { values: Vec::new(), nfe: 0 }
    }
}

impl<T: Number> Made<T> {
    /// Adds what was made of the next batch.
    pub fn extend(&mut self, next: Self) {
        self.values.extend(next.values);
        self.nfe = self.nfe.max(next.nfe);
    }

    /// Writes what was made of `n` samples of `job` as the array `name`, all or nothing.
    ///
    /// # Errors
    /// As [`save`].
    pub fn save(&self, path: &Path, job: &str, name: &str, n: usize) -> Result<()> {
        let shape = vec![n, self.values.len() / n.max(1)];
        save(path, job, self.nfe, &[(name, T::DTYPE, shape, bytemuck::cast_slice(&self.values))])
    }

    /// Reads what was made of `n` samples of `job`, `columns` numbers each, from the array `name`.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(path: &Path, job: &str, name: &str, [n, columns]: [usize; 2]) -> Result<Self> {
        let (nfe, arrays) = load(path, job, &[(name, T::DTYPE)], n)?;
        let values: Vec<T> = bytemuck::pod_collect_to_vec(&arrays[0]);
        match values.len() / n.max(1) == columns {
            true => Ok(Self { values, nfe }),
            false => Err(damaged(path, format!("has {} numbers, not {n} times {columns}", values.len()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_comes_back_bit_by_bit_and_other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.safetensors");
        let made = Made { values: vec![1.0 / 3.0, -0.0, f64::MIN_POSITIVE, 7.0], nfe: 35 };
        made.save(&path, "a", "bits", 2).unwrap();
        assert_eq!(Made::load(&path, "a", "bits", [2, 2]).unwrap(), made);
        let error =
            |job, n, columns| Made::<f64>::load(&path, job, "bits", [n, columns]).unwrap_err().to_string();
        for (message, words) in [
            (error("b", 2, 2), "other settings"),
            (error("a", 1, 4), "[1, ..]"),
            (error("a", 2, 3), "not 2 times 3"),
            (error("", 2, 2), "other settings"),
            (Made::<f64>::load(&path, "a", "codes", [2, 2]).unwrap_err().to_string(), "lacks codes"),
            (Made::<f32>::load(&path, "a", "bits", [2, 2]).unwrap_err().to_string(), "of shape"),
        ] {
            assert!(message.contains(words) && message.contains("delete the file"), "{message}");
        }
        assert!(Made { values: vec![1f32; 3], nfe: 1 }.save(&path, "a", "bits", 2).is_err());
        assert_eq!(Made::load(&path, "a", "bits", [2, 2]).unwrap(), made, "the old file stays");
    }

    #[test]
    fn the_cost_is_that_of_the_dearest_batch() {
        let mut made = Made { values: vec![1f32], nfe: 5 };
        made.extend(Made { values: vec![2.0], nfe: 3 });
        assert_eq!(made, Made { values: vec![1.0, 2.0], nfe: 5 });
    }
}
