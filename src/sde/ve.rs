use serde::{Deserialize, Serialize};

use super::diameter::diameter;
use super::{Sde, Watch, require, rises};
use crate::images::{DataRange, ImageSet};
use crate::{Error, Result};

/// Variance exploding: `dx = g dw`, the continuous form of NCSN's geometric noise levels.
///
/// `std(t) = sigma_min·(sigma_max/sigma_min)^t`, `g(t) = std(t)·sqrt(2·ln(sigma_max/sigma_min))`
/// (Song et al. 2021, equation 30). The state at `t = 0` already carries `sigma_min` of noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VeSde {
    /// Smallest noise level, in data units (0.01 in all the papers).
    pub sigma_min: f64,
    /// Largest noise level: the largest distance between two training images (NCSNv2, technique 1); 0 where that is
    /// still to be measured.
    pub sigma_max: f64,
    /// How many levels there are, for a network that reads their number, 0 for the largest, instead of `ln sigma` (Score-SDE's
    /// discrete models); between two levels it reads a number in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<usize>,
}

/// Score-SDE's for CIFAR-10.
impl Default for VeSde {
    fn default() -> Self {
        Self { sigma_min: 0.01, sigma_max: 50.0, levels: None }
    }
}

impl VeSde {
    fn log_ratio(&self) -> f64 {
        (self.sigma_max / self.sigma_min).ln()
    }

    /// NCSN's noise levels `sigma_1 .. sigma_n`, a geometric sequence, here ascending from `sigma_min` to
    /// `sigma_max` as in Score-SDE (Song and Ermon 2019, section 4.2; Song et al. 2021, appendix C).
    pub fn sigmas(&self, n: usize) -> Vec<f64> {
        let last = (n - 1).max(1) as f64;
        (0..n).map(|i| self.sigma_min * (self.log_ratio() * i as f64 / last).exp()).collect()
    }
}

impl Sde for VeSde {
    fn drift(&self, _: f64) -> f64 {
        0.0
    }

    fn diffusion(&self, t: f64) -> f64 {
        self.marginal_prob(t).1 * (2.0 * self.log_ratio()).sqrt()
    }

    fn marginal_prob(&self, t: f64) -> (f64, f64) {
        (1.0, self.sigma_min * (self.log_ratio() * t).exp())
    }

    fn prior_std(&self) -> f64 {
        self.sigma_max
    }

    fn time_of_sigma(&self, sigma: f64) -> f64 {
        (sigma / self.sigma_min).ln() / self.log_ratio()
    }

    fn until(&self, t: f64) -> Self {
        Self { sigma_max: self.marginal_prob(t).1, ..*self }
    }

    fn sampling_eps(&self) -> f64 {
        1e-5
    }

    fn name(&self) -> &'static str {
        "VE"
    }

    fn title(&self) -> &'static str {
        "variance exploding"
    }

    fn summary(&self) -> String {
        format!("VE, sigma {} to {:.1}", self.sigma_min, self.sigma_max)
    }

    fn range(&self) -> DataRange {
        DataRange::UNIT
    }

    fn c_noise(&self, sigma: f64) -> f64 {
        match self.levels {
            None => sigma.ln(),
            Some(levels) => (self.sigma_max / sigma).ln() / self.log_ratio() * (levels - 1) as f64,
        }
    }

    fn check(&self) -> Result<()> {
        let fix = "use 0 < sigma_min < sigma_max, or sigma_max = 0 to measure it";
        let open = self.is_open() && self.sigma_min > 0.0 && self.sigma_min.is_finite();
        let fine = open || rises(self.sigma_min, self.sigma_max);
        if let Some(levels) = self.levels
            && (open || !(2..=100_000).contains(&levels))
        {
            let problem = format!("= {levels} is not allowed");
            return Err(Error::config("sde.levels", problem, "use 2 to 100000, and a sigma_max"));
        }
        require(fine, "sigma_min, sigma_max", [self.sigma_min, self.sigma_max], fix)
    }

    fn is_open(&self) -> bool {
        self.sigma_max == 0.0
    }

    /// `sigma_max`, if it is 0, becomes the largest distance between two images (NCSNv2's technique 1).
    fn measured(&self, images: &ImageSet, watch: &mut Watch<'_>) -> Result<Self> {
        if !self.is_open() {
            return Ok(*self);
        }
        let DataRange { low, high } = self.range();
        let largest = diameter(images, watch)? * (high - low) / 255.0;
        Ok(Self { sigma_max: largest.max(2.0 * self.sigma_min), ..*self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic::digits_like;

    /// Pixels have 255 levels. A single image is no distance from any other, and leaves twice the least noise.
    #[test]
    fn an_open_largest_level_is_the_distance_of_two_images() {
        let open = VeSde { sigma_max: 0.0, ..VeSde::default() };
        for (n, expected) in
            [(1, 0.02), (5, diameter(&digits_like(5, 8, 0), &mut |_| Ok(())).unwrap() / 255.0)]
        {
            let measured = open.measured(&digits_like(n, 8, 0), &mut |_| Ok(())).unwrap();
            assert!(
                (measured.sigma_max - expected).abs() < 1e-12 && expected < 8.0,
                "{measured:?}, {expected}"
            );
        }
    }

    /// NCSN's ten levels, to the digits that its paper and code show: 1 to 0.01, each 0.5995 of the last.
    #[test]
    fn ten_levels_are_those_of_ncsn() {
        let sigmas = VeSde { sigma_min: 0.01, sigma_max: 1.0, ..VeSde::default() }.sigmas(10);
        let published = [0.01, 0.0167, 0.0278, 0.0464, 0.0774, 0.1292, 0.2154, 0.3594, 0.5995, 1.0];
        for (sigma, published) in sigmas.iter().zip(published) {
            assert!((sigma - published).abs() < 5.1e-5, "{sigma} instead of {published}");
        }
    }

    /// Score-SDE's discrete models read 0 at the largest level and `n - 1` at the smallest.
    #[test]
    fn a_network_may_read_the_number_of_a_level() {
        let sde = VeSde { levels: Some(10), ..VeSde::default() };
        for (i, sigma) in sde.sigmas(10).iter().rev().enumerate() {
            assert!((sde.c_noise(*sigma) - i as f64).abs() < 1e-9, "{i}");
        }
        assert!(VeSde { levels: Some(1), ..sde }.check().is_err());
    }

    #[test]
    fn the_levels_are_the_continuous_diffusion_at_equal_times() {
        let sde = VeSde { sigma_min: 0.01, sigma_max: 50.0, ..VeSde::default() };
        for (i, sigma) in sde.sigmas(1000).iter().enumerate() {
            assert!((sigma / sde.sigma(i as f64 / 999.0) - 1.0).abs() < 1e-12);
        }
    }
}
