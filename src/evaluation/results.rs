use std::path::PathBuf;

use serde::Serialize;

use super::folder::BITS;
use super::status::owners;
use super::{Folder, Gaussian, Judged, Settings, Verdicts, describe, kernel_distance, precision_recall};
use crate::estimate::Estimate;
use crate::sampler::Sampler;
use crate::shards::{Batch, Made, Shard};
use crate::weights::Quality;
use crate::{Error, Result};

/// The numbers of a complete evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Results {
    /// What was evaluated, all shards together.
    pub settings: Settings,
    /// The yardstick of real images first, then one row for each sampler.
    pub rows: Vec<Row>,
    /// The model's likelihood, if it was asked for.
    pub bits_per_dim: Option<BitsPerDim>,
}

/// What is known of one sampler's samples, or of real images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The model, or for real images the data set.
    pub model: String,
    /// The sampler; none for real images.
    pub options: Option<Sampler>,
    /// What a model card holds.
    #[serde(flatten)]
    pub quality: Quality,
    /// Share of the samples that the classifier takes for the class that was asked for, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<f64>,
    /// [`kernel_distance`] to the reference.
    pub kernel: Estimate,
    /// See [`precision_recall`].
    pub precision: f64,
    /// See [`precision_recall`].
    pub recall: f64,
    /// [`Verdicts::classifier_score`].
    pub classifier_score: f64,
    /// [`Verdicts::histogram`].
    pub histogram: Vec<usize>,
}

/// How probable a model finds real images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BitsPerDim {
    /// Over images.
    #[serde(flatten)]
    pub bits: Estimate,
    /// How many images.
    pub count: usize,
    /// Network evaluations for each, counted; of the batch with the most.
    pub nfe: usize,
}

/// Real images to compare with.
#[derive(Debug)]
pub struct Reference {
    verdicts: Verdicts,
    gaussian: Gaussian,
}

impl Reference {
    /// What a classifier says of real images, usually a test set.
    ///
    /// # Errors
    /// [`Error::Config`] for fewer than two images.
    pub fn new(verdicts: Verdicts) -> Result<Self> {
        Ok(Self { gaussian: verdicts.gaussian()?, verdicts })
    }

    /// The numbers of samples of `model`, or of real images without a `sampler`.
    ///
    /// # Errors
    /// [`Error::Config`] for fewer than four images, or features of another width.
    pub fn row(
        &self,
        model: &str,
        sampler: Option<&Sampler>,
        nfe: usize,
        verdicts: &Verdicts,
    ) -> Result<Row> {
        let Verdicts { width, features, .. } = verdicts;
        if *width != self.verdicts.width {
            let problem = format!("{width} features, those of the reference {}", self.verdicts.width);
            return Err(Error::config("the samples have", problem, "judge both with one classifier"));
        }
        let (precision, recall) = precision_recall(features, &self.verdicts.features, *width)?;
        Ok(Row {
            model: model.into(),
            options: sampler.cloned(),
            right: None,
            quality: Quality {
                sampler: sampler.map_or("real images".into(), describe),
                nfe,
                count: verdicts.len(),
                recognised: verdicts.recognised(),
                class_entropy: verdicts.class_entropy(),
                frechet: verdicts.gaussian()?.distance(&self.gaussian),
            },
            kernel: kernel_distance(features, &self.verdicts.features, *width)?,
            precision,
            recall,
            classifier_score: verdicts.classifier_score(),
            histogram: verdicts.histogram(),
        })
    }
}

impl Results {
    /// The numbers of an evaluation whose shards are in `folders`, in any order. They do not depend on how it
    /// was divided, bit by bit as long as the devices that drew it agree.
    ///
    /// # Errors
    /// [`Error::Config`] if a shard is missing or there twice, or the folders' settings differ;
    /// [`Error::Data`] if one is not finished or a file is damaged.
    pub fn of(folders: &[Folder]) -> Result<Self> {
        let owners = in_order(folders)?;
        let first = owners[0];
        let settings = Settings { shard: Shard::WHOLE, ..first.settings.clone() };
        let owner = |batch: usize| owners[batch % owners.len()];

        let real = |path: PathBuf, n| Judged::load(&finished(first, path)?, n).map(|judged| judged.verdicts);
        let reference = Reference::new(real(first.reference_path(), settings.test_images)?)?;
        let training = real(first.training_path(), settings.training_images)?;
        let mut rows = vec![reference.row(&settings.dataset, None, 0, &training)?];
        for (k, sampler) in settings.samplers.iter().enumerate() {
            let (mut verdicts, mut evaluations) = (Verdicts::default(), 0);
            for Batch { index, len: n, .. } in settings.batches(settings.count) {
                let folder = owner(index);
                let judged = Judged::load(&finished(folder, folder.judged_path(k, index))?, n)?;
                evaluations += n * judged.nfe;
                verdicts.extend(judged.verdicts);
            }
            let nfe = (evaluations as f64 / settings.count as f64).round() as usize;
            let wanted = (0..verdicts.classes).cycle();
            let right = settings.guidance.map(|_| verdicts.right(wanted));
            rows.push(Row { right, ..reference.row(&settings.model, Some(sampler), nfe, &verdicts)? });
        }

        let mut measured = Made::<f64>::default();
        for Batch { index, len: n, .. } in settings.batches(settings.likelihood) {
            let folder = owner(index);
            let path = finished(folder, folder.measured_path(index))?;
            measured.extend(Made::load(&path, "", BITS, [n, 1])?);
        }
        let Made { values: bits, nfe } = measured;
        let count = bits.len();
        let bits_per_dim = (count > 0).then(|| BitsPerDim { bits: Estimate::of(bits), count, nfe });
        Ok(Self { settings, rows, bits_per_dim })
    }
}

/// The folders of shards 1 to n.
fn in_order(folders: &[Folder]) -> Result<Vec<&Folder>> {
    let owners = owners(folders)?;
    let of = owners.len();
    let missing = (1..=of).filter(|i| owners[i - 1].is_none()).map(|i| format!("{i}/{of}"));
    let missing = missing.collect::<Vec<_>>().join(", ");
    if !missing.is_empty() {
        let fix = "draw it with --shard and name its folder too";
        return Err(Error::config("merge", format!("lacks shard {missing}"), fix));
    }
    Ok(owners.into_iter().flatten().collect())
}

/// `path`, if it is there.
fn finished(folder: &Folder, path: PathBuf) -> Result<PathBuf> {
    match path.exists() {
        true => Ok(path),
        false => {
            let missing = path.strip_prefix(folder.path()).unwrap_or(&path).display();
            let problem = format!("is not finished: {missing} is missing");
            Err(Error::data(folder.path(), problem, "repeat its `evaluate` command, which goes on"))
        }
    }
}
