use std::f64::consts::{FRAC_PI_2, LN_10};

use serde::{Deserialize, Serialize};

use super::{Sde, require, rises};
use crate::{Error, Result};

/// DDPM's chain of discrete levels, `x_i = sqrt(alpha_bar_i)·x_0 + sqrt(1 - alpha_bar_i)·z` (Ho et al. 2020, equation 4), as
/// a diffusion in continuous time: level `i` of `0 .. n-1` is at `t = (i + 1)/n`, and there `mean_coeff` and `std` are those
/// of the chain to the last digit. Between two levels the sum in `-ln alpha_bar_i = -Σ ln(1 - beta_j)` goes on smoothly (by
/// Euler and Maclaurin's formula), so that `dx = -beta(t)·x/2 dt + sqrt(beta(t)) dw` with `beta = -d ln alpha_bar/dt` passes
/// through every level. Samplers end at the first.
///
/// Networks read the level's number `i`, which becomes `n·t - 1` in between.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DdpmSde {
    /// How the variances `beta_i` grow.
    pub schedule: Betas,
    /// The first variance (1e-4 in the paper); the cosine has none.
    #[serde(default = "first")]
    pub beta_start: f64,
    /// The last variance (0.02 in the paper); the cosine has none.
    #[serde(default = "last")]
    pub beta_end: f64,
    /// Number of levels (1000 in the paper).
    pub levels: usize,
    /// How much of it is run through; all, unless the diffusion is a part of another.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub part: f64,
}

fn first() -> f64 {
    1e-4
}

fn last() -> f64 {
    0.02
}

fn whole() -> f64 {
    1.0
}

fn is_whole(part: &f64) -> bool {
    *part == 1.0
}

/// How DDPM's variances grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Betas {
    /// By equal differences (Ho et al. 2020).
    Linear,
    /// Their square roots do (Rombach et al. 2022).
    ScaledLinear,
    /// `alpha_bar` falls as the square of a cosine, and no `beta` is over .999 (Nichol and Dhariwal 2021, equation 17). The
    /// last step is a jump, to a thousand times the variance of noise that drowns the data already: samplers do better to
    /// begin below it, [`until`](super::Sde::until) `1 - 1/levels`.
    Cosine,
}

/// The ratio of the last two `alpha_bar` where `beta` is cut to .999.
const LN_LEAST_RATIO: f64 = -3.0 * LN_10;
/// Keeps the cosine's first steps from being too small.
const OFFSET: f64 = 0.008;

impl Default for DdpmSde {
    fn default() -> Self {
        Self { schedule: Betas::Linear, beta_start: first(), beta_end: last(), levels: 1000, part: 1.0 }
    }
}

/// `F(x) = -ln(1 - beta)` of a level that need not be whole: the value, two derivatives, and the integral.
struct Term {
    value: f64,
    slope: f64,
    curvature: f64,
    integral: f64,
}

/// `-∫ln(1 - b) db`, from 0.
fn log_integral(b: f64) -> f64 {
    (1.0 - b) * (-b).ln_1p() + b
}

impl DdpmSde {
    fn term(&self, level: f64) -> Term {
        let last = (self.levels - 1) as f64;
        match self.schedule {
            Betas::ScaledLinear => {
                let (start, end) = (self.beta_start.sqrt(), self.beta_end.sqrt());
                let rate = (end - start) / last;
                let root = start + rate * level;
                let left = 1.0 - root * root;
                Term {
                    value: -(-root * root).ln_1p(),
                    slope: 2.0 * rate * root / left,
                    curvature: 2.0 * rate * rate * (1.0 + root * root) / (left * left),
                    integral: (log_integral(root) - log_integral(-root)) / rate,
                }
            }
            _ => {
                let rate = (self.beta_end - self.beta_start) / last;
                let beta = self.beta_start + rate * level;
                Term {
                    value: -(-beta).ln_1p(),
                    slope: rate / (1.0 - beta),
                    curvature: (rate / (1.0 - beta)).powi(2),
                    integral: log_integral(beta) / rate,
                }
            }
        }
    }

