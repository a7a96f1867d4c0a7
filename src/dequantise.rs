//! Noise that makes bytes continuous, and what it costs.

use std::f64::consts::{LN_2, TAU};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::images::DataRange;
use crate::rng::draws::probe;
use crate::rng::{Domain, Noise, normal_mass, truncated_normal};
use crate::{Error, Result};

/// Bytes that a pixel can have.
const BINS: f64 = 256.0;

/// How 8-bit images become values that have a density, each byte within a bin of its own.
///
/// Without it a density of bytes has no upper bound: it may be infinite at the 256 values. Of either kind the density of the
/// values, less that of the noise, is a lower bound of the probability of the bytes (Theis et al. 2016; Ho et al. 2019).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dequantisation {
    /// Evenly over the bin: `(byte + u)/256`.
    #[default]
    Uniform,
    /// The noise that the diffusion adds until the time at which the flow starts, cut at the bin's ends:
    /// `(byte + 1/2)/256 + sigma·z` (Zheng et al. 2023, section 5). Of a model that learns from bytes without noise of
    /// their own: it has seen nothing else at that time, so nothing separates learning from measuring but the cut.
    TruncatedNormal,
}

impl fmt::Display for Dequantisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::TruncatedNormal => "truncated-normal",
        })
    }
}

impl FromStr for Dequantisation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [Self::Uniform, Self::TruncatedNormal].into_iter().find(|kind| kind.to_string() == name).ok_or_else(
            || {
                let fix = "use uniform or truncated-normal";
                Error::config("the dequantisation", format!("`{name}` is not known"), fix)
            },
        )
    }
}

/// Bytes made continuous.
#[derive(Debug, Clone, PartialEq)]
pub struct Dequantised {
    /// Pixel values from 0 to 1.
    pub pixels: Vec<f32>,
    /// The logarithm of the noise's density for each image, in nats, of pixel values.
    pub nats: Vec<f64>,
    /// Values of an image.
    dim: usize,
}

impl Dequantisation {
    /// Bytes `[n, dim]` made continuous; `sigma` is the deviation of the normal noise in pixel values.
    ///
    /// Sample `k`'s noise depends on the seed and `k` alone.
    pub fn of(self, bytes: &[u8], dim: usize, sigma: f64, noise: &Noise) -> Dequantised {
        let n = bytes.len() / dim.max(1);
        let uniform = noise.domain(Domain::Probe).uniform(probe::DEQUANTISE, n, dim);
        match self {
            Self::Uniform => {
                let pixels = bytes.iter().zip(uniform).map(|(byte, u)| (f32::from(*byte) + u) / 256.0);
                Dequantised { pixels: pixels.collect(), nats: vec![dim as f64 * BINS.ln(); n], dim }
            }
            Self::TruncatedNormal => {
                let bound = 0.5 / (BINS * sigma);
                let z: Vec<f64> = uniform.iter().map(|u| truncated_normal(f64::from(*u), bound)).collect();
                let pixels = bytes.iter().zip(&z);
                let pixels = pixels.map(|(byte, z)| ((f64::from(*byte) + 0.5) / BINS + sigma * z) as f32);
                let scale = (sigma * TAU.sqrt() * normal_mass(bound)).ln();
                let of_image = |z: &[f64]| z.iter().map(|z| -0.5 * z * z - scale).sum();
                let nats = z.chunks_exact(dim.max(1)).map(of_image).collect();
                Dequantised { pixels: pixels.collect(), nats, dim }
            }
        }
    }
}

impl Dequantised {
    /// Bits per dimension of each image, whose density in the model's units is `exp(nats)`:
    /// `(noise - nats)/(dim·ln 2) - log2(range)`, where `noise` is the logarithm of the noise's density.
    ///
    /// An upper bound of the codelength of the bytes. The papers' offsets 8 and 7 are those of uniform noise for the ranges
    /// 1 and 2.
    pub fn bits_per_dim(&self, nats: &[f64], range: DataRange) -> Vec<f64> {
        let bits =
            |(noise, nats)| (noise - nats) / (self.dim as f64 * LN_2) - (range.high - range.low).log2();
        self.nats.iter().zip(nats).map(bits).collect()
    }
}
