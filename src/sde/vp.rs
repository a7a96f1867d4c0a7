use serde::{Deserialize, Serialize};

use super::Sde;

/// Variance preserving: `dx = -beta(t)·x/2 dt + sqrt(beta(t)) dw`, the continuous form of DDPM.
///
/// `beta(t) = beta_min + t·(beta_max - beta_min)` and, with `L = -∫beta/2`,
/// `mean_coeff = exp(L)`, `std = sqrt(-expm1(2L))` (Song et al. 2021, equation 33). `expm1` keeps
/// `std` exact at small `t`, where `1 - exp(2L)` would lose every digit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct VpSde {
    /// Rate at `t = 0` (0.1 in the paper).
    pub beta_min: f64,
    /// Rate at `t = 1` (20 in the paper).
    pub beta_max: f64,
}

impl Default for VpSde {
    fn default() -> Self {
        Self { beta_min: 0.1, beta_max: 20.0 }
    }
}

impl VpSde {
    fn beta(&self, t: f64) -> f64 {
        self.beta_min + t * (self.beta_max - self.beta_min)
    }

    fn log_mean_coeff(&self, t: f64) -> f64 {
        -0.25 * t * t * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min
    }
}

impl Sde for VpSde {
    fn drift(&self, t: f64) -> f64 {
        -0.5 * self.beta(t)
    }

    fn diffusion(&self, t: f64) -> f64 {
        self.beta(t).sqrt()
    }

    fn marginal_prob(&self, t: f64) -> (f64, f64) {
        let log_mean = self.log_mean_coeff(t);
        (log_mean.exp(), (-(2.0 * log_mean).exp_m1()).sqrt())
    }

    fn prior_std(&self) -> f64 {
        1.0
    }

    /// Solves `t²·(beta_max - beta_min)/2 + t·beta_min = ln(1 + sigma²)`.
    fn time_of_sigma(&self, sigma: f64) -> f64 {
        let slope = self.beta_max - self.beta_min;
        let integral = (sigma * sigma).ln_1p();
        2.0 * integral / (self.beta_min + (self.beta_min.powi(2) + 2.0 * slope * integral).sqrt())
    }

    fn until(&self, t: f64) -> Self {
        Self { beta_min: t * self.beta_min, beta_max: t * self.beta(t) }
    }

    fn sampling_eps(&self) -> f64 {
        1e-3
    }
}
