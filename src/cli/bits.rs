//! What `likelihood` says of the bits per dimension that it has measured.

use std::fmt;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Result;
use crate::dequantise::Dequantisation;
use crate::estimate::Estimate;
use crate::files::write_atomic;
use crate::shards::Made;

/// How they were measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The name in the model's card.
    pub model: String,
    /// Whose test images they are of.
    pub dataset: String,
    /// Whether the trace is exact.
    pub exact: bool,
    /// Random probes of the divergence, where it is not.
    pub probes: usize,
    /// Measurements of each image.
    pub repeats: usize,
    /// The time at which the flow starts.
    pub eps: f64,
    /// What of.
    #[serde(flatten)]
    pub method: Method,
    /// The noise at that time, in grey levels.
    pub grey_levels: f64,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Method {
    /// The density along the probability-flow ODE.
    Flow {
        /// What made the bytes continuous.
        dequantisation: Dequantisation,
    },
    /// The variational bound.
    Bound {
        /// Noise levels of each image.
        levels: usize,
    },
}

impl Measurement {
    /// The numbers of each image: the mean and its standard error by the probes, of each repeat.
    pub fn columns(&self) -> usize {
        self.repeats.saturating_mul(2)
    }
}

/// Bits per dimension over images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    #[serde(flatten)]
    pub of: Measurement,
    /// Number of images.
    pub count: usize,
    /// The mean over images.
    pub bits_per_dim: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// The part of that error that measuring the same images again would show.
    pub chance_error: Option<f64>,
    /// Network evaluations for each image, counted; of the batch with the most.
    pub nfe: usize,
}

impl Summary {
    /// Sums up what was made, [`columns`](Measurement::columns) numbers for each image.
    pub fn of(of: Measurement, made: &Made<f64>) -> Self {
        let estimate = |pair: &[f64]| Estimate { mean: pair[0], error: pair[1] };
        let images = made.values.chunks_exact(of.columns().max(2));
        let found: Vec<Vec<Estimate>> =
            images.map(|image| image.chunks_exact(2).map(estimate).collect()).collect();
        let (Estimate { mean, error }, chance) = summary(&found);
        Self {
            of,
            count: found.len(),
            bits_per_dim: mean,
            standard_error: error,
            chance_error: chance,
            nfe: made.nfe,
        }
    }

    /// Writes it as JSON.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_atomic(path, |file| writeln!(file, "{:#}", json!(self)))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, count, bits_per_dim, standard_error, chance_error, nfe } = self;
        write!(f, "{bits_per_dim:.3} ± {standard_error:.3}")?;
        if let Some(chance) = chance_error {
            write!(f, " (of which {chance:.4} by dequantisation and probes)")?;
        }
        let Measurement { dataset, method, grey_levels, .. } = of;
        write!(f, " bits/dim on {count} test images of {dataset}, {nfe} NFE")?;
        match method {
            Method::Flow { dequantisation } => write!(f, ", {dequantisation} noise in the bytes")?,
            Method::Bound { levels } => write!(f, ", variational bound at {levels} levels")?,
        }
        write!(f, ", from {grey_levels:.2} grey levels of noise on")
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
