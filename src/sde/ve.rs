use serde::{Deserialize, Serialize};

use super::Sde;

/// Variance exploding: `dx = g dw`, the continuous form of NCSN's geometric noise levels.
///
/// `std(t) = sigma_min·(sigma_max/sigma_min)^t`, `g(t) = std(t)·sqrt(2·ln(sigma_max/sigma_min))`
/// (Song et al. 2021, equation 30). The state at `t = 0` already carries `sigma_min` of noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct VeSde {
    /// Smallest noise level, in data units (0.01 in all the papers).
    pub sigma_min: f64,
    /// Largest noise level: the largest distance between two training images (NCSNv2, technique 1).
    pub sigma_max: f64,
}

impl VeSde {
    fn log_ratio(&self) -> f64 {
        (self.sigma_max / self.sigma_min).ln()
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
}
