//! Gaussians in the plane, and curves that are made of them.

use super::GaussianMixture;
use crate::Result;

/// One Gaussian of a mixture in the plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Its share, relative to the others.
    pub weight: f64,
    /// Its centre.
    pub mean: [f64; 2],
    /// Its covariance.
    pub covariance: [[f64; 2]; 2],
}

impl Part {
    /// One that is as wide in every direction.
    pub fn round(weight: f64, mean: [f64; 2], std: f64) -> Self {
        Self { weight, mean, covariance: [[std * std, 0.], [0., std * std]] }
    }
}

/// A curve, `n` Gaussians along `path`, which is given for times from 0 to 1, as wide across as `std`. The density along it is
/// even, however fast the path is run through.
pub fn along(path: impl Fn(f64) -> [f64; 2], n: usize, std: f64) -> Vec<Part> {
    /// Deviation along the path, as a share of the way to the next: the density is then even to 1.5 %.
    const OVERLAP: f64 = 0.5;
    let part = |k: usize| {
        let [begin, middle, end] = [0., 0.5, 1.].map(|share| path((k as f64 + share) / n as f64));
        let way = [end[0] - begin[0], end[1] - begin[1]];
        let length = way[0].hypot(way[1]);
        let unit = way.map(|x| x / length.max(f64::MIN_POSITIVE));
        let (along, across) = ((OVERLAP * length).powi(2), std * std);
        let entry = |i: usize, j: usize| {
            let round = if i == j { across } else { 0. };
            round + (along - across) * unit[i] * unit[j]
        };
        let covariance = [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]];
        Part { weight: length, mean: middle, covariance }
    };
    (0..n).map(part).filter(|part| part.weight > 0.).collect()
}

/// The points of a row of coordinates, as [`GaussianMixture::sample`] gives them.
pub fn points(row: &[f64]) -> Vec<[f64; 2]> {
    row.as_chunks().0.to_vec()
}

/// The mixture of some Gaussians.
///
/// # Errors
/// As [`GaussianMixture::new`].
pub fn mixture(parts: &[Part]) -> Result<GaussianMixture> {
    let weights: Vec<f64> = parts.iter().map(|part| part.weight).collect();
    let means: Vec<Vec<f64>> = parts.iter().map(|part| part.mean.to_vec()).collect();
    let covariances: Vec<Vec<Vec<f64>>> =
        parts.iter().map(|part| part.covariance.iter().map(|row| row.to_vec()).collect()).collect();
    GaussianMixture::new(&weights, &means, &covariances)
}
