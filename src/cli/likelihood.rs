use std::time::Instant;

use super::data::DataArgs;
use super::shared::{ModelArgs, ToleranceArgs, bar, check_count, watched};
use crate::cancel::CancelToken;
use crate::data::{DataSource, Split};
use crate::estimate::Estimate;
use crate::flow::{Likelihood, Probe, Trace};
use crate::rng::Noise;
use crate::{Error, Result};

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
    /// The time at which the flow starts.
    #[arg(long, default_value_t = Likelihood::default().eps)]
    eps: f64,
    #[command(flatten)]
    tolerance: ToleranceArgs,
    /// Seed of the dequantisation and the probes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Measures and prints the mean, its standard error and the cost.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        check_count("--count", self.count)?;
        check_count("--batch", self.batch)?;
        let likelihood = Likelihood {
            trace: Trace::Hutchinson { probes: self.probes, distribution: Probe::Rademacher },
            tolerance: self.tolerance.build()?,
            eps: self.eps,
            ..Likelihood::default()
        };
        let images = DataSource { split: Split::Test, ..self.data.source() }.load()?.truncated(self.count);
        let model = self.model.open().await?;
        if images.shape() != model.shape {
            let problem = format!("has images of shape {:?}, the model {:?}", images.shape(), model.shape);
            return Err(Error::config("--dataset", problem, "use the data set that the model is of"));
        }
        let (started, bar) = (Instant::now(), bar());
        let (mut bits, mut nfe) = (Vec::new(), 0);
        for (k, bytes) in images.pixels.chunks(self.batch * images.stride()).enumerate() {
            let noise = Noise::new(self.seed).at((k * self.batch) as u32);
            let mut run = watched(cancel, &bar);
            let (more, evaluations) = likelihood.bits_per_dim(&model, bytes, &noise, &mut run).await?;
            bits.extend(more);
            nfe = nfe.max(evaluations);
        }
        bar.finish_and_clear();
        let seconds = started.elapsed().as_secs_f64();
        let (model, n) = (&self.model.model, bits.len());
        let Estimate { mean, error } = Estimate::of(bits);
        if self.json {
            let summary = serde_json::json!({
                "model": model, "dataset": images.name, "count": n, "bits_per_dim": mean,
                "standard_error": error, "nfe": nfe, "probes": self.probes, "eps": self.eps, "seconds": seconds,
            });
            println!("{summary}");
        } else {
            println!(
                "{model}: {mean:.3} ± {error:.3} bits/dim on {n} test images of {}, {nfe} NFE, {seconds:.1} s",
                images.name
            );
        }
        Ok(())
    }
}
