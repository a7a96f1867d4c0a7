use serde::{Deserialize, Serialize};

use super::{Sde, VpSde};
use crate::Result;

/// Sub-variance preserving: VP's drift with less noise, `dx = -beta(t)·x/2 dt + sqrt(beta(t)·(1 - exp(-2·∫beta))) dw`.
///
/// With `L = -∫beta/2`: `mean_coeff = exp(L)` as for VP, and `std = 1 - exp(2L)`, the square of VP's and
/// so never larger (Song et al. 2021, equation 29 and appendix B). The paper's best likelihoods are of
/// this diffusion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubVpSde {
    /// Rate at `t = 0` (0.1 in the paper).
    pub beta_min: f64,
    /// Rate at `t = 1` (20 in the paper).
    pub beta_max: f64,
}

impl Default for SubVpSde {
    fn default() -> Self {
        let VpSde { beta_min, beta_max } = VpSde::default();
        Self { beta_min, beta_max }
    }
}

impl SubVpSde {
    fn vp(&self) -> VpSde {
        VpSde { beta_min: self.beta_min, beta_max: self.beta_max }
    }
}

impl Sde for SubVpSde {
    fn drift(&self, t: f64) -> f64 {
        self.vp().drift(t)
    }

    fn diffusion(&self, t: f64) -> f64 {
        (self.vp().beta(t) * -(-2.0 * self.vp().integral(t)).exp_m1()).sqrt()
    }

    fn marginal_prob(&self, t: f64) -> (f64, f64) {
        let integral = self.vp().integral(t);
        ((-0.5 * integral).exp(), -(-integral).exp_m1())
    }

    fn prior_std(&self) -> f64 {
        1.0
    }

    /// `sigma = exp(-L) - exp(L) = 2·sinh(∫beta/2)`.
    fn time_of_sigma(&self, sigma: f64) -> f64 {
        self.vp().time_of_integral(2.0 * (sigma / 2.0).asinh())
    }

    fn until(&self, t: f64) -> Self {
        let VpSde { beta_min, beta_max } = self.vp().until(t);
        Self { beta_min, beta_max }
    }

    fn sampling_eps(&self) -> f64 {
        self.vp().sampling_eps()
    }

    fn name(&self) -> &'static str {
        "sub-VP"
    }

    fn title(&self) -> &'static str {
        "sub-variance preserving"
    }

    fn summary(&self) -> String {
        format!("sub-{}", self.vp().summary())
    }

    fn check(&self) -> Result<()> {
        self.vp().check()
    }
}
