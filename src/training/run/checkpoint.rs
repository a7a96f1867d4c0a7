//! The saved state of a run: one file that is either whole or not there.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::losses::Losses;
use crate::images::ImageSet;
use crate::training::{Course, Lesson, Problem, Trainer};
use crate::weights::hex;
use crate::{Error, Result, files};

/// Name of the checkpoint inside a run's folder.
pub const FILE: &str = "checkpoint.safetensors";

const PARTS: [&str; 4] = ["raw", "average", "first_moment", "second_moment"];
/// The name of part `i`: those that every run has, then its further averages.
fn part_name(i: usize) -> String {
    match PARTS.get(i) {
        Some(name) => (*name).into(),
        None => format!("average_{}", i - PARTS.len()),
    }
}

const STATE_KEY: &str = "scorefield-training";
const SUM_KEY: &str = "sha256";

/// What a checkpoint says besides the weights. Random numbers need no entry: they are functions of
/// the seed and the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The run.
    pub config: Course,
    /// Steps done.
    pub step: usize,
    /// Seconds spent so far.
    pub seconds: f64,
    /// The command, and those that resumed it.
    #[serde(default)]
    pub commands: Vec<String>,
    /// The loss on its way into the log.
    #[serde(default)]
    pub losses: Losses,
    /// [`fingerprint`] of the images; earlier versions kept none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// What was measured of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl State {
    /// The state before the first step of `lesson` on `images`, which `command` starts.
    pub fn new(lesson: &impl Lesson, images: &ImageSet, command: String) -> Self {
        Self {
            config: lesson.course(),
            step: 0,
            seconds: 0.0,
            commands: vec![command],
            losses: Losses::default(),
            images: Some(fingerprint(images)),
            problem: lesson.measured().copied(),
        }
    }

    /// This run as one that goes on where `earlier` stood.
    ///
    /// # Errors
    /// [`Error::Config`] if that was on other images, or with something else measured of them.
    pub fn following(self, earlier: &Self) -> Result<Self> {
        let fix = "name the folder of the same images with --data-dir, or start a new run from its model with --init";
        match &earlier.images {
            None => log::warn!(
                "the checkpoint is of an earlier version and does not know its images: what was measured of them is \
                 measured again, and may differ"
            ),
            known if *known != self.images => {
                return Err(Error::config("the images", "are not those of the checkpoint", fix));
            }
            _ if earlier.problem != self.problem => {
                let problem = "are measured differently from the checkpoint";
                let fix = "make the lesson with what the checkpoint knows of them";
                return Err(Error::config("the images", problem, fix));
            }
            _ => {}
        }
        let mut commands = [earlier.commands.clone(), self.commands].concat();
        commands.dedup();
        let State { step, seconds, losses, .. } = *earlier;
        Ok(Self { step, seconds, losses, commands, ..self })
    }
}

/// SHA-256 of images and labels, in hex: other names or another place do not change it.
pub fn fingerprint(images: &ImageSet) -> String {
    let shape = format!("{:?}", images.shape());
    checksum([shape.as_bytes(), &images.pixels, images.labels.as_deref().unwrap_or_default()])
}

/// Writes the state of `trainer` to `path`, atomically.
///
/// # Errors
/// [`Error::Io`] if the disk is full or not writable; an older checkpoint then stays as it was.
pub fn save<L: Lesson>(path: &Path, state: &State, trainer: &Trainer<L>) -> Result<()> {
    let failed = |e: String| Error::weights("checkpoint", e, "report this as a bug");
    let parts = trainer.to_parts()?;
    let views = (0..)
        .map(part_name)
        .zip(&parts)
        .map(|(name, bytes)| Ok((name, TensorView::new(Dtype::U8, vec![bytes.len()], bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| failed(e.to_string()))?;
    // As JSON its numbers could change in their last digit.
    let state = toml::to_string(state).map_err(|e| failed(e.to_string()))?;
    let sum = sum(&state, &parts);
    let metadata = HashMap::from([(STATE_KEY.to_string(), state), (SUM_KEY.to_string(), sum)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| failed(e.to_string()))?;
    files::write_atomic(path, |file| file.write_all(&bytes))
}

/// SHA-256 of everything in the file. The parts are burn's own records, whose readers trust them.
fn sum(state: &str, parts: &[Vec<u8>]) -> String {
    checksum([state.as_bytes()].into_iter().chain(parts.iter().map(Vec::as_slice)))
}

/// SHA-256 of some parts and their lengths, in hex.
fn checksum<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

/// A checkpoint read from disk, not yet in a trainer.
#[derive(Debug)]
pub struct Checkpoint {
    /// Where the run stands.
    pub state: State,
    parts: Vec<Vec<u8>>,
}

impl Checkpoint {
    /// Reads and checks `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such file, [`Error::Data`] if it is not a whole checkpoint.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| {
            Error::io(path, e, "name the folder of an earlier run with --out, or leave out --resume")
        })?;
        let damaged =
            |problem: String| Error::data(path, problem, "remove it and start again without --resume");
        let whole = |e: safetensors::SafeTensorError| damaged(format!("is not a whole checkpoint ({e})"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(whole)?;
        let entry = |key: &str| header.metadata().as_ref().and_then(|metadata| metadata.get(key));
        let (Some(state), Some(known)) = (entry(STATE_KEY), entry(SUM_KEY)) else {
            return Err(damaged("is not a checkpoint of a training run".into()));
        };
        let tensors = SafeTensors::deserialize(&bytes).map_err(whole)?;
        let mut parts = vec![];
        for i in 0..PARTS.len().max(tensors.len()) {
            let name = part_name(i);
            let Ok(found) = tensors.tensor(&name) else {
                let problem = format!("is of another version of the program (it has no part `{name}`)");
                let fix =
                    "resume with the version that wrote it, or go on from the model beside it with --init";
                return Err(Error::data(path, problem, fix));
            };
            parts.push(found.data().to_vec());
        }
        if *known != sum(state, &parts) {
            return Err(damaged("is damaged: its content does not have its checksum".into()));
        }
        // Earlier versions wrote JSON.
        let state = toml::from_str(state).or_else(|e| {
            serde_json::from_str(state).map_err(|_| damaged(format!("has an invalid header ({e})")))
        })?;
        Ok(Self { state, parts })
    }

    /// Puts the state into `trainer`, which must have been made from the same configuration.
    ///
    /// # Errors
    /// [`Error::Weights`] if the weights do not fit.
    pub fn restore<L: Lesson>(self, trainer: &mut Trainer<L>) -> Result<()> {
        trainer.load_parts(self.state.step, self.parts)
    }
}
