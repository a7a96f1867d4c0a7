//! Commands that draw under a condition: each builds the conditioned model, and the rest is shared.

use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use clap::ArgGroup;

use super::shared::{Drawing, FitArgs, ModelArgs, Output, Usual};
use crate::cancel::CancelToken;
use crate::model::{Conditioning, ScoreModel};
use crate::ops::{read, upload};
use crate::rng::{Domain, Noise};
use crate::{Error, Result, control};

/// The sampler under a condition: the reverse diffusion alone. Corrector steps would forget an image in which samples
/// start, and where a part of it is known they add little to what they cost (docs/CONTROL.md).
const USUAL: Usual<'_> = Usual { sampler: "pc", options: &[("n_corrector", 0)], leaps: 40, count: 4 };

/// How a part of the image is given.
#[derive(Debug, clap::Args)]
struct KnownArgs {
    /// How the rest learns of what is known: moments, pigdm (twice the evaluations each) or replacement (biased) [default:
    /// pigdm, or replacement for a consistency model].
    #[arg(long, value_parser = str::parse::<Conditioning>)]
    conditioning: Option<Conditioning>,
}

/// `inpaint`
#[derive(Debug, clap::Args)]
pub struct InpaintArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The image whose pixels are kept.
    #[arg(long)]
    image: PathBuf,
    /// An image of the same size, fitted alike: what is white in it is drawn anew, what is black is kept.
    #[arg(long)]
    mask: PathBuf,
    #[command(flatten)]
    known: KnownArgs,
    #[command(flatten)]
    fit: FitArgs,
    #[command(flatten)]
    drawing: Drawing,
}

impl InpaintArgs {
    /// Draws what is masked.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let job = self.drawing.check(USUAL)?;
        let model = self.model.open().await?;
        let image = model.upload(&self.fit.load(&self.image, model.shape)?);
        let mask = load_mask(&self.mask, &model, self.fit)?;
        job.draw(&control::inpaint(model, image, mask, self.known.conditioning)?, cancel).await
    }
}

/// 1 where the picture is dark and pixels are kept, `[1, 1, h, w]`.
fn load_mask(path: &Path, model: &ScoreModel, fit: FitArgs) -> Result<Tensor<4>> {
    let [_, h, w] = model.shape;
    let kept: Vec<f32> = fit
        .load(path, [1, h, w])?
        .into_iter()
        .map(|brightness| if brightness < 0.5 { 1.0 } else { 0.0 })
        .collect();
    if kept.iter().all(|kept| *kept == 1.0) {
        return Err(Error::data(path, "is black everywhere", "make white what is to be drawn"));
    }
    Ok(upload(&kept, [1, 1, h, w], model.device()))
}

/// `colorize`
#[derive(Debug, clap::Args)]
pub struct ColorizeArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The image whose brightness is kept: the mean of red, green and blue.
    #[arg(long)]
    image: PathBuf,
    #[command(flatten)]
    known: KnownArgs,
    #[command(flatten)]
    fit: FitArgs,
    #[command(flatten)]
    drawing: Drawing,
}

impl ColorizeArgs {
    /// Draws colours.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let job = self.drawing.check(USUAL)?;
        let model = self.model.open().await?;
        let image = model.upload(&self.fit.load(&self.image, model.shape)?);
        job.draw(&control::colorize(model, image, self.known.conditioning)?, cancel).await
    }
}

/// `upscale`
#[derive(Debug, clap::Args)]
pub struct UpscaleArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The small image.
    #[arg(long)]
    image: PathBuf,
    /// How many times larger the model's images are.
    #[arg(long, default_value_t = 2)]
    factor: usize,
    #[command(flatten)]
    known: KnownArgs,
    #[command(flatten)]
    fit: FitArgs,
    #[command(flatten)]
    drawing: Drawing,
}

impl UpscaleArgs {
    /// Draws large images whose block means are the small one.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let job = self.drawing.check(USUAL)?;
        let model = self.model.open().await?;
        let [c, h, w] = control::small_shape(&model, self.factor)?;
        let pixels = self.fit.load(&self.image, [c, h, w])?;
        let small = upload(&pixels, [1, c, h, w], model.device());
        job.draw(&control::upscale(model, small, self.factor, self.known.conditioning)?, cancel).await
    }
}

/// `edit`
#[derive(Debug, clap::Args)]
pub struct EditArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The sketch.
    #[arg(long)]
    image: PathBuf,
    /// The share of noise that the sketch gets, up to 1: more keeps less of it. At 0.5 the noise's deviation is half the
    /// way from black to white, whatever the diffusion.
    #[arg(long, default_value_t = 0.5)]
    strength: f64,
    #[command(flatten)]
    fit: FitArgs,
    #[command(flatten)]
    drawing: Drawing,
}

impl EditArgs {
    /// Draws images near the sketch.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let job = self.drawing.check(USUAL)?;
        let model = self.model.open().await?;
        let image = model.upload(&self.fit.load(&self.image, model.shape)?);
        job.draw(&control::edit(model, image, self.strength)?, cancel).await
    }
}

/// What says how images are drawn: without effect on their mean.
const DRAWN: [&str; 7] = ["sampler", "steps", "options", "seed", "count", "first", "batch"];

/// `denoise`
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("drawn").args(DRAWN).multiple(true).requires("draw"))]
pub struct DenoiseArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The noisy image.
    #[arg(long)]
    image: PathBuf,
    /// The image is clean: add the noise of this seed first, as the page's Clean up does.
    #[arg(long, value_name = "SEED")]
    add: Option<u64>,
    /// Standard deviation of its noise, black being 0 and white 1.
    #[arg(long)]
    sigma: f64,
    /// Draw images that may be behind the noise, instead of their mean; not with heun or ode, which have only one.
    #[arg(long)]
    draw: bool,
    #[command(flatten)]
    fit: FitArgs,
    #[command(flatten)]
    drawing: Drawing,
}

impl DenoiseArgs {
    /// Writes the mean of all images that fit, or draws some of them. A consistency model has none: it writes the end of
    /// the path through the image.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let job = self.drawing.check(USUAL)?;
        let model = self.model.open().await?;
        let mut image = model.upload(&self.fit.load(&self.image, model.shape)?);
        if let Some(seed) = self.add {
            let noise = Noise::new(seed).domain(Domain::Corruption);
            image = image + model.upload(&noise.normal(0, 1, model.dim())) * self.sigma;
        }
        let model = control::denoise(model, image.clone(), self.sigma)?;
        if self.draw {
            return job.draw(&model, cancel).await;
        }
        let mean = model.denoised(model.prior(image.zeros_like()), &[1.0]);
        let images = read(model.pixels(mean)).await?;
        let [c, h, w] = model.shape;
        Output::new(&self.drawing.out)?.write(&images, [1, c, h, w], None, model.nfe(), self.drawing.json)
    }
}
