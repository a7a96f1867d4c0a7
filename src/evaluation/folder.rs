use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Judge, Settings, Subject};
use crate::files::{make_folder, write_atomic};
use crate::flow::Likelihood;
use crate::images::ImageSet;
use crate::model::ScoreModel;
use crate::rng::Noise;
use crate::run::Run;
use crate::shards::{Batch, Made};
use crate::{Error, Result};

/// An evaluation, or one shard of it, as far as it has come.
///
/// Every batch is a file of its own, written atomically: what is there is done and is not drawn again.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// What it is an evaluation of.
    pub settings: Settings,
}

impl Folder {
    /// Begins an evaluation in `path`, or goes on with the one that is there.
    ///
    /// # Errors
    /// [`Error::Config`] if the settings are invalid, or those of the folder differ; [`Error::Io`] with what to
    /// change.
    pub fn create(path: impl Into<PathBuf>, settings: Settings) -> Result<Self> {
        settings.validate()?;
        let path = path.into();
        if path.join(SETTINGS).exists() {
            let found = Self::open(&path)?;
            if let Some(difference) = found.settings.difference(&settings) {
                let problem = format!("{} holds an evaluation with {difference}", path.display());
                return Err(Error::config("--out", problem, "repeat its settings or name another folder"));
            }
            return Ok(found);
        }
        let folder = Self { path, settings };
        let mut text = serde_json::to_vec_pretty(&folder.settings)
            .map_err(|e| Error::data(folder.path.join(SETTINGS), e.to_string(), "report this as a bug"))?;
        text.push(b'\n');
        folder.write(SETTINGS, &text)?;
        Ok(folder)
    }

    /// The evaluation in `path`.
    ///
    /// # Errors
    /// [`Error::Data`] if there is none, or its settings are damaged or of another version.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = path.join(SETTINGS);
        let text = std::fs::read_to_string(&file)
            .map_err(|e| Error::io(&file, e, "name a folder that `evaluate` has written"))?;
        let fix = "evaluate again into another folder";
        let settings: Settings = serde_json::from_str(&text)
            .map_err(|e| Error::data(&file, format!("is not an evaluation of this version ({e})"), fix))?;
        settings.validate().map_err(|e| Error::data(&file, e.to_string(), fix))?;
        Ok(Self { path, settings })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Judges the real images: `test` is what samples are compared with, `training` the yardstick.
    ///
    /// # Errors
    /// As [`Judge::real`] and [`write_atomic`].
    pub async fn judge_real(&self, judge: &Judge, test: &ImageSet, training: &ImageSet) -> Result<()> {
        for (path, images) in [(self.reference_path(), test), (self.training_path(), training)] {
            if !path.exists() {
                judge.real(images).await?.save(&path)?;
            }
        }
        Ok(())
    }

    /// Draws and judges what is missing of this shard's samples of sampler `k`.
    ///
    /// # Errors
    /// As [`Subject::of`], [`Judge::draw`] and [`write_atomic`]; the batches before it stay.
    pub async fn draw(&self, k: usize, subject: &Subject, judge: &Judge, run: &mut Run<'_>) -> Result<()> {
        let Settings { seed, count, ref samplers, .. } = self.settings;
        for Batch { index, first, len: n } in self.own_batches(count) {
            let path = self.judged_path(k, index);
            if !path.exists() {
                let noise = Noise::new(seed).at(first as u32);
                let model = subject.of(first..first + n, judge)?;
                judge.draw(&model, &samplers[k], &noise, n, run).await?.save(&self.ready(path)?)?;
            }
        }
        Ok(())
    }

    /// Measures what is missing of this shard's bits per dimension, on the first images of `test`.
    ///
    /// # Errors
    /// As [`Likelihood::bits_per_dim`] and [`write_atomic`]; the batches before it stay.
    pub async fn measure(&self, model: &ScoreModel, test: &ImageSet, run: &mut Run<'_>) -> Result<()> {
        for Batch { index, first, len: n } in self.own_batches(self.settings.likelihood) {
            let path = self.measured_path(index);
            if !path.exists() {
                let noise = Noise::new(self.settings.seed).at(first as u32);
                let bytes = &test.pixels[first * test.stride()..(first + n) * test.stride()];
                let (bits, nfe) = Likelihood::default().bits_per_dim(model, bytes, &noise, run).await?;
                let values: Vec<f64> = bits.iter().map(|bits| bits.mean).collect();
                Made { values, nfe }.save(&self.ready(path)?, "", BITS, n)?;
            }
        }
        Ok(())
    }

    /// Writes a file of results beside what was drawn.
    ///
    /// # Errors
    /// As [`write_atomic`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_atomic(self.ready(self.path.join(name))?, |file| file.write_all(bytes))
    }

    /// This shard's part of the batches of `count`.
    pub(super) fn own_batches(&self, count: usize) -> impl Iterator<Item = Batch> + use<> {
        let shard = self.settings.shard;
        self.settings.batches(count).filter(move |batch| shard.has(batch.index))
    }

    pub(super) fn reference_path(&self) -> PathBuf {
        self.path.join("reference.safetensors")
    }

    pub(super) fn training_path(&self) -> PathBuf {
        self.path.join("training.safetensors")
    }

    pub(super) fn judged_path(&self, k: usize, batch: usize) -> PathBuf {
        self.path.join(self.sampler_folder(k)).join(format!("{batch:05}.safetensors"))
    }

    /// The name of the folder with the samples of sampler `k`.
    pub(super) fn sampler_folder(&self, k: usize) -> String {
        format!("{k:02}-{}", self.settings.samplers[k].info().name)
    }

    pub(super) fn measured_path(&self, batch: usize) -> PathBuf {
        self.path.join(LIKELIHOOD).join(format!("{batch:05}.safetensors"))
    }

    /// `path`, whose folder then exists.
    fn ready(&self, path: PathBuf) -> Result<PathBuf> {
        let parent = path.parent().unwrap_or(&self.path);
        make_folder(parent)?;
        Ok(path)
    }
}

/// The folder with the bits per dimension.
pub(super) const LIKELIHOOD: &str = "likelihood";

/// The array with them.
pub(super) const BITS: &str = "bits";

/// The file that makes a folder an evaluation.
const SETTINGS: &str = "settings.json";
