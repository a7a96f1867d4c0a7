//! A training run: files, progress, checkpoints, interruption and resume.

pub mod averages;
pub mod checkpoint;
mod curve;
mod losses;
mod recorder;
pub mod report;

pub use losses::Losses;

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{Batches, Lesson, Trainer};
use crate::Result;
use crate::cancel::CancelToken;
use crate::device::Opened;
use crate::images::ImageSet;
use crate::team::{self, Alone, Team};
use crate::weights::shipped;
use checkpoint::{Checkpoint, State};
use recorder::Recorder;

/// The program's version and the commit that it was built from, as build.rs saw it.
const REVISION: &str = env!("SCOREFIELD_REVISION");

/// The folder of further averages in a run's.
const AVERAGES: &str = "averages";

/// Rows of `loss.csv` are this many steps apart.
const LOG_EVERY: usize = 20;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Finished,
    /// Stopped on request after `step`; the checkpoint holds that state.
    Stopped {
        /// Steps done.
        step: usize,
    },
}

/// Where a run's files are.
#[derive(Debug, Clone)]
pub struct RunFolder(pub PathBuf);

impl RunFolder {
    /// The state to resume from.
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join(checkpoint::FILE)
    }

    /// The model so far, ready to sample from.
    pub fn model(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.safetensors"))
    }

    /// One of the further averages as it was after `step` steps.
    pub fn average(&self, step: usize, length: f64) -> PathBuf {
        self.0.join(AVERAGES).join(format!("{step:08}-{length}.safetensors"))
    }

    /// The configuration, as `--config` takes it.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }
}

/// Takes `lesson` on `images` until all its steps are done or until `cancel`, from the start or from `resume`.
///
/// Writes `config.toml`, `loss.csv`, `loss.png`, the checkpoint, the model and, where there is something to see,
/// `samples-<step>.png` into `folder`, all atomically.
///
/// # Errors
/// What [`Trainer::step`] and the files can say; the last checkpoint is then still there.
pub async fn train<L: Lesson>(
    lesson: L,
    images: &ImageSet,
    opened: &Opened,
    folder: &RunFolder,
    resume: Option<Checkpoint>,
    cancel: &CancelToken,
) -> Result<Outcome> {
    train_in(&mut Alone, lesson, images, opened, folder, resume, cancel).await
}

/// [`train`] in a `team`, whose processes all call this; that of rank 0 writes the files, and all stop where one is told to.
///
/// # Errors
/// As there, and those of [`team::share`].
pub async fn train_in<L: Lesson>(
    team: &mut dyn Team,
    lesson: L,
    images: &ImageSet,
    opened: &Opened,
    folder: &RunFolder,
    resume: Option<Checkpoint>,
    cancel: &CancelToken,
) -> Result<Outcome> {
    let pace = lesson.course().pace();
    team::share(team, pace.micro_batches)?;
    let mut state = State::new(&lesson, images, command());
    let mut trainer = Trainer::new(lesson, &opened.device);
    let resumed = resume.is_some();
    if let Some(checkpoint) = resume {
        state = state.following(&checkpoint.state)?;
        checkpoint.restore(&mut trainer)?;
    } else if let Some(model) = &pace.init {
        trainer.start_from(shipped::open(model)?)?;
    }
    let mut recorder = match team.rank() {
        0 => Some(Recorder::open(folder, opened, &state, resumed)?),
        _ => None,
    };
    let (before, started) = (state.seconds, Instant::now());
    let mut batches = Batches::new(images, pace.seed, pace.batch, pace.flip).augmented(pace.augment);
    while state.step < pace.steps {
        let report = trainer.step_in(team, &mut batches).await?;
        let step = trainer.step_count();
        (state.step, state.seconds) = (step, before + started.elapsed().as_secs_f64());
        state.losses.add(report.loss);
        let stop = team::any(team, cancel.is_cancelled());
        if let Some(recorder) = &mut recorder {
            recorder.after(&trainer, &mut state, stop).await?;
        }
        if stop {
            return Ok(Outcome::Stopped { step });
        }
    }
    Ok(Outcome::Finished)
}

/// The command line of this process.
fn command() -> String {
    let mut words: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(program) = words.first_mut() {
        // Where it lies is nobody else's business.
        let name = Path::new(program).file_stem().map(|name| name.to_string_lossy().into_owned());
        *program = name.unwrap_or_default();
    }
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default()
}
