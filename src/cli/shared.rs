//! Arguments and helpers that several commands share.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::sample;
use super::shard::{make, settings};
use crate::cancel::CancelToken;
use crate::checkup;
use crate::control::AUTOGUIDANCE;
use crate::device::{DeviceChoice, Opened};
use crate::files::check_writable;
use crate::flow::Tolerance;
use crate::model::{Learned, ScoreModel};
use crate::ops::read;
use crate::picture::{Fit, Grid, load_image, save_npy, save_png};
use crate::rng::Noise;
use crate::run::{Event, Run};
use crate::sampler::Sampler;
use crate::shards::{Batch, Made, Shard};
use crate::weights::{ModelFile, shipped};
use crate::{Error, Result};

/// What to draw, how, and where to write it.
#[derive(Debug, clap::Args)]
pub struct Drawing {
    #[command(flatten)]
    sampler: SamplerArgs,
    /// Seed: the same one gives the same images on any device, natively and in the browser.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of images [default: 64, or 4 under a condition].
    #[arg(long)]
    count: Option<usize>,
    /// Index of the first image: image K of a seed does not depend on how many are drawn.
    #[arg(long, default_value_t = 0)]
    first: u32,
    /// Images that are drawn together.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// A .png grid, or .npy with raw float32 [n, c, h, w] in [0, 1], not clipped.
    #[arg(long, default_value = "samples.png")]
    pub out: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

impl Drawing {
    /// Checks everything that needs no model. `usual` is what the user left open.
    pub fn check<'a>(&'a self, usual: Usual<'a>) -> Result<Job<'a>> {
        let count = self.count.unwrap_or(usual.count);
        check_count("--count", count)?;
        check_count("--batch", self.batch)?;
        if self.sampler.sampler.is_some() {
            self.sampler.build(usual)?;
        }
        Ok(Job { usual, count, output: Output::new(&self.out)?, drawing: self })
    }
}

/// A [`Drawing`] that has been checked.
pub struct Job<'a> {
    usual: Usual<'a>,
    count: usize,
    output: Output,
    drawing: &'a Drawing,
}

/// The model of the images of these numbers, each of its class.
pub type InTurn<'a> = &'a dyn Fn(Range<usize>) -> Result<ScoreModel>;

impl Job<'_> {
    /// Draws the images of `model`, writes them and sums up.
    pub async fn draw(self, model: &ScoreModel, cancel: &CancelToken) -> Result<()> {
        self.draw_shard(model, None, None, Vec::new(), cancel).await
    }

    /// The same, but by the models that `each` batch has where its classes take turns, and of a `shard` only its images, which are kept in the parts of the file; `of` are JSON objects of what they depend on besides what
    /// this job knows.
    pub async fn draw_shard(
        self,
        model: &ScoreModel,
        each: Option<InTurn<'_>>,
        shard: Option<Shard>,
        of: Vec<Value>,
        cancel: &CancelToken,
    ) -> Result<()> {
        let Drawing { seed, first, batch, json, ref out, .. } = *self.drawing;
        let sampler = self.drawing.sampler.fitting(self.usual, model.learned)?;
        let own = json!({ "seed": seed, "first": first, "shape": model.shape, "sampler": sampler });
        let settings = settings(sample::COMMAND, [self.count, batch], of.into_iter().chain([own]));
        let draw = async |batch: Batch, run: &mut Run<'_>| {
            let first = first.wrapping_add(batch.first as u32);
            let numbers = first as usize..first as usize + batch.len;
            let of_classes = each.as_ref().map(|each| each(numbers)).transpose()?;
            let model = of_classes.as_ref().unwrap_or(model);
            let solution = sampler.sample(model, &Noise::new(seed).at(first), batch.len, run).await?;
            Ok(Made { values: read(solution.images).await?, nfe: solution.nfe })
        };
        match make(&settings, out, shard, cancel, draw).await? {
            Some(made) => self.output.write_made(&made, model.shape, json),
            None => Ok(()),
        }
    }
}

/// Which model to use, and where to run it.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// Name of a shipped model (see `models`), path of a .safetensors file, or folder of a published model (see `import`).
    #[arg(long, default_value = "mnist-vp")]
    pub model: String,
    /// auto takes a hardware GPU if there is one; gpu also takes a software one; gpu:K the discrete GPU of number K; cpu.
    #[arg(long, default_value = "auto", value_parser = str::parse::<DeviceChoice>)]
    pub device: DeviceChoice,
}

impl ModelArgs {
    /// Loads the model onto the device and says on stderr which device that is.
    pub async fn open(&self) -> Result<ScoreModel> {
        self.open_on(&checkup::open(self.device).await?)
    }

