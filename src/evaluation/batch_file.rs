//! What is kept of a batch: safetensors, small and exact.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::Verdicts;
use crate::files::write_atomic;
use crate::{Error, Result};

/// Name of the header entry that holds the NFE.
const NFE: &str = "nfe";

/// The verdicts on a batch of images, and what each of them cost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judged {
    /// What the classifier says.
    pub verdicts: Verdicts,
    /// Network evaluations for each sample, counted.
    pub nfe: usize,
}

impl Judged {
    /// Writes it, all or nothing.
    pub fn save(&self, path: &Path) -> Result<()> {
        let Verdicts { classes, probabilities, width, features } = &self.verdicts;
        let n = self.verdicts.len();
        save(
            path,
            self.nfe,
            &[
                ("probabilities", Dtype::F32, vec![n, *classes], bytemuck::cast_slice(probabilities)),
                ("features", Dtype::F32, vec![n, *width], bytemuck::cast_slice(features)),
            ],
        )
    }

    /// Reads verdicts on `n` images back.
    pub fn load(path: &Path, n: usize) -> Result<Self> {
        let (nfe, arrays) = load(path, &[("probabilities", Dtype::F32), ("features", Dtype::F32)], n)?;
        let [classes, width] = [0, 1].map(|i| arrays[i].len() / 4 / n.max(1));
        let [probabilities, features] = [0, 1].map(|i| bytemuck::pod_collect_to_vec(&arrays[i]));
        Ok(Self { verdicts: Verdicts { classes, probabilities, width, features }, nfe })
    }
}

/// Bits per dimension of a batch of images.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// One number for each image.
    pub bits: Vec<f64>,
    /// Network evaluations for each image, counted.
    pub nfe: usize,
}

impl Measured {
    /// Writes it, all or nothing.
    pub fn save(&self, path: &Path) -> Result<()> {
        let shape = vec![self.bits.len(), 1];
        save(path, self.nfe, &[("bits", Dtype::F64, shape, bytemuck::cast_slice(&self.bits))])
    }

    /// Reads the numbers of `n` images back.
    pub fn load(path: &Path, n: usize) -> Result<Self> {
        let (nfe, arrays) = load(path, &[("bits", Dtype::F64)], n)?;
        Ok(Self { bits: bytemuck::pod_collect_to_vec(&arrays[0]), nfe })
    }
}

fn save(path: &Path, nfe: usize, arrays: &[(&str, Dtype, Vec<usize>, &[u8])]) -> Result<()> {
    let failed = |e: safetensors::SafeTensorError| Error::data(path, e.to_string(), "report this as a bug");
    let views = arrays
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    let header = HashMap::from([(NFE.to_string(), nfe.to_string())]);
    let bytes = safetensors::serialize(views, Some(header)).map_err(failed)?;
    write_atomic(path, |file| file.write_all(&bytes))
}

/// The NFE and the bytes of each array, whose first axis has `n` rows and the second at least one column.
fn load(path: &Path, arrays: &[(&str, Dtype)], n: usize) -> Result<(usize, Vec<Vec<u8>>)> {
    let damaged = |problem: String| Error::data(path, problem, "delete the file; it will be made again");
    let bytes =
        std::fs::read(path).map_err(|e| Error::io(path, e, "make the file readable, or delete it"))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(format!("is damaged ({e})")))?;
    let header = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?.1;
    let nfe = header.metadata().as_ref().and_then(|entries| entries.get(NFE)?.parse().ok());
    let nfe = nfe.ok_or_else(|| damaged("does not say its NFE".into()))?;
    let read = |(name, dtype): &(&str, Dtype)| {
        let view = file.tensor(name).map_err(|e| damaged(format!("lacks {name} ({e})")))?;
        match view.shape() {
            [rows, columns] if *rows == n && *columns > 0 && view.dtype() == *dtype => {
                Ok(view.data().to_vec())
            }
            shape => Err(damaged(format!("has {name} of shape {shape:?}, not [{n}, ..]"))),
        }
    };
    Ok((nfe, arrays.iter().map(read).collect::<Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_come_back_bit_by_bit_and_damaged_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.safetensors");
        let verdicts = Verdicts {
            classes: 2,
            probabilities: vec![0.1, 0.9, 1.0 / 3.0, 2.0 / 3.0],
            width: 3,
            features: vec![1e-30, -2.5, 0.1, 7.0, f32::MIN_POSITIVE, 3.3],
        };
        let judged = Judged { verdicts, nfe: 35 };
        judged.save(&path).unwrap();
        assert_eq!(Judged::load(&path, 2).unwrap(), judged);
        assert!(Judged::load(&path, 3).unwrap_err().to_string().contains("[3, ..]"));
        assert!(Measured::load(&path, 2).unwrap_err().to_string().contains("lacks bits"));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(Judged::load(&path, 2).unwrap_err().to_string().contains("delete the file"));

        let measured = Measured { bits: vec![2.5, 1.0 / 3.0], nfe: 91 };
        measured.save(&path).unwrap();
        assert_eq!(Measured::load(&path, 2).unwrap(), measured);
    }
}
