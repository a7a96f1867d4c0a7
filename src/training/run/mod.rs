//! A training run: files, progress, checkpoints, interruption and resume.

pub mod averages;
pub mod checkpoint;
mod curve;
mod losses;
pub mod report;

pub use losses::Losses;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Batches, Lesson, Trainer};
use crate::cancel::CancelToken;
use crate::device::Opened;
use crate::images::ImageSet;
use crate::picture::save_png;
use crate::weights::{self, Precision, Training, shipped};
use crate::{Error, Result, files};
use checkpoint::{Checkpoint, State};
use report::{LossLog, LossRow, draw_loss_curve, read_loss_log};

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
    let course = lesson.course();
    let pace = course.pace();
    std::fs::create_dir_all(&folder.0)
        .map_err(|e| Error::io(&folder.0, e, "choose a folder that can be written with --out"))?;
    let text = toml::to_string(&course)
        .map_err(|e| Error::config("config", e.to_string(), "report this as a bug"))?;
    let mut state = State::new(&lesson, images, command());
    let mut trainer = Trainer::new(lesson, &opened.device);
    let mut resumed_step = None;
    if let Some(checkpoint) = resume {
        state = state.following(&checkpoint.state)?;
        resumed_step = Some(state.step as u64);
        checkpoint.restore(&mut trainer)?;
    } else if let Some(model) = &pace.init {
        trainer.start_from(shipped::open(model)?)?;
    }
    files::write_atomic(folder.config(), |file| file.write_all(text.as_bytes()))?;
    let mut log = LossLog::open(folder.0.join("loss.csv"), resumed_step)?;
    let (before, started) = (state.seconds, Instant::now());
    let mut batches = Batches::new(images, pace.seed, pace.batch, pace.flip);
    let mut speed = Speed { since: Instant::now(), last_step: state.step };
    let bar = progress_bar(pace.steps, state.step);

    while state.step < pace.steps {
        let report = trainer.step(&mut batches).await?;
        let step = trainer.step_count();
        (state.step, state.seconds) = (step, before + started.elapsed().as_secs_f64());
        state.losses.add(report.loss);
        let (stop, last) = (cancel.is_cancelled(), step == pace.steps);
        bar.set_position(step as u64);
        if step.is_multiple_of(LOG_EVERY) || last {
            let ([loss, loss_ema], images_per_s) = (state.losses.row(), speed.until(step, pace.batch));
            bar.set_message(format!("loss {loss_ema:.4}  {images_per_s:.0} images/s"));
            log.append(&LossRow { step: step as u64, loss, loss_ema, images_per_s, seconds: state.seconds })?;
        }
        if stop || step.is_multiple_of(pace.checkpoint_every) || last {
            save(&trainer, &state, folder, opened).await?;
        }
        if pace.sample_every > 0
            && (step.is_multiple_of(pace.sample_every) || last)
            && let Some(picture) = trainer.lesson().picture(&trainer.average(), trainer.device()).await?
        {
            save_png(folder.0.join(format!("samples-{step:06}.png")), &picture)?;
        }
        if stop {
            bar.abandon();
            return Ok(Outcome::Stopped { step });
        }
    }
    bar.finish();
    Ok(Outcome::Finished)
}

/// Writes the checkpoint, the model, examined if it is finished, and the curve so far.
async fn save<L: Lesson>(
    trainer: &Trainer<L>,
    state: &State,
    folder: &RunFolder,
    opened: &Opened,
) -> Result<()> {
    let (lesson, pace) = (trainer.lesson(), state.config.pace());
    let mut card = lesson.card(Training {
        steps: state.step,
        batch: pace.batch,
        hours: state.seconds / 3600.0,
        device: opened.name.clone(),
        revision: REVISION.into(),
        command: state.commands.join(" && "),
    });
    if state.step == pace.steps {
        card.accuracy = lesson.examine(&trainer.average(), trainer.device()).await?;
    }
    // First, as it refuses weights that have grown out of all bounds: an earlier checkpoint is then kept.
    let model = weights::to_bytes(&trainer.average(), &card, Precision::F16)?;
    checkpoint::save(&folder.checkpoint(), state, trainer)?;
    for (length, module) in trainer.averages() {
        let path = folder.average(state.step, length);
        files::make_folder(folder.0.join(AVERAGES))?;
        // In full: what is made of them later is a difference of large numbers.
        let average = weights::to_bytes(&module, &card, Precision::F32)?;
        files::write_atomic(path, |file| file.write_all(&average))?;
    }
    files::write_atomic(folder.model(&pace.name), |file| file.write_all(&model))?;
    let csv = folder.0.join("loss.csv");
    match read_loss_log(&csv)?.len() {
        0 | 1 => Ok(()), // too early for a curve
        _ => draw_loss_curve(&csv, &folder.0.join("loss.png")),
    }
}

/// Measures the speed between rows.
struct Speed {
    since: Instant,
    last_step: usize,
}

impl Speed {
    /// Images per second since this was asked before.
    fn until(&mut self, step: usize, batch: usize) -> f64 {
        let images = (step - self.last_step) * batch;
        let seconds = self.since.elapsed().as_secs_f64();
        *self = Self { since: Instant::now(), last_step: step };
        images as f64 / seconds
    }
}

fn progress_bar(steps: usize, done: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps  {msg}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(steps as u64).with_style(style).with_position(done as u64);
    bar.reset_eta();
    bar
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