    /// Loads the model onto a device that is open already.
    pub fn open_on(&self, opened: &Opened) -> Result<ScoreModel> {
        self.file(opened)?.score_model(&opened.device)
    }

    /// Reads the model's file and says on stderr where it is going to run.
    pub fn file(&self, opened: &Opened) -> Result<ModelFile> {
        let file = shipped::open(&self.model)?;
        eprintln!("{} on {} ({})", file.card.name, opened.name, opened.reason.trim_end_matches('.'));
        Ok(file)
    }
}

/// A weaker version of the model that guides it; see [`autoguided`](crate::control::autoguided).
#[derive(Debug, Clone, clap::Args)]
pub struct WeakerArgs {
    /// A weaker version of the model, trained for a shorter time or smaller (a shipped one or a file): images go on from what
    /// it says to what the model says, and beyond. Each step takes an evaluation of both.
    #[arg(long, value_name = "MODEL")]
    pub weaker: Option<String>,
    /// How far: 1 is the model alone.
    #[arg(long, value_name = "WEIGHT", default_value_t = AUTOGUIDANCE, requires = "weaker")]
    pub weaker_weight: f64,
}

impl WeakerArgs {
    /// Its file, if there is one.
    pub fn file(&self) -> Result<Option<ModelFile>> {
        self.weaker.as_deref().map(shipped::open).transpose()
    }
}

/// What becomes of an image that has not the size the model wants.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct FitArgs {
    /// How an image of another size is fitted: exact refuses it, fill cuts it, pad adds black margins [default: exact].
    #[arg(long, value_parser = str::parse::<Fit>)]
    fit: Option<Fit>,
}

impl FitArgs {
    /// Whether the user said how.
    pub fn is_given(self) -> bool {
        self.fit.is_some()
    }

    /// Reads an image for a model that takes this shape; see [`load_image`].
    pub fn load(self, image: &Path, shape: [usize; 3]) -> Result<Vec<f32>> {
        load_image(image, shape, self.fit.unwrap_or(Fit::Exact))
    }
}

/// What a command does if the user says nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Usual<'a> {
    /// Name of the sampler.
    pub sampler: &'a str,
    /// The options in which it differs from its defaults.
    pub options: &'a [(&'a str, usize)],
    /// Steps of a consistency model.
    pub leaps: usize,
    /// Number of images.
    pub count: usize,
}

/// Which sampler to use, and how.
#[derive(Debug, clap::Args)]
pub struct SamplerArgs {
    /// The method, as `scorefield models` and the page name it; if nothing is said, heun, or pc where the image is
    /// given in part or with noise.
    #[arg(long, value_name = "NAME")]
    pub sampler: Option<String>,
    /// Number of steps, where the sampler has one.
    #[arg(long)]
    pub steps: Option<usize>,
    /// Another option of the sampler; may be repeated (`--option corrector_snr=0.2 --option predictor=ancestral`).
    #[arg(long = "option", value_name = "NAME=VALUE")]
    pub options: Vec<String>,
}

impl SamplerArgs {
    /// The sampler that the user named, or else the usual one for what the model has learned.
    fn fitting(&self, usual: Usual<'_>, learned: Learned) -> Result<Sampler> {
        let leaps = [("n_steps", usual.leaps)];
        match learned {
            Learned::Score => self.build(usual),
            Learned::Consistency => self.build(Usual { sampler: "multistep", options: &leaps, ..usual }),
        }
    }

    /// The sampler with its options, validated; `usual` if the user named none.
    pub fn build(&self, usual: Usual<'_>) -> Result<Sampler> {
        let (name, preset) = match &self.sampler {
            Some(name) => (name.as_str(), &[][..]),
            None => (usual.sampler, usual.options),
        };
        let mut given = Map::new();
        if let Some(steps) = self.steps {
            given.insert("n_steps".into(), steps.into());
        }
        add_options(&self.options, &mut given)?;
        let mut options: Map<String, Value> =
            preset.iter().map(|(option, value)| (option.to_string(), Value::from(*value))).collect();
        options.extend(given);
        Sampler::with_options(name, &options)
    }
}

/// Adds options of a sampler, `NAME=VALUE` each, to those that are given otherwise.
pub fn add_options(options: &[String], given: &mut Map<String, Value>) -> Result<()> {
    for option in options {
        let Some((name, value)) = option.split_once('=') else {
            let fix = "write it as NAME=VALUE";
            return Err(Error::config("option", format!("`{option}` cannot be read"), fix));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        if given.insert(name.into(), value).is_some() {
            let fix = "give it once (--steps is n_steps)";
            return Err(Error::config("option", format!("`{name}` is given twice"), fix));
        }
    }
    Ok(())
}

/// How accurately the ODE is solved.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ToleranceArgs {
    /// Relative tolerance of the ODE [default: 0.001, for likelihoods what the model needs].
    #[arg(long)]
    rtol: Option<f64>,
    /// Absolute tolerance of the ODE [default: as above].
    #[arg(long)]
    atol: Option<f64>,
}

