//! NCSNv2's techniques 1, 2 and 4 (Song and Ermon 2020): noise levels and step size from the data instead of by trial.

use serde::Serialize;

use crate::rng::normal_cdf;
use crate::{Error, Result};

/// Noise levels and the steps at each, for annealed Langevin dynamics.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NoiseSchedule {
    /// The largest level: the largest distance of two images, so that the dynamics can lead from any to any (technique 1).
    pub sigma_max: f64,
    /// The least.
    pub sigma_min: f64,
    /// Number of levels.
    pub levels: usize,
    /// Ratio of neighbouring levels.
    pub gamma: f64,
    /// How far neighbouring levels overlap, [`overlap`].
    pub overlap: f64,
}

impl NoiseSchedule {
    /// As many levels for data of `dim` values as make neighbours overlap by `wanted` at least (technique 2).
    ///
    /// # Errors
    /// [`Error::Config`] for levels that do not fall, no dimension, an overlap outside (0, 1), or more than a million levels.
    pub fn overlapping(wanted: f64, dim: usize, sigma_max: f64, sigma_min: f64) -> Result<Self> {
        if !(0.01..=0.99).contains(&wanted) {
            let problem = format!("= {wanted} is not allowed");
            return Err(Error::config("the overlap", problem, "use 0.01 to 0.99; NCSNv2 has 0.5"));
        }
        check(dim, sigma_max, sigma_min)?;
        // The largest ratio that overlaps enough; the overlap falls as the levels part.
        let (mut low, mut high) = (1.0, 2.0);
        while overlap(high, dim) > wanted && high < 1e6 {
            high *= 2.0;
        }
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            *(if overlap(middle, dim) > wanted { &mut low } else { &mut high }) = middle;
        }
        let ratios = (sigma_max / sigma_min).ln() / low.ln();
        if ratios > 1e6 {
            let problem = format!("needs {ratios:.0} levels");
            return Err(Error::config(
                "the schedule",
                problem,
                "ask for less overlap, or for a smaller range",
            ));
        }
        Self::of_levels(ratios.ceil() as usize + 1, dim, sigma_max, sigma_min)
    }

    /// So many levels in equal ratios.
    ///
    /// # Errors
    /// [`Error::Config`] for levels that do not fall, no dimension, or fewer than two levels.
    pub fn of_levels(levels: usize, dim: usize, sigma_max: f64, sigma_min: f64) -> Result<Self> {
        check(dim, sigma_max, sigma_min)?;
        if levels < 2 {
            return Err(Error::config("levels", format!("= {levels} is not allowed"), "use 2 or more"));
        }
        let gamma = (sigma_max / sigma_min).powf(1.0 / (levels - 1) as f64);
        Ok(Self { sigma_max, sigma_min, levels, gamma, overlap: overlap(gamma, dim) })
    }
}

fn check(dim: usize, sigma_max: f64, sigma_min: f64) -> Result<()> {
    let fine = sigma_min > 0.0 && sigma_max > sigma_min && sigma_max.is_finite();
    match fine && dim > 0 {
        true => Ok(()),
        false => {
            let problem = format!("of {dim} values from {sigma_max} to {sigma_min} is not possible");
            Err(Error::config(
                "a schedule",
                problem,
                "use a dimension, and a larger and a smaller positive level",
            ))
        }
    }
}

/// The share of a level's points, as far from the data as its noise leads, that are within three deviations of the next
/// larger level's distance: `Phi(sqrt(2D)(gamma - 1) + 3·gamma) - Phi(sqrt(2D)(gamma - 1) - 3·gamma)` (Song and Ermon 2020,
/// proposition 2 and technique 2). Noise in `dim` dimensions lies in a shell, so that levels far apart have nothing in
/// common.
pub fn overlap(gamma: f64, dim: usize) -> f64 {
    let far = (2.0 * dim as f64).sqrt() * (gamma - 1.0);
    normal_cdf(far + 3.0 * gamma) - normal_cdf(far - 3.0 * gamma)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The released configurations: CIFAR-10, CelebA 64, church 96, bedroom 128, FFHQ 256. An overlap of one half gives
    /// somewhat fewer levels than they have, whose own is .566 to .567.
    #[test]
    fn published_levels_overlap_as_technique_2_asks() {
        for (sigma_max, side, levels, published) in [
            (50.0, 32, 220, 232),
            (90.0, 64, 473, 500),
            (140.0, 96, 745, 788),
            (190.0, 128, 1026, 1086),
            (348.0, 256, 2182, 2311),
        ] {
            let dim = 3 * side * side;
            let computed = NoiseSchedule::overlapping(0.5, dim, sigma_max, 0.01).unwrap();
            assert_eq!(computed.levels, levels, "{side} pixels");
            assert!((0.5..0.505).contains(&computed.overlap), "{computed:?}");
            let theirs = NoiseSchedule::of_levels(published, dim, sigma_max, 0.01).unwrap();
            assert!((theirs.overlap - 0.5665).abs() < 2e-3, "{theirs:?}");
        }
    }

    /// One level fewer no longer overlaps enough, whatever is asked.
    #[test]
    fn there_is_no_level_too_many() {
        for (wanted, dim) in [(0.05, 2), (0.5, 784), (0.9, 784), (0.99, 3)] {
            let found = NoiseSchedule::overlapping(wanted, dim, 20.0, 0.05).unwrap();
            assert!(found.overlap >= wanted, "{found:?}");
            if found.levels > 2 {
                let fewer = NoiseSchedule::of_levels(found.levels - 1, dim, 20.0, 0.05).unwrap();
                assert!(fewer.overlap < wanted, "{fewer:?}");
            }
        }
    }

    #[test]
    fn what_is_not_possible_is_refused() {
        for result in [
            NoiseSchedule::overlapping(0.0, 784, 20.0, 0.01),
            NoiseSchedule::overlapping(f64::NAN, 784, 20.0, 0.01),
            NoiseSchedule::overlapping(0.5, 0, 20.0, 0.01),
            NoiseSchedule::overlapping(0.5, 784, 0.01, 20.0),
            NoiseSchedule::overlapping(0.5, 784, f64::INFINITY, 0.01),
            NoiseSchedule::of_levels(1, 784, 20.0, 0.01),
        ] {
            assert!(matches!(result, Err(Error::Config { .. })), "{result:?}");
        }
    }
}
