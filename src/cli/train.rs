use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};

use super::data::{self, PlaceArgs};
use super::team::in_team;
use crate::cancel::CancelToken;
use crate::checkup;
use crate::data::{DataSource, Dataset, Split};
use crate::device::{DeviceChoice, Opened};
use crate::images::ImageSet;
use crate::model::{Learned, PreconditioningChoice};
use crate::objective::{Loss, Metric, Objective};
use crate::sde::{NoiseSchedule, Sde, VeSde, Watch};
use crate::team::{self, Team};
use crate::training::run::checkpoint::{Checkpoint, State};
use crate::training::run::{Outcome, RunFolder, train_in};
use crate::training::{ClassifierLesson, Course, Lesson, ScoreLesson, TrainConfig, presets};
use crate::weights::{Accuracy, shipped};
use crate::{Error, Result};

/// What a run is started with. A resumed one has them from its checkpoint or from --config.
const SETTINGS: [&str; 17] = [
    "dataset",
    "preset",
    "batch",
    "seed",
    "crop",
    "size",
    "flip",
    "augment",
    "conditional",
    "objective",
    "schedule",
    "init",
    "teacher",
    "features",
    "gray",
    "array",
    "label_array",
];

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
    /// Equal parts in which a batch is computed, which takes less memory; several processes share them [default: that of
    /// the preset or file, else one for each process].
    #[arg(long, value_name = "N")]
    micro_batches: Option<usize>,
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
    /// Also learn from images that are mirrored, turned, stretched and moved, each with this probability, and be told so: for sets
    /// of few images (0.15 is usual).
    #[arg(long, value_name = "SHARE")]
    augment: Option<f64>,
    /// What the score is learned by; its settings are fields of the configuration's `objective` [default: that of the
    /// preset or file, else dsm].
    #[arg(long, value_parser = objectives())]
    objective: Option<Objective>,
    /// `auto` computes the noise levels from the images (NCSNv2's techniques 1 and 2), for VE and an objective with a
    /// ladder of levels.
    #[arg(long, value_parser = ["auto"])]
    schedule: Option<String>,
    /// Learn the classes of the images too, so that images of one class can be drawn.
    #[arg(long)]
    conditional: bool,
    /// auto, gpu, gpu:K (the discrete GPU of number K) or cpu.
    #[arg(long, default_value = "auto", value_parser = str::parse::<DeviceChoice>)]
    device: DeviceChoice,
    /// Folder for checkpoint, model, loss and samples [default: runs/NAME].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on from the checkpoint in the folder of --out or --name, on the same images, with its settings or with those
    /// of --config; --steps, --micro-batches and --data-dir may change.
    #[arg(long, conflicts_with_all = SETTINGS)]
    resume: bool,
    /// Start from the weights of this model (a shipped name or a file) of the same network.
    #[arg(long)]
    init: Option<String>,
    /// Learn from this score model (a shipped name or a file), where the objective has a teacher.
    #[arg(long)]
    teacher: Option<String>,
    /// Compare images by the features of this classifier (a shipped name or a file), where the objective is one of consistency
    /// functions.
    #[arg(long)]
    features: Option<String>,
    /// Print the configuration and stop.
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    /// Trains.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        in_team(async |team| self.run_in(team, cancel).await).await
    }

    async fn run_in(self, team: &mut dyn Team, cancel: &CancelToken) -> Result<()> {
        let mut course = self.course()?;
        let folder = RunFolder(self.folder(&course.pace().name));
        let resume = match self.resume {
            true => Some(Checkpoint::read(&folder.checkpoint())?),
            false => None,
        };
        if let Some(checkpoint) = &resume {
            course = self.resumed(course, &checkpoint.state)?;
        }
        if resume.is_none() && self.micro_batches.is_none() && *course.basics().micro_batches == 1 {
            *course.basics().micro_batches = team.size();
        }
        course.validate()?;
        let wants_images = self.conditional || self.schedule.is_some();
        if self.dry_run && !wants_images {
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
        if self.download && team.rank() == 0 {
            data.download()?;
        }
        team::wait(team);
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
            let network = &mut score(&mut course, "--conditional")?.network;
            if network.learn_classes(images.n_classes().ok_or_else(none)?).is_none() {
                let problem = format!("does not fit the network {}, which takes no classes", network.kind());
                return Err(Error::config("--conditional", problem, "leave it out, or use the network unet"));
            }
        }
        if self.schedule.is_some() {
            schedule(score(&mut course, "--schedule")?, &images, cancel)?;
        }
        if self.dry_run {
            return print_toml(&course);
        }
        let device = match team.size() {
            1 => self.device,
            _ => self.device.for_process(team.local_rank()).await,
        };
        let opened = checkup::open(device).await?;
        let job = Job { images: &images, opened, folder, resume, team, cancel };
        match &course {
            Course::Score(config) => {
                let known = job.resume.as_ref().and_then(|checkpoint| checkpoint.state.problem);
                let lesson = measure(cancel, |watch| ScoreLesson::knowing(config, &images, known, watch))?;
                job.train(lesson).await
            }
            Course::Classifier(config) => {
                let test = DataSource { split: Split::Test, ..data }.load()?;
                job.train(ClassifierLesson::new(config, &images, &test)?).await
            }
        }
    }

    /// The configuration of a resumed run: the checkpoint's, or that of `--config` if it trains the same
    /// model on the same images.
    fn resumed(&self, mut course: Course, saved: &State) -> Result<Course> {
        if self.config.is_none() {
            course = saved.config.clone();
            let basics = course.basics();
            if let Some(name) = self.name.as_ref().filter(|name| *name != basics.name) {
                let problem = format!("= {name}, but the checkpoint is of {}", basics.name);
                return Err(Error::config("--name", problem, "name the folder with --out"));
            }
            *basics.steps = self.steps.unwrap_or(*basics.steps);
            *basics.micro_batches = self.micro_batches.unwrap_or(*basics.micro_batches);
            basics.data.data_dir = self.place.data_dir.clone().or(basics.data.data_dir.take());
        }
        if !saved.config.goes_on(&course) {
            let problem = "differs from the checkpoint in name, network, sde, preconditioning, data, seed, averages or muon";
            return Err(Error::config("--config", problem, "start a new run with another --out"));
        }
        let (steps, done) = (course.pace().steps, saved.step);
        if steps < done {
            let problem = format!("= {steps}, but {done} are done already");
            return Err(Error::config("--steps", problem, format!("use {done} or more")));
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
        if let Some(dataset) = self.dataset.filter(|dataset| *dataset != basics.data.dataset) {
            // Name, licence and folder were those of another one.
            *basics.data =
                DataSource { name: None, licence: None, data_dir: None, dataset, ..basics.data.clone() };
        }
        *basics.data = self.place.changed(basics.data.clone());
        basics.data.crop = self.crop.or(basics.data.crop);
        basics.data.size = self.size.or(basics.data.size);
        *basics.init = self.init.clone().or(basics.init.take());
        *basics.steps = self.steps.unwrap_or(*basics.steps);
        *basics.batch = self.batch.unwrap_or(*basics.batch);
        *basics.micro_batches = self.micro_batches.unwrap_or(*basics.micro_batches);
        *basics.seed = self.seed.unwrap_or(*basics.seed);
        if let Some(name) = &self.name {
            basics.name.clone_from(name);
        }
        if self.flip {
            score(&mut course, "--flip")?.flip = true;
        }
        if let Some(share) = self.augment {
            let config = score(&mut course, "--augment")?;
            config.augment = share;
            if config.network.learn_moves().is_none() {
                let problem = format!("does not fit the network {}", config.network.kind());
                return Err(Error::config("--augment", problem, "leave it out, or use the network unet"));
            }
        }
        if let Some(objective) = self.objective {
            let config = score(&mut course, "--objective")?;
            config.objective = objective;
            if objective.learns() == Learned::Consistency {
                config.preconditioning = PreconditioningChoice::Consistency;
            }
        }
        if let Some(teacher) = &self.teacher {
            score(&mut course, "--teacher")?.teacher = Some(teacher.clone());
        }
        if let Some(features) = &self.features {
            let config = score(&mut course, "--features")?;
            config.features = Some(features.clone());
            if let Some(metric) = config.objective.metric() {
                *metric = Metric::Features {};
            }
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
    team: &'a mut dyn Team,
    cancel: &'a CancelToken,
}

impl Job<'_> {
    /// Trains, and says where the model is or how to go on.
    async fn train(self, lesson: impl Lesson) -> Result<()> {
        let Self { images, opened, folder, resume, team, cancel } = self;
        let (name, [c, h, w], first) = (lesson.course().pace().name, images.shape(), team.rank() == 0);
        if first {
            let others = match team.size() {
                1 => String::new(),
                size => format!(", {size} processes"),
            };
            eprintln!(
                "{name}: {} images of {c}x{h}x{w} on {}{others} ({})",
                images.len(),
                opened.name,
                opened.reason.trim_end_matches('.')
            );
            if let Some(problem) = lesson.measured() {
                eprintln!("measured: {problem}");
            }
        }
        let outcome = train_in(team, lesson, images, &opened, &folder, resume, cancel).await?;
        if !first {
            return Ok(());
        }
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

/// Sets the noise levels to those that `images` ask for.
fn schedule(config: &mut TrainConfig, images: &ImageSet, cancel: &CancelToken) -> Result<()> {
    let open = VeSde { sigma_max: 0.0, ..VeSde::default() };
    let sde = measure(cancel, |watch| open.measured(images, watch))?;
    let dim = images.shape().iter().product();
    let NoiseSchedule { levels, overlap, .. } =
        NoiseSchedule::overlapping(OVERLAP, dim, sde.sigma_max, sde.sigma_min)?;
    let name = config.objective.name();
    let number = config.objective.levels().ok_or_else(|| {
        let problem = format!("= auto, but the objective {name} has no ladder");
        Error::config("--schedule", problem, "use --objective dsm_annealed or ssm_annealed")
    })?;
    *number = levels;
    config.sde = sde.into();
    eprintln!(
        "{levels} noise levels from {:.3} to {}, which overlap by {overlap:.3}",
        sde.sigma_max, sde.sigma_min
    );
    Ok(())
}

/// How far NCSNv2's levels are to overlap.
const OVERLAP: f64 = 0.5;

/// Names of the objectives.
fn objectives() -> impl TypedValueParser<Value = Objective> {
    PossibleValuesParser::new(Objective::all().iter().map(Objective::name)).try_map(|name| name.parse())
}

/// What is measured of images, under a progress bar.
pub fn measure<T>(cancel: &CancelToken, work: impl FnOnce(&mut Watch<'_>) -> Result<T>) -> Result<T> {
    let style = ProgressStyle::with_template("measuring the images {bar:40} {percent} %")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(100).with_style(style);
    let measured = work(&mut |share| {
        bar.set_position((100.0 * share) as u64);
        if cancel.is_cancelled() { Err(Error::Cancelled { step: 0 }) } else { Ok(()) }
    });
    bar.finish_and_clear();
    measured
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

/// The preset made for `dataset`, by its name, or the general one under its name.
fn default_for(dataset: Dataset) -> TrainConfig {
    let whole = dataset.to_string();
    // `fashion` is of `fashion-mnist`.
    let first = whole.split('-').next().unwrap_or_default();
    let names = [format!("{whole}-vp"), format!("{whole}-ve"), whole.clone(), first.into()];
    let course = names.iter().find_map(|name| presets::preset(name).ok());
    if let Some(Course::Score(preset)) = course {
        return preset;
    }
    let mut config = TrainConfig { name: format!("{dataset}-vp"), ..TrainConfig::default() };
    config.data.dataset = dataset;
    config
}

/// What to type to go on.
fn resume_command(folder: &RunFolder, name: &str) -> String {
    let (out, default) = (folder.0.to_string_lossy(), PathBuf::from("runs").join(name));
    let mut words = vec!["scorefield", "train", "--name", name, "--resume"];
    if folder.0 != default {
        words.extend(["--out", &*out]);
    }
    shlex::try_join(words).unwrap_or_default()
}
