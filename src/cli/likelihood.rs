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
    /// Sum the diagonal of the Jacobian instead of probing it: as many evaluations as the model's images have values, of
    /// which 1024 are allowed.
    #[arg(long, conflicts_with = "probes")]
    exact: bool,
    /// Measurements of each image, each with a dequantisation and probes of its own.
    #[arg(long, default_value_t = 1)]
    repeats: usize,
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
        check_count("--repeats", self.repeats)?;
        let likelihood = Likelihood {
            trace: match self.exact {
                true => Trace::Exact,
                false => Trace::Hutchinson { probes: self.probes, distribution: Probe::Rademacher },
            },
            tolerance: self.tolerance.build()?,
            eps: self.eps,
            ..Likelihood::default()
        };
        check_count("--count times --repeats", self.count.saturating_mul(self.repeats))?;
        let images = DataSource { split: Split::Test, ..self.data.source() }.load()?.truncated(self.count);
        let model = self.model.open().await?;
        if images.shape() != model.shape {
            let problem = format!("has images of shape {:?}, the model {:?}", images.shape(), model.shape);
            return Err(Error::config("--dataset", problem, "use the data set that the model is of"));
        }
        let (started, bar) = (Instant::now(), bar());
        let (n, mut nfe) = (images.len(), 0);
        let mut found: Vec<Vec<Estimate>> = vec![Vec::new(); n];
        for repeat in 0..self.repeats {
            for (k, bytes) in images.pixels.chunks(self.batch * images.stride()).enumerate() {
                let first = k * self.batch;
                let noise = Noise::new(self.seed).at((repeat * n + first) as u32);
                let mut run = watched(cancel, &bar);
                let (bits, evaluations) = likelihood.bits_per_dim(&model, bytes, &noise, &mut run).await?;
                found[first..].iter_mut().zip(bits).for_each(|(of_image, bits)| of_image.push(bits));
                nfe = nfe.max(evaluations);
            }
        }
        bar.finish_and_clear();
        let seconds = started.elapsed().as_secs_f64();
        let (mean, chance) = summary(&found);
        let Estimate { mean, error } = mean;
        let model = &self.model.model;
        if self.json {
            let summary = serde_json::json!({
                "model": model, "dataset": images.name, "count": n, "bits_per_dim": mean,
                "standard_error": error, "chance_error": chance, "nfe": nfe, "exact": self.exact,
                "probes": self.probes, "repeats": self.repeats, "eps": self.eps, "seconds": seconds,
            });
            println!("{summary}");
        } else {
            let of_it = match chance {
                Some(chance) => format!(" (of which {chance:.4} by dequantisation and probes)"),
                None => String::new(),
            };
            println!(
                "{model}: {mean:.3} ± {error:.3}{of_it} bits/dim on {n} test images of {}, {nfe} NFE, {seconds:.1} s",
                images.name
            );
        }
        Ok(())
    }
}

/// The mean over images with its standard error, and the part of that error that measuring the same images again would
/// show: by the spread of the repeats, or of the probes where each image was measured once; nothing for a
/// single probe or the exact trace.
fn summary(found: &[Vec<Estimate>]) -> (Estimate, Option<f64>) {
    let of_image = |of_image: &Vec<Estimate>| match of_image[..] {
        [once] => once,
        _ => Estimate::of(of_image.iter().map(|bits| bits.mean)),
    };
    let images: Vec<Estimate> = found.iter().map(of_image).collect();
    let chance = images.iter().map(|image| image.error.powi(2)).sum::<f64>().sqrt() / images.len() as f64;
    (
        Estimate::of(images.iter().map(|image| image.mean)),
        (chance.is_finite() && chance > 0.0).then_some(chance),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images, measured 1 and 3, 5 and 9: means 2 and 7, of standard errors 1 and 2.
    #[test]
    fn chance_is_told_from_the_spread_of_the_images() {
        let one = |mean| Estimate { mean, error: f64::NAN };
        let (mean, chance) = summary(&[vec![one(1.0), one(3.0)], vec![one(5.0), one(9.0)]]);
        assert_eq!((mean, chance), (Estimate { mean: 4.5, error: 2.5 }, Some(5.0_f64.sqrt() / 2.0)));
        assert_eq!(summary(&[vec![one(1.0)], vec![one(2.0)]]).1, None);
        let probed = |mean| vec![Estimate { mean, error: 3.0 }];
        assert_eq!(summary(&[probed(1.0), probed(2.0)]).1, Some(18.0_f64.sqrt() / 2.0));
    }
}
