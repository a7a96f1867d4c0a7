use serde::{Deserialize, Serialize};

use super::{Sde, require, rises};
use crate::Result;

/// Variance preserving: `dx = -beta(t)·x/2 dt + sqrt(beta(t)) dw`, the continuous form of DDPM.
///
/// `beta(t) = beta_min + t·(beta_max - beta_min)` and, with `L = -∫beta/2`,
/// `mean_coeff = exp(L)`, `std = sqrt(-expm1(2L))` (Song et al. 2021, equation 33). `expm1` keeps
/// `std` exact at small `t`, where `1 - exp(2L)` would lose every digit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    pub(super) fn beta(&self, t: f64) -> f64 {
        self.beta_min + t * (self.beta_max - self.beta_min)
    }

    /// `∫beta` from 0 to `t`.
    pub(super) fn integral(&self, t: f64) -> f64 {
        0.5 * t * t * (self.beta_max - self.beta_min) + t * self.beta_min
    }

    /// The time at which [`integral`](Self::integral) is reached: `t²·(beta_max - beta_min)/2 + t·beta_min`.
    pub(super) fn time_of_integral(&self, integral: f64) -> f64 {
        let slope = self.beta_max - self.beta_min;
        2.0 * integral / (self.beta_min + (self.beta_min.powi(2) + 2.0 * slope * integral).sqrt())
    }

    /// DDPM's variances `beta_1 .. beta_n`, ascending, from `beta_min/n` to `beta_max/n` with equal
    /// differences: for `n = 1000` they are the paper's 1e-4 to 0.02 (Ho et al. 2020, section 4; Song et
    /// al. 2021, appendix C).
    pub fn betas(&self, n: usize) -> Vec<f64> {
        let last = (n - 1).max(1) as f64;
        (0..n).map(|i| self.beta(i as f64 / last) / n as f64).collect()
    }

    /// DDPM's `alpha_bar_1 .. alpha_bar_n`, the products of `1 - beta_i`: `x_i` of the discrete chain is
    /// `sqrt(alpha_bar_i)·x_0 + sqrt(1 - alpha_bar_i)·z` (Ho et al. 2020, equation 4).
    pub fn alpha_bars(&self, n: usize) -> Vec<f64> {
        let product = |alpha_bar: &mut f64, beta: f64| {
            *alpha_bar *= 1.0 - beta;
            Some(*alpha_bar)
        };
        self.betas(n).into_iter().scan(1.0, product).collect()
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
        let integral = self.integral(t);
        ((-0.5 * integral).exp(), (-(-integral).exp_m1()).sqrt())
    }

    fn prior_std(&self) -> f64 {
        1.0
    }

    /// `sigma² = exp(∫beta) - 1`.
    fn time_of_sigma(&self, sigma: f64) -> f64 {
        self.time_of_integral((sigma * sigma).ln_1p())
    }

    fn until(&self, t: f64) -> Self {
        Self { beta_min: t * self.beta_min, beta_max: t * self.beta(t) }
    }

    fn sampling_eps(&self) -> f64 {
        1e-3
    }

    fn name(&self) -> &'static str {
        "VP"
    }

    fn title(&self) -> &'static str {
        "variance preserving"
    }

    fn summary(&self) -> String {
        format!("VP, beta {} to {}", self.beta_min, self.beta_max)
    }

    fn check(&self) -> Result<()> {
        let fix = "use 0 < beta_min < beta_max";
        require(
            rises(self.beta_min, self.beta_max),
            "beta_min, beta_max",
            [self.beta_min, self.beta_max],
            fix,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DDPM: `beta` from 1e-4 to 0.02 in 1000 equal steps leaves `alpha_bar_1000` = 4.04e-5, a signal of
    /// 0.64 % (`sqrt_alphas_cumprod[-1]` of its code).
    #[test]
    fn a_thousand_levels_are_those_of_ddpm() {
        let (betas, alpha_bars) = (VpSde::default().betas(1000), VpSde::default().alpha_bars(1000));
        for (i, beta) in betas.iter().enumerate() {
            let published = 1e-4 + (0.02 - 1e-4) * i as f64 / 999.0;
            assert!((beta - published).abs() < 1e-17, "beta_{}: {beta}", i + 1);
        }
        assert!((alpha_bars[0] - 0.9999).abs() < 1e-15);
        assert!((alpha_bars[999] - 4.04e-5).abs() < 0.005e-5, "{}", alpha_bars[999]);
    }

    /// The continuous diffusion is the limit of the discrete chain (Song et al. 2021, appendix B): the
    /// logarithm of `alpha_bar` differs by the sum of `beta²/2` and by half of `beta_i` for the grid.
    #[test]
    fn the_discrete_chain_tends_to_the_continuous_one() {
        let sde = VpSde::default();
        let largest = |n: usize| {
            let differences = sde
                .alpha_bars(n)
                .into_iter()
                .enumerate()
                .map(|(i, alpha_bar)| (alpha_bar.ln() + sde.integral((i + 1) as f64 / n as f64)).abs());
            differences.fold(0.0, f64::max)
        };
        let errors = [1000, 2000, 4000].map(largest);
        assert!(errors[0] < 0.1, "{errors:?}");
        for pair in errors.windows(2) {
            assert!((pair[0] / pair[1] - 2.0).abs() < 0.05, "{errors:?}");
        }
    }
}