    /// The cosine's angle at time `t`, and how fast it grows.
    fn angle(t: f64) -> (f64, f64) {
        ((t + OFFSET) / (1.0 + OFFSET) * FRAC_PI_2, FRAC_PI_2 / (1.0 + OFFSET))
    }

    /// `-ln alpha_bar` at time `t` of the whole, and its derivative `beta(t)`.
    fn integral(&self, t: f64) -> (f64, f64) {
        let n = self.levels as f64;
        if self.schedule == Betas::Cosine {
            let last = 1.0 - 1.0 / n;
            let (angle, rate) = Self::angle(t.min(last));
            let falls = 2.0 * (Self::angle(0.0).0.cos() / angle.cos()).ln();
            return match t <= last {
                true => (falls, 2.0 * rate * angle.tan()),
                false => (falls - (t - last) * n * LN_LEAST_RATIO, -n * LN_LEAST_RATIO),
            };
        }
        let (first, level) = (self.term(0.0), n * t - 1.0);
        if level <= 0.0 {
            return (n * t * first.value, n * first.value);
        }
        let here = self.term(level);
        let ends = (here.value + first.value) / 2.0 + (here.slope - first.slope) / 12.0;
        let sum = here.integral - first.integral + ends;
        (sum, n * (here.value + here.slope / 2.0 + here.curvature / 12.0))
    }

    /// Where in the whole time `t` of this part is.
    fn whole_time(&self, t: f64) -> f64 {
        self.part * t
    }

    fn beta(&self, t: f64) -> f64 {
        self.part * self.integral(self.whole_time(t)).1
    }

    /// The time of the whole at which the noise level is `sigma`, 0 to 1: Newton's method between bounds.
    fn whole_time_of_sigma(&self, sigma: f64) -> f64 {
        let wanted = (sigma * sigma).ln_1p();
        let (mut low, mut high, mut t) = (0.0, 1.0, 0.5);
        for _ in 0..100 {
            let (integral, rate) = self.integral(t);
            if integral < wanted {
                low = t
            } else {
                high = t
            }
            let newton = t - (integral - wanted) / rate;
            let next = if (low..=high).contains(&newton) { newton } else { (low + high) / 2.0 };
            if (next - t).abs() <= f64::EPSILON * t {
                break;
            }
            t = next;
        }
        t
    }
}

impl Sde for DdpmSde {
    fn drift(&self, t: f64) -> f64 {
        -0.5 * self.beta(t)
    }

    fn diffusion(&self, t: f64) -> f64 {
        self.beta(t).sqrt()
    }

    fn marginal_prob(&self, t: f64) -> (f64, f64) {
        let (integral, _) = self.integral(self.whole_time(t));
        ((-0.5 * integral).exp(), (-(-integral).exp_m1()).sqrt())
    }

    fn prior_std(&self) -> f64 {
        1.0
    }

    fn time_of_sigma(&self, sigma: f64) -> f64 {
        self.whole_time_of_sigma(sigma) / self.part
    }

    fn until(&self, t: f64) -> Self {
        Self { part: self.whole_time(t), ..*self }
    }

    /// The first level.
    fn sampling_eps(&self) -> f64 {
        (1.0 / (self.levels as f64 * self.part)).min(0.5)
    }

