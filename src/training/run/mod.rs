//! A training run: files, progress, checkpoints, interruption and resume.

pub mod checkpoint;
mod curve;
pub mod report;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Batches, Lesson, Pace, Trainer};
use crate::cancel::CancelToken;
use crate::device::Opened;
use crate::images::ImageSet;
use crate::picture::save_png;
use crate::weights::{self, Precision, Training, shipped};
use crate::{Error, Result, files};
use checkpoint::{Checkpoint, State};
use report::{LossLog, LossRow, draw_loss_curve, read_loss_log};

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
    files::write_atomic(folder.config(), |file| file.write_all(text.as_bytes()))?;

    let mut trainer = Trainer::new(lesson, &opened.device);
    let mut before = 0.0;
    let mut resumed_step = None;
    if let Some(checkpoint) = resume {
        (before, resumed_step) = (checkpoint.state.seconds, Some(checkpoint.state.step as u64));
        checkpoint.restore(&mut trainer)?;
    } else if let Some(model) = &pace.init {
        trainer.start_from(shipped::open(model)?)?;
    }
    let mut log = LossLog::open(folder.0.join("loss.csv"), resumed_step)?;
    let started = Instant::now();
    let mut batches = Batches::new(images, pace.seed, pace.batch, pace.flip);
    let mut meter = Meter::new(trainer.step_count());
    let bar = progress_bar(pace.steps, trainer.step_count());

    while trainer.step_count() < pace.steps {
        let report = trainer.step(&mut batches).await?;
        let step = trainer.step_count();
        let seconds = before + started.elapsed().as_secs_f64();
        let (stop, last) = (cancel.is_cancelled(), step == pace.steps);
        meter.add(report.loss);
        bar.set_position(step as u64);
        if step.is_multiple_of(LOG_EVERY) || last {
            let row = meter.row(step, pace.batch, seconds);
            bar.set_message(format!("loss {:.4}  {:.0} images/s", row.loss_ema, row.images_per_s));
            log.append(&row)?;
        }
        if stop || step.is_multiple_of(pace.checkpoint_every) || last {
            save(&trainer, &pace, folder, opened, seconds).await?;
        }
        if pace.sample_every > 0
            && (step.is_multiple_of(pace.sample_every) || last)
            && let Some(picture) = trainer.lesson().picture(trainer.average(), trainer.device()).await?
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
    pace: &Pace,
    folder: &RunFolder,
    opened: &Opened,
    seconds: f64,
) -> Result<()> {
    let (lesson, step) = (trainer.lesson(), trainer.step_count());
    let mut card = lesson.card(Training {
        steps: step,
        batch: pace.batch,
        hours: seconds / 3600.0,
        device: opened.name.clone(),
        revision: revision(),
        command: lesson.command(),
    });
    if step == pace.steps {
        card.accuracy = lesson.examine(trainer.average(), trainer.device()).await?;
    }
    // First, as it refuses weights that have grown out of all bounds: an earlier checkpoint is then kept.
    let model = weights::to_bytes(trainer.average(), &card, Precision::F16)?;
    let state = State { config: trainer.course().clone(), step, seconds };
    checkpoint::save(&folder.checkpoint(), &state, trainer)?;
    files::write_atomic(folder.model(&pace.name), |file| file.write_all(&model))?;
    let csv = folder.0.join("loss.csv");
    match read_loss_log(&csv)?.len() {
        0 | 1 => Ok(()), // too early for a curve
        _ => draw_loss_curve(&csv, &folder.0.join("loss.png")),
    }
}

/// Averages the loss between rows and over the run, and measures speed.
struct Meter {
    sum: f64,
    count: usize,
    average: Option<f64>,
    since: Instant,
    last_step: usize,
}

impl Meter {
    fn new(step: usize) -> Self {
        Self { sum: 0.0, count: 0, average: None, since: Instant::now(), last_step: step }
    }

    fn add(&mut self, loss: f64) {
        self.sum += loss;
        self.count += 1;
        self.average = Some(self.average.map_or(loss, |average| 0.99 * average + 0.01 * loss));
    }

    fn row(&mut self, step: usize, batch: usize, seconds: f64) -> LossRow {
        let loss = self.sum / self.count.max(1) as f64;
        let images = (step - self.last_step) * batch;
        let images_per_s = images as f64 / self.since.elapsed().as_secs_f64();
        (self.sum, self.count, self.last_step, self.since) = (0.0, 0, step, Instant::now());
        LossRow { step: step as u64, loss, loss_ema: self.average.unwrap_or(loss), images_per_s, seconds }
    }
}

fn progress_bar(steps: usize, done: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps  {msg}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(steps as u64).with_style(style).with_position(done as u64);
    bar.reset_eta();
    bar
}

/// The program's version and, inside a git checkout, its commit.
fn revision() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let git = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    match git {
        Ok(output) if output.status.success() => {
            format!("{version} {}", String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => version.into(),
    }
}
