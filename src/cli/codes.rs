use std::path::PathBuf;

use super::shared::{FitArgs, ModelArgs, Output, ToleranceArgs, bar, watched};
use crate::cancel::CancelToken;
use crate::files::check_writable;
use crate::flow::{check_temperature, decode, encode};
use crate::model::Learned;
use crate::ops::read;
use crate::picture::{load_npy, save_npy};
use crate::{Error, Result};

/// `encode`
#[derive(Debug, clap::Args)]
pub struct EncodeArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The image file.
    #[arg(long)]
    image: PathBuf,
    #[command(flatten)]
    fit: FitArgs,
    #[command(flatten)]
    tolerance: ToleranceArgs,
    /// The code, float32 [1, c, h, w] in the model's units.
    #[arg(long, default_value = "latent.npy")]
    out: PathBuf,
}

impl EncodeArgs {
    /// Follows the probability-flow ODE from the image to the prior and writes where it ends.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let tolerance = self.tolerance.build()?;
        if self.out.extension().is_none_or(|e| e != "npy") {
            let problem = format!("{} has an unknown ending", self.out.display());
            return Err(Error::config("--out", problem, "use .npy"));
        }
        check_writable(&self.out)?;
        let model = self.model.open().await?;
        let image = model.upload(&self.fit.load(&self.image, model.shape)?);
        let bar = bar();
        let code = encode(&model, image, tolerance, &mut watched(cancel, &bar)).await?;
        bar.finish_and_clear();
        save_npy(&self.out, &code.dims(), &read(code).await?)?;
        println!("{}: the code of {}, {} NFE", self.out.display(), self.image.display(), model.nfe());
        Ok(())
    }
}

/// `decode`
#[derive(Debug, clap::Args)]
pub struct DecodeArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Codes as `encode` writes them, float32 [n, c, h, w].
    #[arg(long)]
    latent: PathBuf,
    /// Multiplies the codes: below 1 the images are plainer and more typical.
    #[arg(long, default_value_t = 1.0)]
    temperature: f64,
    #[command(flatten)]
    tolerance: ToleranceArgs,
    /// Leave out the last denoising step: the image is then what was encoded, with its noise.
    #[arg(long)]
    inverse: bool,
    /// A .png grid, or .npy with raw float32 [n, c, h, w] in [0, 1], not clipped.
    #[arg(long, default_value = "decoded.png")]
    out: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

impl DecodeArgs {
    /// Follows the probability-flow ODE from the codes to images and writes them.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let tolerance = self.tolerance.build()?;
        let output = Output::new(&self.out)?;
        check_temperature(self.temperature)?;
        let (shape, values) = load_npy(&self.latent)?;
        let model = self.model.open().await?;
        let [c, h, w] = model.shape;
        if values.is_empty() || shape.len() != 4 || shape[1..] != model.shape {
            let problem = format!("has shape {shape:?}, the model's codes are [n, {c}, {h}, {w}]");
            return Err(Error::data(&self.latent, problem, "use a code that `encode` wrote with this model"));
        }
        let bar = bar();
        let mut run = watched(cancel, &bar);
        let middle = model.prior_mean();
        let codes = (model.upload(&values) - middle) * self.temperature + middle;
        let images = match model.learned {
            Learned::Score => decode(&model, codes, tolerance, !self.inverse, &mut run).await?,
            Learned::Consistency => model.pixels(model.denoised(codes, &[1.0])),
        };
        bar.finish_and_clear();
        output.write(&read(images).await?, [shape[0], c, h, w], None, model.nfe(), self.json)
    }
}