    fn name(&self) -> &'static str {
        "DDPM"
    }

    fn title(&self) -> &'static str {
        "DDPM"
    }

    fn summary(&self) -> String {
        match self.schedule {
            Betas::Cosine => format!("DDPM, {} cosine levels", self.levels),
            _ => format!("DDPM, {} levels, beta {} to {}", self.levels, self.beta_start, self.beta_end),
        }
    }

    fn c_noise(&self, sigma: f64) -> f64 {
        self.levels as f64 * self.whole_time_of_sigma(sigma) - 1.0
    }

    fn check(&self) -> Result<()> {
        if !(2..=100_000).contains(&self.levels) {
            let problem = format!("= {} is not allowed", self.levels);
            return Err(Error::config("sde.levels", problem, "use 2 to 100000"));
        }
        if !(self.part > 0.0 && self.part <= 1.0) {
            let problem = format!("= {} is not allowed", self.part);
            return Err(Error::config("sde.part", problem, "use a number above 0 and up to 1"));
        }
        require(
            rises(self.beta_start, self.beta_end) && self.beta_end < 1.0,
            "beta_start, beta_end",
            [self.beta_start, self.beta_end],
            "use 0 < beta_start < beta_end < 1",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedules() -> Vec<DdpmSde> {
        let linear = DdpmSde::default();
        vec![
            linear,
            DdpmSde { schedule: Betas::ScaledLinear, beta_start: 8.5e-4, beta_end: 0.012, ..linear },
            DdpmSde { schedule: Betas::Cosine, ..linear },
            DdpmSde { levels: 20, beta_end: 0.5, ..linear },
            DdpmSde { schedule: Betas::ScaledLinear, levels: 20, beta_end: 0.5, ..linear },
            DdpmSde { schedule: Betas::Cosine, levels: 20, ..linear },
        ]
    }

    /// The chain as it is published: `beta_i` by the papers' formulas.
    fn betas(sde: &DdpmSde) -> Vec<f64> {
        let DdpmSde { beta_start, beta_end, levels, .. } = *sde;
        let share = |i: usize| i as f64 / (levels - 1) as f64;
        let alpha_bar = |i: usize| {
            let turn = (i as f64 / levels as f64 + 0.008) / 1.008;
            (turn * std::f64::consts::FRAC_PI_2).cos().powi(2)
        };
        let beta = |i: usize| match sde.schedule {
            Betas::Linear => beta_start + share(i) * (beta_end - beta_start),
            Betas::ScaledLinear => {
                (beta_start.sqrt() + share(i) * (beta_end.sqrt() - beta_start.sqrt())).powi(2)
            }
            Betas::Cosine => (1.0 - alpha_bar(i + 1) / alpha_bar(i)).min(0.999),
        };
        (0..levels).map(beta).collect()
    }

    /// The signal's square, which is 4e-5 at the last of 1,000 levels, and the noise's, 1e-4 at the first, both to nine
    /// digits; with 20 levels, up to half the variance, the formula's next term is 4e-5 of it.
    #[test]
    fn every_level_is_that_of_the_chain() {
        for sde in schedules() {
            sde.check().unwrap();
            let bound = if sde.levels > 100 { 1e-9 } else { 1e-4 };
            let mut alpha_bar = 1.0;
            for (i, beta) in betas(&sde).into_iter().enumerate() {
                alpha_bar *= 1.0 - beta;
                let t = (i + 1) as f64 / sde.levels as f64;
                let (mean, std) = sde.marginal_prob(t);
                assert!((mean * mean / alpha_bar - 1.0).abs() < bound, "{sde:?} {i}: {mean}, {alpha_bar}");
                assert!((std * std / (1.0 - alpha_bar) - 1.0).abs() < bound, "{sde:?} {i}: {std}");
                assert!((sde.c_noise(std / mean) - i as f64).abs() < 1e-6, "{sde:?} {i}");
            }
        }
    }

    #[test]
    fn every_schedule_satisfies_the_moment_equations() {
        for sde in schedules() {
            for t in [0.0507, 0.2011, 0.5003, 0.8007] {
                let h = 1e-5;
                let [(m0, s0), (m, s), (m1, s1)] = [t - h, t, t + h].map(|t| sde.marginal_prob(t));
                let (f, g) = (sde.drift(t), sde.diffusion(t));
                assert!(((m1 - m0) / (2.0 * h) - f * m).abs() < 1e-5, "{sde:?} {t}");
                assert!(
                    ((s1 * s1 - s0 * s0) / (2.0 * h) - 2.0 * f * s * s - g * g).abs() < 1e-5,
                    "{sde:?} {t}"
                );
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let fine = DdpmSde::default();
        for (sde, word) in [
            (DdpmSde { levels: 1, ..fine }, "2 to 100000"),
            (DdpmSde { beta_end: 1.0, ..fine }, "beta_end < 1"),
            (DdpmSde { beta_start: 0.03, ..fine }, "beta_start < beta_end"),
            (DdpmSde { part: 0.0, ..fine }, "above 0"),
        ] {
            let message = sde.check().unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }
}
