//! Arguments and helpers that several commands share.

use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Map;

use crate::cancel::CancelToken;
use crate::device::{self, DeviceChoice, Opened};
use crate::model::ScoreModel;
use crate::picture::{Grid, save_npy, save_png};
use crate::sampler::{Event, Run, Sampler};
use crate::weights::shipped;
use crate::{Error, Result};

/// Which model to use, and where to run it.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// Name of a shipped model (see `models`) or path of a .safetensors file.
    #[arg(long, default_value = "mnist-vp")]
    pub model: String,
    /// auto takes a hardware GPU if there is one; gpu also takes a software one; cpu.
    #[arg(long, default_value = "auto", value_parser = str::parse::<DeviceChoice>)]
    pub device: DeviceChoice,
}

impl ModelArgs {
    /// Loads the model onto the device and says on stderr which device that is.
    pub async fn open(&self) -> Result<ScoreModel> {
        self.open_on(&device::open(self.device).await?)
    }

    /// Loads the model onto a device that is open already.
    pub fn open_on(&self, opened: &Opened) -> Result<ScoreModel> {
        let file = shipped::open(&self.model)?;
        eprintln!("{} on {} ({})", file.card.name, opened.name, opened.reason.trim_end_matches('.'));
        file.score_model(&opened.device)
    }
}

/// Which sampler to use, and how.
#[derive(Debug, clap::Args)]
pub struct SamplerArgs {
    /// ald, pc, ode, heun, dpmpp_2m, ddim, euler, ancestral, reverse_diffusion, euler_maruyama or langevin.
    #[arg(long, default_value = "heun")]
    pub sampler: String,
    /// Number of steps, where the sampler has one.
    #[arg(long)]
    pub steps: Option<usize>,
    /// Another option of the sampler; may be repeated (`--option corrector_snr=0.2 --option predictor=ancestral`).
    #[arg(long = "option", value_name = "NAME=VALUE")]
    pub options: Vec<String>,
}

impl SamplerArgs {
    /// The sampler with its options, validated.
    pub fn build(&self) -> Result<Sampler> {
        let mut options = Map::new();
        if let Some(steps) = self.steps {
            options.insert("n_steps".into(), steps.into());
        }
        for option in &self.options {
            let Some((name, value)) = option.split_once('=') else {
                let fix = "write it as NAME=VALUE";
                return Err(Error::config("option", format!("`{option}` cannot be read"), fix));
            };
            options.insert(name.into(), serde_json::from_str(value).unwrap_or_else(|_| value.into()));
        }
        Sampler::with_options(&self.sampler, &options)
    }
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
    let style = ProgressStyle::with_template("{bar:40} step {pos}/{len}  {msg}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// Images on their way to a file.
pub struct Output {
    path: PathBuf,
    started: Instant,
}

impl Output {
    /// Checks the ending before any work is done.
    pub fn new(path: &Path) -> Result<Self> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("png" | "npy") => Ok(Self { path: path.into(), started: Instant::now() }),
            _ => Err(Error::config(
                "--out",
                format!("{} has an unknown ending", path.display()),
                "use .png or .npy",
            )),
        }
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
        let seconds = self.started.elapsed().as_secs_f64();
        if self.path.extension().is_some_and(|e| e == "npy") {
            save_npy(&self.path, &shape, images)?;
        } else {
            let scale = Grid::scale_for(shape[2].max(shape[3]));
            save_png(&self.path, &Grid { columns, scale, ..Grid::default() }.draw(images, shape)?)?;
        }
        let [n, ..] = shape;
        if json {
            let file = self.path.display().to_string();
            println!(
                "{}",
                serde_json::json!({ "file": file, "shape": shape, "nfe": nfe, "seconds": seconds })
            );
        } else {
            let speed = n as f64 / seconds;
            println!("{}: {n} images, {nfe} NFE, {seconds:.1} s, {speed:.1} images/s", self.path.display());
        }
        Ok(())
    }
}
