use serde::{Deserialize, Serialize};

use super::{Sde, require, rises};
use crate::Result;

/// EDM's diffusion: noise in proportion to time and no scaling, `sigma(t) = t`, `s(t) = 1`
/// (Karras et al. 2022, section 3 and table 1).
///
/// `t` is measured in units of `sigma_max`, so that it runs from 0 to 1 as for every other diffusion:
/// `std(t) = sigma_max·t`, `dx = sigma_max·sqrt(2t) dw`. At `t = 0` there is no noise. Samplers step on
/// the paper's grid, see [`Sde::grid_exponent`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdmSde {
    /// Smallest noise level at which samplers evaluate the score, in data units (0.002 in the paper).
    pub sigma_min: f64,
    /// Largest noise level (80 in the paper, for data in `[-1, 1]`).
    pub sigma_max: f64,
}

impl Default for EdmSde {
    fn default() -> Self {
        Self { sigma_min: 0.002, sigma_max: 80.0 }
    }
}

impl Sde for EdmSde {
    fn drift(&self, _: f64) -> f64 {
        0.0
    }

    fn diffusion(&self, t: f64) -> f64 {
        self.sigma_max * (2.0 * t).sqrt()
    }

    fn marginal_prob(&self, t: f64) -> (f64, f64) {
        (1.0, self.sigma_max * t)
    }

    fn prior_std(&self) -> f64 {
        self.sigma_max
    }

    fn time_of_sigma(&self, sigma: f64) -> f64 {
        sigma / self.sigma_max
    }

    fn until(&self, t: f64) -> Self {
        Self { sigma_max: self.sigma_max * t, ..*self }
    }

    fn sampling_eps(&self) -> f64 {
        self.sigma_min / self.sigma_max
    }

    fn grid_exponent(&self) -> Option<f64> {
        Some(7.0)
    }

    fn name(&self) -> &'static str {
        "EDM"
    }

    fn title(&self) -> &'static str {
        "EDM"
    }

    fn summary(&self) -> String {
        format!("EDM, sigma {} to {:.1}", self.sigma_min, self.sigma_max)
    }

    fn c_noise(&self, sigma: f64) -> f64 {
        sigma.ln()
    }

    fn check(&self) -> Result<()> {
        let fix = "use 0 < sigma_min < sigma_max";
        let fine = rises(self.sigma_min, self.sigma_max);
        require(fine, "sigma_min, sigma_max", [self.sigma_min, self.sigma_max], fix)
    }
}
