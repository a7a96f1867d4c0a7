use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

use super::data::{DataArgs, check_shape};
use super::shard::{ShardArgs, make, of_images, of_model, settings};
use super::shared::{FitArgs, ModelArgs, Output, ToleranceArgs, bar, check_count, check_out, watched};
use crate::cancel::CancelToken;
use crate::flow::{Tolerance, check_temperature, decode, encode};
use crate::model::Learned;
use crate::ops::read;
use crate::picture::{load_npy, save_npy};
use crate::run::Run;
use crate::shards::{Batch, Made, Parts};
use crate::{Error, Result, checkup};

/// `encode`
#[derive(Debug, clap::Args)]
pub struct EncodeArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The image file; or else name a --dataset.
    #[arg(long, required_unless_present = "dataset", conflicts_with_all = OF_DATASETS)]
    image: Option<PathBuf>,
    #[command(flatten)]
    fit: FitArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Number of test images of --dataset, from the first one on.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Images that are encoded together.
    #[arg(long, default_value_t = 50)]
    batch: usize,
    #[command(flatten)]
    tolerance: ToleranceArgs,
    /// The codes, float32 [n, c, h, w] in the model's units.
    #[arg(long, default_value = "latent.npy")]
    out: PathBuf,
    #[command(flatten)]
    shard: ShardArgs,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

/// Its name in the settings of parts.
pub const COMMAND: &str = "encode";

/// The arguments that a single image has no use for.
const OF_DATASETS: [&str; 8] =
    ["dataset", "data_dir", "gray", "array", "label_array", "count", "batch", "shard"];

impl EncodeArgs {
    /// Follows the probability-flow ODE from the images to the prior and writes where it ends, or keeps what a shard has
    /// made.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let tolerance = self.tolerance.build(Tolerance::default())?;
        check_out(&self.out, &["npy"])?;
        check_count("--count", self.count)?;
        check_count("--batch", self.batch)?;
        if self.image.is_none() && self.fit.is_given() {
            return Err(Error::config("--fit", "is for an image", "leave it out, or name an --image"));
        }
        let shard = self.shard.get()?;
        let opened = checkup::open(self.model.device).await?;
        let file = self.model.file(&opened)?;
        let mut of = vec![of_model("model", &file)];
        let model = file.score_model(&opened.device)?;
        let (pixels, whose) = match &self.image {
            Some(image) => (self.fit.load(image, model.shape)?, format!("the code of {}", image.display())),
            None => {
                let images = self.data.test_images(self.count)?;
                check_shape(&images, &model)?;
                of.push(of_images(&images));
                (images.to_unit(), codes_of(images.len(), &images.name))
            }
        };
        let count = pixels.len() / model.dim();
        of.push(json!({ "shape": model.shape, "rtol": tolerance.rtol, "atol": tolerance.atol }));
        let settings = settings(COMMAND, [count, self.batch], of);
        let code = async |batch: Batch, run: &mut Run<'_>| {
            let before = model.nfe();
            let pixels = &pixels[batch.first * model.dim()..][..batch.len * model.dim()];
            let codes = encode(&model, model.upload(pixels), tolerance, run).await?;
            Ok(Made { values: read(codes).await?, nfe: model.nfe() - before })
        };
        match make(&settings, &self.out, shard, cancel, code).await? {
            Some(made) => write_codes(&self.out, &made, model.shape, &whose, self.json),
            None => Ok(()),
        }
    }
}

/// What is written of the images of a data set.
fn codes_of(n: usize, dataset: &str) -> String {
    format!("the codes of {n} test images of {dataset}")
}

/// Writes codes of `shape` `[c, h, w]` and says `whose` they are.
fn write_codes(out: &Path, made: &Made<f32>, shape: [usize; 3], whose: &str, json: bool) -> Result<()> {
    let [c, h, w] = shape;
    let shape = [made.values.len() / (c * h * w).max(1), c, h, w];
    save_npy(out, &shape, &made.values)?;
    let (file, nfe) = (out.display(), made.nfe);
    match json {
        true => println!("{}", json!({ "file": file.to_string(), "shape": shape, "nfe": nfe })),
        false => println!("{file}: {whose}, {nfe} NFE"),
    }
    Ok(())
}

/// Writes the codes whose parts are complete.
pub fn merge(parts: &Parts, out: &Path, json: bool) -> Result<()> {
    #[derive(Deserialize)]
    struct Images {
        dataset: String,
    }
    check_out(out, &["npy"])?;
    let (shape, Images { dataset }) = (parts.shape()?, parts.read()?);
    let made = parts.all(shape.iter().product())?;
    write_codes(out, &made, shape, &codes_of(parts.settings.count, &dataset), json)
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
        let tolerance = self.tolerance.build(Tolerance::default())?;
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
