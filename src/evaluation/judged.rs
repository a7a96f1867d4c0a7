use std::path::Path;

use safetensors::tensor::Dtype;

use super::Verdicts;
use crate::Result;
use crate::shards::arrays::{load, save};

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
            "",
            self.nfe,
            &[
                ("probabilities", Dtype::F32, vec![n, *classes], bytemuck::cast_slice(probabilities)),
                ("features", Dtype::F32, vec![n, *width], bytemuck::cast_slice(features)),
            ],
        )
    }

    /// Reads verdicts on `n` images back.
    pub fn load(path: &Path, n: usize) -> Result<Self> {
        let (nfe, arrays) = load(path, "", &[("probabilities", Dtype::F32), ("features", Dtype::F32)], n)?;
        let [classes, width] = [0, 1].map(|i| arrays[i].len() / 4 / n.max(1));
        let [probabilities, features] = [0, 1].map(|i| bytemuck::pod_collect_to_vec(&arrays[i]));
        Ok(Self { verdicts: Verdicts { classes, probabilities, width, features }, nfe })
    }
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
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(Judged::load(&path, 2).unwrap_err().to_string().contains("delete the file"));
    }
}
