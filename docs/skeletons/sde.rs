use serde::{Deserialize, Serialize};

use super::{Sde, require};
use crate::Result;

/// Variance preserving with the cosine schedule of Nichol and Dhariwal (2021), without its offset.
///
/// `mean_coeff = cos(angle·t)`, `std = sin(angle·t)`. Say here: the equation, its source, and what happens at the ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineSde {
    /// The angle at `t = 1`, below a right one, at which nothing of the data would be left.
    pub angle: f64,
}

impl Default for CosineSde {
    fn default() -> Self {
        Self { angle: 1.56 }
    }
}

impl Sde for CosineSde {
    fn drift(&self, t: f64) -> f64 {
        -self.angle * (self.angle * t).tan()
    }

    fn diffusion(&self, t: f64) -> f64 {
        (2.0 * self.angle * (self.angle * t).tan()).sqrt()
    }

    fn marginal_prob(&self, t: f64) -> (f64, f64) {
        let (sin, cos) = (self.angle * t).sin_cos();
        (cos, sin)
    }

    fn prior_std(&self) -> f64 {
        1.0
    }

    fn time_of_sigma(&self, sigma: f64) -> f64 {
        sigma.atan() / self.angle
    }

    fn until(&self, t: f64) -> Self {
        Self { angle: self.angle * t }
    }

    fn sampling_eps(&self) -> f64 {
        1e-3
    }

    fn name(&self) -> &'static str {
        "cosine"
    }

    fn title(&self) -> &'static str {
        "variance preserving, cosine"
    }

    fn summary(&self) -> String {
        format!("cosine, angle up to {}", self.angle)
    }

    fn check(&self) -> Result<()> {
        let fine = self.angle > 0.0 && self.angle < std::f64::consts::FRAC_PI_2;
        require(fine, "angle, its limit", [self.angle, std::f64::consts::FRAC_PI_2], "use 0 < angle < pi/2")
    }
}
