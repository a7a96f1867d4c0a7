//! A native training run: files, progress, checkpoints, interruption and resume.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::checkpoint::{self, Checkpoint, State};
use super::report::{LossLog, LossRow, draw_loss_curve, read_loss_log};
use super::{Batches, Problem, SdeChoice, TrainConfig, Trainer};
use crate::cancel::CancelToken;
use crate::device::Opened;
use crate::images::ImageSet;
use crate::picture::{Grid, save_png};
use crate::rng::Noise;
use crate::sampler::{Run, Sampler, read};
use crate::weights::{self, Architecture, FORMAT, ModelCard, Precision, Training, shipped};
use crate::{Error, Result, files};

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
    pub fn model(&self, config: &TrainConfig) -> PathBuf {
        self.0.join(format!("{}.safetensors", config.name))
    }

    /// The configuration, as `--config` takes it.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }
}

/// Trains until `config.steps` or until `cancel`, from the start or from `resume`.
///
/// Writes `config.toml`, `loss.csv`, `loss.png`, `samples-<step>.png`, the checkpoint and the model
/// into `folder`, all atomically.
///
/// # Errors
/// What [`Trainer::step`] and the files can say; the last checkpoint is then still there.
pub async fn train(
    config: &TrainConfig,
    images: &ImageSet,
    opened: &Opened,
    folder: &RunFolder,
    resume: Option<Checkpoint>,
    cancel: &CancelToken,
) -> Result<Outcome> {
    config.validate()?;
    let [channels, height, width] = images.shape();
    if images.is_empty() || ![1, 3].contains(&channels) || height.max(width) > 1024 {
        let problem = format!("has {} images of {channels}x{height}x{width}", images.len());
        let fix = "use images of 1 or 3 channels and at most 1024 pixels a side, one at least";
        return Err(Error::config(format!("the data set {}", images.name), problem, fix));
    }
    config.network.validate_for(height, width)?;
    let (wanted, known) = (config.network.classes, images.n_classes().unwrap_or(0));
    if wanted > 0 && !(1..=wanted).contains(&known) {
        let problem = format!("= {wanted}, but the data set {} has {known}", images.name);
        return Err(Error::config("network.classes", problem, format!("use {known}")));
    }
    std::fs::create_dir_all(&folder.0)
        .map_err(|e| Error::io(&folder.0, e, "choose a folder that can be written with --out"))?;
    let text = toml::to_string(config)
        .map_err(|e| Error::config("config", e.to_string(), "report this as a bug"))?;
    files::write_atomic(folder.config(), |file| file.write_all(text.as_bytes()))?;

    let problem = Problem::measure(config, images);
    let mut trainer = Trainer::new(config, problem, &opened.device);
    let mut before = 0.0;
    let mut resumed_step = None;
    if let Some(checkpoint) = resume {
        (before, resumed_step) = (checkpoint.state.seconds, Some(checkpoint.state.step as u64));
        checkpoint.restore(&mut trainer)?;
    } else if let Some(model) = &config.init {
        trainer.start_from(shipped::open(model)?)?;
    }
    let mut log = LossLog::open(folder.0.join("loss.csv"), resumed_step)?;
    let started = Instant::now();
    let mut batches = Batches::new(images, config.seed, config.batch, config.flip);
    let mut meter = Meter::new(trainer.step_count());
    let bar = progress_bar(config.steps, trainer.step_count());

    let save = |trainer: &Trainer, seconds: f64| -> Result<()> {
        let card = card(config, images, trainer, opened, seconds);
        // First, as it refuses weights that have grown out of all bounds: an earlier checkpoint is then kept.
        let model = weights::to_bytes(trainer.average(), &card, Precision::F16)?;
        let state = State { config: config.clone(), step: trainer.step_count(), seconds };
        checkpoint::save(&folder.checkpoint(), &state, trainer)?;
        files::write_atomic(folder.model(config), |file| file.write_all(&model))?;
        let csv = folder.0.join("loss.csv");
        match read_loss_log(&csv)?.len() {
            0 | 1 => Ok(()), // too early for a curve
            _ => draw_loss_curve(&csv, &folder.0.join("loss.png")),
        }
    };

    while trainer.step_count() < config.steps {
        let report = trainer.step(&mut batches).await?;
        let step = trainer.step_count();
        let seconds = before + started.elapsed().as_secs_f64();
        meter.add(report.loss);
        bar.set_position(step as u64);
        if step.is_multiple_of(LOG_EVERY) || step == config.steps {
            let row = meter.row(step, config.batch, seconds);
            bar.set_message(format!("loss {:.4}  {:.0} images/s", row.loss_ema, row.images_per_s));
            log.append(&row)?;
        }
        let stop = cancel.is_cancelled();
        if stop || step.is_multiple_of(config.checkpoint_every) || step == config.steps {
            save(&trainer, seconds)?;
        }
        if config.sample_every > 0 && (step.is_multiple_of(config.sample_every) || step == config.steps) {
            draw_samples(&trainer, &folder.0, config).await?;
        }
        if stop {
            bar.abandon();
            return Ok(Outcome::Stopped { step });
        }
    }
    bar.finish();
    Ok(Outcome::Finished)
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

pub(super) fn progress_bar(steps: usize, done: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps  {msg}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(steps as u64).with_style(style).with_position(done as u64);
    bar.reset_eta();
    bar
}

/// The model card of the weights as they stand.
fn card(
    config: &TrainConfig,
    images: &ImageSet,
    trainer: &Trainer,
    opened: &Opened,
    seconds: f64,
) -> ModelCard {
    let problem = trainer.problem();
    let [channels, height, width] = problem.shape;
    ModelCard {
        format: FORMAT,
        name: config.name.clone(),
        title: title(config),
        architecture: Architecture::Unet {
            config: config.network.clone(),
            preconditioning: problem.preconditioning,
        },
        sde: Some(problem.sde),
        range: problem.range,
        sigma_data: problem.sigma_data,
        channels,
        height,
        width,
        dataset: images.name.clone(),
        dataset_licence: images.licence.clone(),
        training: training(&command(config), trainer.step_count(), config.batch, seconds, opened),
        quality: vec![],
        accuracy: vec![],
    }
}

/// How a model was trained, for its card.
pub(super) fn training(command: &str, steps: usize, batch: usize, seconds: f64, opened: &Opened) -> Training {
    Training {
        steps,
        batch,
        hours: seconds / 3600.0,
        device: opened.name.clone(),
        revision: revision(),
        command: command.into(),
    }
}

/// The command that repeats a run: a preset if it is one, else its saved configuration.
fn command(config: &TrainConfig) -> String {
    let preset = TrainConfig::preset(&config.name).ok().filter(|preset| {
        let mut same = preset.clone();
        (same.steps, same.init) = (config.steps, config.init.clone());
        (same.sample_every, same.data.data_dir) = (config.sample_every, config.data.data_dir.clone());
        same == *config
    });
    let Some(preset) = preset else {
        return "scorefield train --config config.toml".into();
    };
    let mut command = format!("scorefield train --preset {}", config.name);
    if let Some(init) = &config.init {
        command += &format!(" --init {init}");
    }
    if config.steps != preset.steps {
        command += &format!(" --steps {}", config.steps);
    }
    command
}

/// One line for people.
fn title(config: &TrainConfig) -> String {
    let diffusion = match config.sde {
        SdeChoice::Ve { .. } => "variance exploding",
        SdeChoice::Vp(_) => "variance preserving",
        SdeChoice::SubVp(_) => "sub-variance preserving",
        SdeChoice::Edm(_) => "EDM",
    };
    format!("{}, {diffusion}", config.data.dataset.title())
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

/// Images in a sample grid.
const SAMPLES: usize = 36;

/// Draws a grid from the averaged weights, the same seed every time so that one can watch it improve.
async fn draw_samples(trainer: &Trainer, folder: &Path, config: &TrainConfig) -> Result<()> {
    let model = trainer.score_model();
    let solution = Sampler::named("heun")?
        .sample(&model, &Noise::new(config.seed), SAMPLES, &mut Run::default())
        .await?;
    let shape = solution.images.dims();
    let images = read(solution.images).await?;
    let scale = Grid::scale_for(shape[2].max(shape[3]));
    let picture = Grid { scale, ..Grid::default() }.draw(&images, shape)?;
    save_png(folder.join(format!("samples-{:06}.png", trainer.step_count())), &picture)
}
