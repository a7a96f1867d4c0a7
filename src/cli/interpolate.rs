use std::path::{Path, PathBuf};

use super::shared::{FitArgs, ModelArgs, Output, ToleranceArgs, bar, watched};
use crate::cancel::CancelToken;
use crate::checkup;
use crate::flow::{Endpoint, Steps, Tolerance, check_temperature, codes_between, encoder_for, interpolate};
use crate::model::{Learned, ScoreModel};
use crate::ops::read;
use crate::rng::Noise;
use crate::run::Solution;
use crate::sampler::Multistep;
use crate::weights::shipped;
use crate::{Error, Result};

/// `interpolate`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// One end: an image file, or `seed:S` or `seed:S/K` for the image that this seed (and index) leads to.
    #[arg(long, default_value = "seed:0")]
    from: String,
    /// The other end.
    #[arg(long, default_value = "seed:1")]
    to: String,
    /// Number of images, both ends included.
    #[arg(long, default_value_t = 9)]
    frames: usize,
    /// Multiplies the codes between: below 1 the images are plainer and more typical.
    #[arg(long, default_value_t = 1.0)]
    temperature: f64,
    /// Evaluations for each image, of a consistency model: 1 is the quickest, a second one makes details clearer.
    #[arg(long)]
    steps: Option<usize>,
    /// The score model that encodes image files for a consistency model, which cannot do that itself.
    #[arg(long, value_name = "MODEL")]
    encoder: Option<String>,
    #[command(flatten)]
    tolerance: ToleranceArgs,
    #[command(flatten)]
    fit: FitArgs,
    /// A .png row, or .npy with raw float32 [n, c, h, w] in [0, 1], not clipped.
    #[arg(long, default_value = "interpolation.png")]
    out: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

/// How an end begins that is no image file.
const SEED: &str = "seed:";

/// Reads `seed:S`, `seed:S/K` or the name of an image file.
fn endpoint(text: &str, shape: [usize; 3], fit: FitArgs) -> Result<Endpoint> {
    let Some(numbers) = text.strip_prefix(SEED) else {
        return Ok(Endpoint::Pixels(fit.load(Path::new(text), shape)?));
    };
    let (seed, index) = numbers.split_once('/').unwrap_or((numbers, "0"));
    match (seed.parse(), index.parse()) {
        (Ok(seed), Ok(index)) => Ok(Endpoint::Seed(Noise::new(seed).at(index))),
        _ => Err(Error::config(
            "endpoint",
            format!("`{text}` cannot be read"),
            "write it as seed:7 or seed:7/3",
        )),
    }
}

impl Args {
    /// Interpolates and writes the row.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let output = Output::new(&self.out)?;
        check_temperature(self.temperature)?;
        let tolerance = self.tolerance.build(Tolerance::default())?;
        if self.fit.is_given() && [&self.from, &self.to].iter().all(|end| end.starts_with(SEED)) {
            return Err(Error::config(
                "--fit",
                "is for image files",
                "leave it out, or name one with --from or --to",
            ));
        }
        let opened = checkup::open(self.model.device).await?;
        let model = self.model.open_on(&opened)?;
        let steps = self.steps(&model)?;
        let encoder = match &self.encoder {
            Some(name) => Some(encoder_for(shipped::open(name)?.score_model(&opened.device)?, &model)?),
            None => None,
        };
        let a = endpoint(&self.from, model.shape, self.fit)?;
        let b = endpoint(&self.to, model.shape, self.fit)?;
        let bar = bar();
        let mut run = watched(cancel, &bar);
        let solution = match steps {
            None => interpolate(&model, &a, &b, self.frames, self.temperature, tolerance, &mut run).await?,
            Some(steps) => {
                let encoder = encoder.as_ref().unwrap_or(&model);
                let codes = codes_between(encoder, [&a, &b], self.frames, tolerance, &mut run).await?;
                let encoding = encoder.nfe();
                let drawn = steps.images(&model, &codes, self.temperature, &Noise::new(0), &mut run).await?;
                Solution { nfe: encoding + drawn.nfe, ..drawn }
            }
        };
        bar.finish_and_clear();
        let images = read(solution.images).await?;
        let [c, h, w] = model.shape;
        output.write(&images, [self.frames, c, h, w], Some(self.frames), solution.nfe, self.json)
    }

    /// How often a consistency model is evaluated for an image; `None` for a score model.
    fn steps(&self, model: &ScoreModel) -> Result<Option<Steps>> {
        let only = |name: &str| {
            let problem = format!("is for consistency models, and this one has learned {}", model.learned);
            Err(Error::config(name, problem, "leave it out"))
        };
        match (model.learned, self.steps, &self.encoder) {
            (Learned::Score, Some(_), _) => only("--steps"),
            (Learned::Score, _, Some(_)) => only("--encoder"),
            (Learned::Score, None, None) => Ok(None),
            (Learned::Consistency, n_steps, _) => {
                let given = n_steps.map(|n_steps| ("n_steps".to_owned(), n_steps.into()));
                Ok(Some(Multistep::with_options(&given.into_iter().collect())?.0))
            }
        }
    }
}