impl ToleranceArgs {
    /// Both, checked, or those of `usual`.
    pub fn build(&self, usual: Tolerance) -> Result<Tolerance> {
        let checked = |what: &str, given: Option<f64>, usual| match given.unwrap_or(usual) {
            value if (1e-7..=0.5).contains(&value) => Ok(value),
            value => Err(Error::config(what, format!("= {value} is not allowed"), "use 1e-7 to 0.5")),
        };
        let (rtol, atol) =
            (checked("--rtol", self.rtol, usual.rtol)?, checked("--atol", self.atol, usual.atol)?);
        Ok(Tolerance { rtol, atol, ..usual })
    }
}

/// Refuses a count outside 1 to a million.
pub fn check_count(what: &str, value: usize) -> Result<()> {
    match (1..=1_000_000).contains(&value) {
        true => Ok(()),
        false => Err(Error::config(what, format!("= {value} is not allowed"), "use 1 to 1000000")),
    }
}

/// Refuses before any work is done a file that has none of these endings, or cannot be written.
pub fn check_out(path: &Path, endings: &[&str]) -> Result<()> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    if ending.is_some_and(|ending| endings.contains(&ending)) {
        return check_writable(path);
    }
    let fix = format!("use .{}", endings.join(" or ."));
    Err(Error::config("--out", format!("{} has an unknown ending", path.display()), fix))
}

/// A progress bar on stderr that follows a run's events, and Ctrl-C.
pub fn watched<'a>(cancel: &CancelToken, bar: &'a ProgressBar) -> Run<'a> {
    let on_event = |event: Event| {
        if let Event::Progress { step, n_steps, nfe } = event {
            bar.set_length(n_steps as u64);
            bar.set_position(step as u64);
            bar.set_message(format!("NFE {nfe}"));
        }
    };
    Run { on_event: Some(Box::new(on_event)), cancel: cancel.clone(), ..Run::default() }
}

/// An empty progress bar.
pub fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix}{bar:40} step {pos}/{len}  {msg}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// Images on their way to a file.
pub struct Output {
    path: PathBuf,
    /// When their making began; of parts nobody knows.
    started: Option<Instant>,
}

impl Output {
    /// Checks before any work is done that the ending is known and the file can be written.
    pub fn new(path: &Path) -> Result<Self> {
        check_out(path, &["png", "npy"])?;
        Ok(Self { path: path.into(), started: Some(Instant::now()) })
    }

    /// The same for images that were made at another time.
    pub fn of_parts(path: &Path) -> Result<Self> {
        Ok(Self { started: None, ..Self::new(path)? })
    }

    /// Writes images of `shape` `[c, h, w]` and sums up.
    pub fn write_made(self, made: &Made<f32>, shape: [usize; 3], json: bool) -> Result<()> {
        let [c, h, w] = shape;
        let n = made.values.len() / (c * h * w).max(1);
        self.write(&made.values, [n, c, h, w], None, made.nfe, json)
    }

    /// Writes `images` `[n, c, h, w]` as a PNG grid, or unclipped as `.npy`, and sums up.
    pub fn write(
        self,
        images: &[f32],
        shape: [usize; 4],
        columns: Option<usize>,
        nfe: usize,
        json: bool,
    ) -> Result<()> {
        let seconds = self.started.map(|started| started.elapsed().as_secs_f64());
        if self.path.extension().is_some_and(|e| e == "npy") {
            save_npy(&self.path, &shape, images)?;
        } else {
            let scale = Grid::scale_for(shape[2].max(shape[3]));
            save_png(&self.path, &Grid { columns, scale, ..Grid::default() }.draw(images, shape)?)?;
        }
        let ([n, ..], path) = (shape, self.path.display());
        if json {
            let mut summary = json!({ "file": path.to_string(), "shape": shape, "nfe": nfe });
            if let Some(seconds) = seconds {
                summary["seconds"] = json!(seconds);
            }
            println!("{summary}");
        } else {
            let pace = |seconds| format!(", {seconds:.1} s, {:.1} images/s", n as f64 / seconds);
            println!("{path}: {n} images, {nfe} NFE{}", seconds.map(pace).unwrap_or_default());
        }
        Ok(())
    }
}
