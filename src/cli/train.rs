use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use super::data::{self, PlaceArgs};
use crate::cancel::CancelToken;
use crate::data::{DataSource, Dataset, Split};
use crate::device::{self, DeviceChoice, Opened};
use crate::images::ImageSet;
use crate::training::run::checkpoint::Checkpoint;
use crate::training::run::{Outcome, RunFolder, train};
use crate::training::{ClassifierLesson, Course, Lesson, ScoreLesson, TrainConfig, presets};
use crate::weights::{Accuracy, shipped};
use crate::{Error, Result};

/// `train`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Data set [default: that of the preset or file, else mnist].
    #[arg(long, value_parser = data::names())]
    dataset: Option<Dataset>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Fetch the data set first if it is not there (checksummed).
    #[arg(long)]
    download: bool,
    /// Starting point of the configuration; mnist-classifier trains the judge of digits.
    #[arg(long, value_parser = PossibleValuesParser::new(presets::names()))]
    preset: Option<String>,
    /// Configuration file; every field is explained in its documentation, `--dry-run` prints one.
    #[arg(long, conflicts_with = "preset")]
    config: Option<PathBuf>,
    /// Name of the model.
    #[arg(long)]
    name: Option<String>,
    /// Optimiser steps in all.
    #[arg(long)]
    steps: Option<usize>,
    /// Images per step.
    #[arg(long)]
    batch: Option<usize>,
    /// Seed of weights, data order and noise.
    #[arg(long)]
    seed: Option<u64>,
    /// Centre-crop images to this side before resizing.
    #[arg(long)]
    crop: Option<usize>,
    /// Resize images to this side.
    #[arg(long)]
    size: Option<usize>,
    /// Mirror half of the images.
    #[arg(long)]
    flip: bool,
    /// Learn the classes of the images too, so that images of one class can be drawn.
    #[arg(long, conflicts_with = "resume")]
    conditional: bool,
    /// auto, gpu or cpu.
    #[arg(long, default_value = "auto", value_parser = str::parse::<DeviceChoice>)]
    device: DeviceChoice,
    /// Folder for checkpoint, model, loss and samples [default: runs/NAME].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on from the checkpoint in the folder, with its settings or with those of --config; --steps and
    /// --data-dir may change.
    #[arg(long, conflicts_with_all = ["gray", "array", "label_array"])]
    resume: bool,
    /// Start from the weights of this model (a shipped name or a file) of the same network.
    #[arg(long, conflicts_with = "resume")]
    init: Option<String>,
    /// Print the configuration and stop.
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    /// Trains.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let mut course = self.course()?;
        let folder = RunFolder(self.folder(&course.pace().name));
        let resume = match self.resume {
            true => Some(Checkpoint::read(&folder.checkpoint())?),
            false => None,
        };
        if let Some(checkpoint) = &resume {
            course = self.resumed(course, &checkpoint.state.config)?;
        }
        course.validate()?;
        if self.dry_run && !self.conditional {
            return print_toml(&course);
        }
        if resume.is_none() && folder.checkpoint().exists() {
            let problem = format!("{} already holds a run", folder.0.display());
            return Err(Error::config(
                "--out",
                problem,
                "add --resume to go on with it, or choose another folder",
            ));
        }
        let data = course.basics().data.clone();
        if self.download {
            data.download()?;
        }
        let images = data.load()?;
        if images.channels == 3 && images.is_gray() {
            log::warn!(
                "{}: all images are grey; with --gray the model has one channel, not three",
                images.name
            );
        }
        if self.conditional {
            let none = || {
                let fix = "leave out --conditional, or name labelled images";
                Error::config(format!("the data set {}", images.name), "has no classes", fix)
            };
            score(&mut course, "--conditional")?.network.learn_classes(images.n_classes().ok_or_else(none)?);
        }
        if self.dry_run {
            return print_toml(&course);
        }
        let opened = device::open(self.device).await?;
        let job = Job { images: &images, opened, folder, resume, cancel };
        match &course {
            Course::Score(config) => job.train(ScoreLesson::new(config, &images)?).await,
            Course::Classifier(config) => {
                let test = DataSource { split: Split::Test, ..data }.load()?;
                job.train(ClassifierLesson::new(config, &images, &test)?).await
            }
        }
    }

    /// The configuration of a resumed run: the checkpoint's, or that of `--config` if it trains the same
    /// model on the same images.
    fn resumed(&self, mut course: Course, saved: &Course) -> Result<Course> {
        if self.config.is_none() {
            course = saved.clone();
            let basics = course.basics();
            *basics.steps = self.steps.unwrap_or(*basics.steps);
            basics.data.data_dir = self.place.data_dir.clone().or(basics.data.data_dir.take());
        }
        if !saved.goes_on(&course) {
            let problem = "differs from the checkpoint in name, network, sde, preconditioning, data or seed";
            return Err(Error::config("--config", problem, "start a new run with another --out"));
        }
        Ok(course)
    }

    /// Where the run's files go.
    fn folder(&self, name: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(name))
    }

    /// Preset or file, then the flags.
    fn course(&self) -> Result<Course> {
        let mut course = match (&self.config, &self.preset) {
            (Some(path), _) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| Error::io(path, e, "name a readable TOML file"))?;
                toml::from_str(&text)
                    .map_err(|e| Error::data(path, e.to_string().trim_end(), "correct the file"))?
            }
            (None, Some(name)) => presets::preset(name)?,
            (None, None) => default_for(self.dataset.unwrap_or_default()).into(),
        };
        let basics = course.basics();
        *basics.data = self.place.changed(basics.data.clone());
        basics.data.dataset = self.dataset.unwrap_or(basics.data.dataset);
        basics.data.crop = self.crop.or(basics.data.crop);
        basics.data.size = self.size.or(basics.data.size);
        *basics.init = self.init.clone().or(basics.init.take());
        *basics.steps = self.steps.unwrap_or(*basics.steps);
        *basics.batch = self.batch.unwrap_or(*basics.batch);
        *basics.seed = self.seed.unwrap_or(*basics.seed);
        if let Some(name) = &self.name {
            basics.name.clone_from(name);
        }
        if self.flip {
            score(&mut course, "--flip")?.flip = true;
        }
        Ok(course)
    }
}

