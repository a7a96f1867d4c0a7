use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use super::data::{self, PlaceArgs};
use crate::cancel::CancelToken;
use crate::data::{DataSource, Dataset, Split};
use crate::device::{self, DeviceChoice};
use crate::training::checkpoint::Checkpoint;
use crate::training::classifier::{ClassifierTraining, train_classifier};
use crate::training::run::{Outcome, RunFolder, train};
use crate::training::{PRESETS, TrainConfig};
use crate::weights::Accuracy;
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
    #[arg(long, value_parser = PossibleValuesParser::new(PRESETS.iter().copied().chain([CLASSIFIER])))]
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
    #[arg(long)]
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
        if self.preset.as_deref() == Some(CLASSIFIER) {
            return self.run_classifier(cancel).await;
        }
        let mut config = self.config()?;
        let folder = RunFolder(self.folder(&config.name));
        let resume = match self.resume {
            true => Some(Checkpoint::read(&folder.checkpoint())?),
            false => None,
        };
        if let Some(checkpoint) = &resume {
            config = self.resumed(&checkpoint.state.config)?;
        }
        config.validate()?;
        if self.dry_run && !self.conditional {
            return print_toml(&config);
        }
        if resume.is_none() && folder.checkpoint().exists() {
            let problem = format!("{} already holds a run", folder.0.display());
            return Err(Error::config(
                "--out",
                problem,
                "add --resume to go on with it, or choose another folder",
            ));
        }
        if self.download {
            config.data.download()?;
        }
        let images = config.data.load()?;
        if self.conditional {
            let none = || {
                let fix = "leave out --conditional, or name labelled images";
                Error::config(format!("the data set {}", images.name), "has no classes", fix)
            };
            config.network.classes = images.n_classes().ok_or_else(none)?;
        }
        if self.dry_run {
            return print_toml(&config);
        }
        let opened = device::open(self.device).await?;
        let [c, h, w] = images.shape();
        eprintln!(
            "{}: {} images of {c}x{h}x{w} on {} ({})",
            config.name,
            images.len(),
            opened.name,
            opened.reason.trim_end_matches('.')
        );
        let outcome = train(&config, &images, &opened, &folder, resume, cancel).await?;
        let model = folder.model(&config);
        match outcome {
            Outcome::Finished => println!("{}", model.display()),
            Outcome::Stopped { step } => {
                println!("stopped after step {step}; go on with: {}", resume_command(&folder, &config));
            }
        }
        Ok(())
    }

    /// The configuration of a resumed run: the checkpoint's, or that of `--config` if it trains the same
    /// model on the same images.
    fn resumed(&self, saved: &TrainConfig) -> Result<TrainConfig> {
        let mut config = match self.config {
            Some(_) => self.config()?,
            None => TrainConfig { steps: self.steps.unwrap_or(saved.steps), ..saved.clone() },
        };
        config.data.data_dir = self.place.data_dir.clone().or(config.data.data_dir);
        let fixed = |c: &TrainConfig| {
            let data = DataSource { data_dir: None, ..c.data.clone() };
            (c.name.clone(), c.network.clone(), c.sde, c.preconditioning, data, c.seed)
        };
        if fixed(&config) != fixed(saved) {
            let problem = "differs from the checkpoint in name, network, sde, preconditioning, data or seed";
            return Err(Error::config("--config", problem, "start a new run with another --out"));
        }
        Ok(config)
    }

    /// Where the run's files go.
    fn folder(&self, name: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(name))
    }

    /// Trains a classifier and prints its accuracy under noise.
    async fn run_classifier(&self, cancel: &CancelToken) -> Result<()> {
        if self.resume || self.flip || self.conditional || self.init.is_some() {
            return Err(Error::config(
                "--resume, --flip, --conditional, --init",
                "are not for classifiers",
                "leave them out",
            ));
        }
        let mut config = ClassifierTraining::default();
        config.name = self.name.clone().unwrap_or(config.name);
        config.steps = self.steps.unwrap_or(config.steps);
        config.batch = self.batch.unwrap_or(config.batch);
        config.seed = self.seed.unwrap_or(config.seed);
        config.data.dataset = self.dataset.unwrap_or(config.data.dataset);
        config.data.data_dir = self.place.data_dir.clone();
        (config.data.crop, config.data.size) = (self.crop, self.size);
        config.validate()?;
        if self.dry_run {
            return print_toml(&config);
        }
        if self.download {
            config.data.download()?;
        }
        let images = config.data.load()?;
        let test = DataSource { split: Split::Test, ..config.data.clone() }.load()?;
        let opened = device::open(self.device).await?;
        let folder = self.folder(&config.name);
        let report = train_classifier(&config, &images, &test, &opened, &folder, cancel).await?;
        for Accuracy { sigma, correct } in report.accuracy {
            println!("noise {sigma:.2}: {:.2} % of the test images right", 100.0 * correct);
        }
        println!("{}", report.model.display());
        Ok(())
    }

    /// Preset or file, then the flags.
    fn config(&self) -> Result<TrainConfig> {
        let mut config = match (&self.config, &self.preset) {
            (Some(path), _) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| Error::io(path, e, "name a readable TOML file"))?;
                toml::from_str(&text)
                    .map_err(|e| Error::data(path, e.to_string().trim_end(), "correct the file"))?
            }
            (None, Some(name)) => TrainConfig::preset(name)?,
            (None, None) => default_for(self.dataset.unwrap_or_default()),
        };
        if let Some(dataset) = self.dataset {
            config.data.dataset = dataset;
        }
        config.data.data_dir = self.place.data_dir.clone().or(config.data.data_dir);
        config.data.crop = self.crop.or(config.data.crop);
        config.data.size = self.size.or(config.data.size);
        config.flip |= self.flip;
        config.name = self.name.clone().unwrap_or(config.name);
        config.init = self.init.clone().or(config.init);
        config.steps = self.steps.unwrap_or(config.steps);
        config.batch = self.batch.unwrap_or(config.batch);
        config.seed = self.seed.unwrap_or(config.seed);
        Ok(config)
    }
}

/// The preset that trains no score network.
const CLASSIFIER: &str = "mnist-classifier";

/// A configuration as `--config` takes it.
fn print_toml(config: &impl serde::Serialize) -> Result<()> {
    let text = toml::to_string(config)
        .map_err(|e| Error::config("config", e.to_string(), "report this as a bug"))?;
    print!("{text}");
    Ok(())
}

/// The preset made for `dataset`, or the general one under its name.
fn default_for(dataset: Dataset) -> TrainConfig {
    let presets = PRESETS.iter().filter_map(|name| TrainConfig::preset(name).ok());
    let fits = |preset: &TrainConfig| preset.data.dataset == dataset && preset.data.data_dir.is_none();
    let mut fitting: Vec<TrainConfig> = presets.filter(fits).collect();
    fitting.pop().unwrap_or_else(|| {
        let mut config = TrainConfig { name: format!("{dataset}-vp"), ..TrainConfig::default() };
        config.data.dataset = dataset;
        config
    })
}

/// What to type to go on.
fn resume_command(folder: &RunFolder, config: &TrainConfig) -> String {
    let default = PathBuf::from("runs").join(&config.name);
    let out = match folder.0 == default {
        true => String::new(),
        false => format!(" --out {}", folder.0.display()),
    };
    format!("scorefield train --name {}{out} --resume", config.name)
}
