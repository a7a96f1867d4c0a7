use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::arrays::Number;
use super::{Batch, Made, Settings, Shard, ranges};
use crate::files::{make_folder, write_atomic};
use crate::{Error, Result};

/// The file that makes a folder one of parts.
const SETTINGS: &str = "settings.json";

/// The array in the file of a batch.
const VALUES: &str = "values";

/// The folder that all shards of a job share, as far as they have come.
///
/// It holds the job's settings and a file for each batch that is made, and is the same however the job was divided.
#[derive(Debug)]
pub struct Parts {
    path: PathBuf,
    /// What the parts are of.
    pub settings: Settings,
    job: String,
}

/// Where the parts of the file `out` are: `samples.png.parts` for `samples.png`.
pub fn folder_of(out: &Path) -> PathBuf {
    let mut name = OsString::from(out);
    name.push(".parts");
    name.into()
}

impl Parts {
    /// Begins the parts of the file `out`, or goes on with those that are there.
    ///
    /// Shards that begin at the same moment write the same settings, whole; each then reads what is there, as a shard
    /// does that begins later.
    ///
    /// # Errors
    /// [`Error::Config`] if the settings are invalid, or others than those of the folder; [`Error::Io`] with what to
    /// change.
    pub fn create(out: &Path, settings: &Settings) -> Result<Self> {
        settings.validate()?;
        let path = folder_of(out);
        let file = path.join(SETTINGS);
        let unwritten = |e: serde_json::Error| Error::data(&file, e.to_string(), "report this as a bug");
        let text = serde_json::to_string_pretty(settings).map_err(unwritten)?;
        if !file.exists() {
            make_folder(&path)?;
            write_atomic(&file, |file| writeln!(file, "{text}"))?;
        }
        let parts = Self::open(&path)?;
        // As text and back, like what it is compared with: JSON may change the last digit of a number.
        let settings: Settings = serde_json::from_str(&text).map_err(unwritten)?;
        match parts.settings.difference(&settings) {
            None => Ok(parts),
            Some(difference) => {
                let problem = format!("{} holds parts with {difference}", path.display());
                Err(Error::config(
                    "--out",
                    problem,
                    "repeat their settings, name another file, or delete the folder",
                ))
            }
        }
    }

    /// The parts in the folder `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if there are none, [`Error::Data`] if their settings are damaged or of another version.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path.join(SETTINGS);
        let text = std::fs::read_to_string(&file)
            .map_err(|e| Error::io(&file, e, "name a folder that a command with --shard has written"))?;
        let settings: Settings = serde_json::from_str(&text).map_err(|e| unknown(&file, e.to_string()))?;
        settings.validate().map_err(|e| unknown(&file, e.to_string()))?;
        Ok(Self { path: path.into(), job: settings.job(), settings })
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that they are to become, unless another one is named.
    pub fn out(&self) -> PathBuf {
        self.path.with_extension("")
    }

    /// Makes what is missing of a shard's batches, one after the other, and keeps it.
    ///
    /// # Errors
    /// Those of `make`, and as [`write_atomic`]; the batches before it stay.
    pub async fn make<T: Number>(
        &self,
        shard: Shard,
        mut make: impl AsyncFnMut(Batch) -> Result<Made<T>>,
    ) -> Result<()> {
        for batch in self.settings.batches().filter(|batch| shard.has(batch.index)) {
            let path = self.file(batch.index);
            if !path.exists() {
                make(batch).await?.save(&path, &self.job, VALUES, batch.len)?;
            }
        }
        Ok(())
    }

    /// The batches that nobody has made yet.
    pub fn missing(&self) -> Vec<usize> {
        let all = self.settings.batches().map(|batch| batch.index);
        all.filter(|index| !self.file(*index).exists()).collect()
    }

    /// Whether every batch is there.
    ///
    /// # Errors
    /// [`Error::Data`] with those that are not, and how they are made.
    pub fn check_complete(&self) -> Result<()> {
        let missing = self.missing();
        if missing.is_empty() {
            return Ok(());
        }
        let Settings { command, .. } = &self.settings;
        let noun = if missing.len() == 1 { "batch" } else { "batches" };
        let problem =
            format!("lacks {noun} {} (of 0 to {})", ranges(&missing), self.settings.batches().len() - 1);
        let fix = format!(
            "repeat its `{command}` command with the same --shard, or with --shard 1/1 for all that is missing"
        );
        Err(Error::data(&self.path, problem, fix))
    }

    /// All of it in the order of the samples, `columns` numbers each.
    ///
    /// # Errors
    /// As [`check_complete`](Self::check_complete) and [`Made::load`].
    pub fn all<T: Number>(&self, columns: usize) -> Result<Made<T>> {
        self.check_complete()?;
        let mut all = Made::default();
        for Batch { index, len, .. } in self.settings.batches() {
            all.extend(Made::load(&self.file(index), &self.job, VALUES, [len, columns])?);
        }
        Ok(all)
    }

    /// What the command adds to the settings, as far as a `T` holds it.
    ///
    /// # Errors
    /// [`Error::Data`] if something is not there or of another type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        self.settings.read().map_err(|e| unknown(&self.path.join(SETTINGS), e.to_string()))
    }

    /// The `[c, h, w]` of its images.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn shape(&self) -> Result<[usize; 3]> {
        #[derive(Deserialize)]
        struct Images {
            // No product of three such numbers is too large.
            shape: [u16; 3],
        }
        self.read().map(|Images { shape }| shape.map(usize::from))
    }

    fn file(&self, batch: usize) -> PathBuf {
        self.path.join(format!("{batch:05}.safetensors"))
    }
}

/// The error of settings that say something else than they should.
fn unknown(file: &Path, problem: String) -> Error {
    let fix = "delete its folder, and make the parts again";
    Error::data(file, format!("is not of parts of this version ({problem})"), fix)
}