/// Everything that a run needs besides its lesson.
struct Job<'a> {
    images: &'a ImageSet,
    opened: Opened,
    folder: RunFolder,
    resume: Option<Checkpoint>,
    cancel: &'a CancelToken,
}

impl Job<'_> {
    /// Trains, and says where the model is or how to go on.
    async fn train(self, lesson: impl Lesson) -> Result<()> {
        let Self { images, opened, folder, resume, cancel } = self;
        let (name, [c, h, w]) = (lesson.course().pace().name, images.shape());
        eprintln!(
            "{name}: {} images of {c}x{h}x{w} on {} ({})",
            images.len(),
            opened.name,
            opened.reason.trim_end_matches('.')
        );
        let outcome = train(lesson, images, &opened, &folder, resume, cancel).await?;
        if let Outcome::Stopped { step } = outcome {
            println!("stopped after step {step}; go on with: {}", resume_command(&folder, &name));
            return Ok(());
        }
        let model = folder.model(&name).display().to_string();
        for Accuracy { sigma, correct } in shipped::open(&model)?.card.accuracy {
            println!("noise {sigma:.2}: {:.2} % of the test images right", 100.0 * correct);
        }
        println!("{model}");
        Ok(())
    }
}

/// The configuration of a score network; `flag` is for no other.
fn score<'a>(course: &'a mut Course, flag: &str) -> Result<&'a mut TrainConfig> {
    match course {
        Course::Score(config) => Ok(config),
        Course::Classifier(_) => Err(Error::config(flag, "is not for classifiers", "leave it out")),
    }
}

/// A configuration as `--config` takes it.
fn print_toml(course: &Course) -> Result<()> {
    let text = toml::to_string(course)
        .map_err(|e| Error::config("config", e.to_string(), "report this as a bug"))?;
    print!("{text}");
    Ok(())
}

/// The preset made for `dataset`, or the general one under its name.
fn default_for(dataset: Dataset) -> TrainConfig {
    let fitting = presets::names().filter_map(|name| match presets::preset(name) {
        Ok(Course::Score(preset)) if preset.data.dataset == dataset => Some(preset),
        _ => None,
    });
    fitting.filter(|preset| preset.data.data_dir.is_none()).last().unwrap_or_else(|| {
        let mut config = TrainConfig { name: format!("{dataset}-vp"), ..TrainConfig::default() };
        config.data.dataset = dataset;
        config
    })
}

/// What to type to go on.
fn resume_command(folder: &RunFolder, name: &str) -> String {
    let default = PathBuf::from("runs").join(name);
    let out = match folder.0 == default {
        true => String::new(),
        false => format!(" --out {}", folder.0.display()),
    };
    format!("scorefield train --name {name}{out} --resume")
}
