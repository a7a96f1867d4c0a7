use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;

use super::bits::{Measurement, Method, Summary};
use super::data::{DataArgs, check_shape};
use super::shard::{ShardArgs, make, of_images, of_model, settings};
use super::shared::{ModelArgs, ToleranceArgs, check_count, check_out};
use crate::cancel::CancelToken;
use crate::dequantise::Dequantisation;
use crate::estimate::Estimate;
use crate::flow::{Bound, Likelihood, Probe, Trace};
use crate::rng::Noise;
use crate::run::Run;
use crate::shards::{Batch, Made, Parts};
use crate::{Error, Result, checkup};

/// `likelihood`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Number of images, from the first one on.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Images that are measured together.
    #[arg(long, default_value_t = 50)]
    batch: usize,
    /// Random probes of the divergence; the cost grows with them.
    #[arg(long, default_value_t = 1)]
    probes: usize,
    /// Sum the diagonal of the Jacobian instead of probing it: as many evaluations as the model's images have values, of
    /// which 1024 are allowed.
    #[arg(long, conflicts_with = "probes")]
    exact: bool,
    /// Bound the codelength by denoising at this many noise levels, in place of solving the ODE.
    #[arg(long, value_name = "LEVELS", conflicts_with_all = ["probes", "exact", "dequantisation"])]
    bound: Option<usize>,
    /// Measurements of each image, each with a dequantisation and probes of its own.
    #[arg(long, default_value_t = 1)]
    repeats: usize,
    /// The time at which the flow starts.
    #[arg(long, default_value_t = Likelihood::default().eps)]
    eps: f64,
    /// What makes bytes continuous, uniform or truncated-normal: as the model has learned where nothing is said.
    #[arg(long, value_parser = str::parse::<Dequantisation>)]
    dequantisation: Option<Dequantisation>,
    #[command(flatten)]
    tolerance: ToleranceArgs,
    /// Seed of the dequantisation and the probes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A .json file for the numbers, without the time that they took; --shard needs it.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    shard: ShardArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Its name in the settings of parts.
pub const COMMAND: &str = "likelihood";

impl Args {
    /// Measures and prints the mean, its standard error and the cost, or keeps what a shard has measured.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        check_count("--count", self.count)?;
        check_count("--batch", self.batch)?;
        check_count("--repeats", self.repeats)?;
        let mut likelihood = Likelihood {
            trace: match self.exact {
                true => Trace::Exact,
                false => Trace::Hutchinson { probes: self.probes, distribution: Probe::Rademacher },
            },
            eps: self.eps,
            dequantisation: self.dequantisation,
            ..Likelihood::default()
        };
        check_count("--count times --repeats", self.count.saturating_mul(self.repeats))?;
        let shard = self.shard.get()?;
        let out = match (&self.out, shard) {
            (Some(out), _) => check_out(out, &["json"]).map(|()| out.as_path())?,
            (None, None) => Path::new(""),
            (None, Some(_)) => {
                let fix = "name the .json file that the shards are to make with --out";
                return Err(Error::config("--shard", "needs --out here", fix));
            }
        };
        let images = self.data.test_images(self.count)?;
        let opened = checkup::open(self.model.device).await?;
        let file = self.model.file(&opened)?;
        let of = [of_model("model", &file), of_images(&images)];
        let (name, model) = (file.card.name.clone(), file.score_model(&opened.device)?);
        check_shape(&images, &model)?;
        let tolerance = self.tolerance.build(likelihood.tolerance(&model))?;
        likelihood.tolerance = Some(tolerance);
        let (n, started) = (images.len(), Instant::now());
        let measurement = Measurement {
            model: name,
            dataset: images.name.clone(),
            exact: self.exact,
            probes: self.probes,
            repeats: self.repeats,
            eps: self.eps,
            method: match self.bound {
                Some(levels) => Method::Bound { levels },
                None => Method::Flow { dequantisation: self.dequantisation.unwrap_or(model.dequantisation) },
            },
            grey_levels: 256.0 * likelihood.sigma(&model),
        };
        let own = json!({ "seed": self.seed, "rtol": tolerance.rtol, "atol": tolerance.atol });
        let settings = settings(COMMAND, [n, self.batch], of.into_iter().chain([json!(measurement), own]));
        let measure = async |batch: Batch, run: &mut Run<'_>| {
            let bytes = &images.pixels[batch.first * images.stride()..][..batch.len * images.stride()];
            let (mut found, mut nfe) = (vec![Vec::new(); batch.len], 0);
            for repeat in 0..self.repeats {
                let noise = Noise::new(self.seed).at((repeat * n + batch.first) as u32);
                let (bits, evaluations) = match self.bound {
                    None => likelihood.bits_per_dim(&model, bytes, &noise, run).await?,
                    Some(levels) => {
                        let bound = Bound { levels, eps: self.eps };
                        let (bits, evaluations) = bound.bits_per_dim(&model, bytes, &noise, run).await?;
                        let unknown = |mean| Estimate { mean, error: f64::NAN };
                        (bits.into_iter().map(unknown).collect(), evaluations)
                    }
                };
                for (of_image, bits) in found.iter_mut().zip(bits) {
                    of_image.extend([bits.mean, bits.error]);
                }
                nfe = nfe.max(evaluations);
            }
            Ok(Made { values: found.concat(), nfe })
        };
        let Some(made) = make(&settings, out, shard, cancel, measure).await? else { return Ok(()) };
        let seconds = started.elapsed().as_secs_f64();
        let summary = Summary::of(measurement, &made);
        if self.out.is_some() {
            summary.write(out)?;
        }
        // Here by what the user calls it, which may be a path.
        let model = &self.model.model;
        if self.json {
            let mut numbers = json!(summary);
            numbers["model"] = json!(model);
            numbers["seconds"] = json!(seconds);
            println!("{numbers}");
        } else {
            println!("{model}: {summary}, {seconds:.1} s");
        }
        Ok(())
    }
}

/// Writes the numbers whose parts are complete.
pub fn merge(parts: &Parts, out: &Path, json: bool) -> Result<()> {
    check_out(out, &["json"])?;
    let of: Measurement = parts.read()?;
    let made = parts.all(of.columns())?;
    let summary = Summary::of(of, &made);
    summary.write(out)?;
    match json {
        true => println!("{}", json!(summary)),
        false => println!("{}: {summary}", summary.of.model),
    }
    Ok(())
}
