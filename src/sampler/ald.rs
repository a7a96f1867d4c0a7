use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::predictor::LastStep;
use super::{Chain, Choice, Claim, Method, OptionInfo, Order, Run, SamplerInfo};
use crate::model::{Learned, ScoreModel};
use crate::ops::sum;
use crate::sde::Sde;
use crate::{Result, schedule};

/// Annealed Langevin dynamics (Song and Ermon 2019, algorithm 1; 2020, algorithm 1).
///
/// At each of `n_levels` geometric noise levels, `n_steps_each` steps
/// `x ← x + alpha·score + sqrt(2·alpha)·z` with `alpha_i = step·sigma_i²`, where `step` is the papers'
/// `epsilon/sigma_L²`. Works on `x_t/mean_coeff`, so that VE and VP are the same walk. The levels end at NCSN's 0.01, or
/// at the diffusion's own end where that is more. Ends with a denoising step (Tweedie), as NCSNv2 does and NCSN does
/// not. Costs `n_levels·n_steps_each + 1` NFE, one less without the last denoising, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnnealedLangevin {
    /// Number of noise levels, L.
    pub n_steps: usize,
    /// Langevin steps at each level, T.
    pub n_steps_each: usize,
    /// Step size relative to the variance of the level's noise; 0 leaves it to `step_rule`.
    pub step_size: f64,
    /// What chooses the step size.
    pub step_rule: StepRule,
    /// Where the walk begins.
    pub start: Start,
    /// What becomes of the last noise.
    pub last_step: LastStep,
}

/// Where annealed Langevin dynamics begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// In the diffusion's prior, noise of the first level.
    Prior,
    /// In images whose pixels are uniform in the range of the data, as in both papers; where an image is given, in that as
    /// always.
    Uniform,
}

/// What chooses the step size of annealed Langevin dynamics.
///
/// For data that are one point the noise of the state has a variance that every step changes linearly: with the step `e`,
/// `T` of them take `s` times the level's own variance to `r·(s - q) + q`, where `r = (1 - e)^2T` and `q = 2e/(1 - (1 - e)²)`.
/// It never reaches 1; each rule brings it as near as can be, from another start. `gamma` is the ratio of neighbouring
/// levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepRule {
    /// From what the level before left, the same number `s` of its variance: the fixed point
    /// `s = q·(1 - r)/(1 - gamma²·r)` over all levels.
    FixedPoint,
    /// From an exact sample of the level before, `s = gamma²` (Song and Ermon 2020, technique 4). No level after the first
    /// has one, so that the variance stays some 15 % too large with `T = 4`, however many levels there are.
    Technique4,
}

impl StepRule {
    /// The step size relative to the level's variance, for `t_steps` steps a level and the ratio `gamma` of levels.
    pub fn step_size(self, gamma: f64, t_steps: usize) -> f64 {
        let variance = |e: f64| {
            let q = 2.0 * e / (1.0 - (1.0 - e).powi(2));
            let r = (1.0 - e).powi(2 * t_steps as i32);
            match self {
                // Where a level cannot even keep up with the next, there is no fixed point.
                Self::FixedPoint if gamma * gamma * r >= 1.0 => f64::INFINITY,
                Self::FixedPoint => q * (1.0 - r) / (1.0 - gamma * gamma * r),
                Self::Technique4 => r * (gamma * gamma - q) + q,
            }
        };
        let grid = (1..1000).map(|i| f64::from(i) * 1e-3);
        grid.min_by(|a, b| variance(*a).total_cmp(&variance(*b))).unwrap_or(0.1)
    }
}

impl Default for AnnealedLangevin {
    fn default() -> Self {
        Self {
            n_steps: 60,
            n_steps_each: 4,
            step_size: 0.0,
            step_rule: StepRule::FixedPoint,
            start: Start::Prior,
            last_step: LastStep::Denoise,
        }
    }
}

/// The last noise level in the model's units, NCSN's. What a diffusion has below it only takes levels from where samples
/// are decided: sub-VP's end lies 4.5 e-folds lower.
const LAST_SIGMA: f64 = 0.01;

impl Method for AnnealedLangevin {
    const INFO: SamplerInfo = SamplerInfo {
        name: "ald",
        title: "Annealed Langevin",
        help: "Langevin steps at a falling sequence of noise levels (NCSN, 2019).",
        needs: Learned::Score,
        options: &[
            OptionInfo::integer(
                "n_steps",
                "Noise levels",
                "More levels follow the annealing more closely.",
                2,
                2000,
            ),
            OptionInfo::integer(
                "n_steps_each",
                "Steps per level",
                "Langevin steps at each noise level.",
                1,
                200,
            ),
            OptionInfo::real(
                "step_size",
                "Step size",
                "Relative to the variance of the level's noise; 0 leaves it to the rule.",
                0.0,
                1.0,
                0.01,
            ),
            OptionInfo::choice(
                "step_rule",
                "Rule for the step size",
                "Fixed point: the noise that all levels together sustain. Technique 4: NCSNv2's, as if every level began with an exact sample.",
                &[
                    Choice { name: "fixed_point", title: "Fixed point" },
                    Choice { name: "technique4", title: "NCSNv2, technique 4" },
                ],
            ),
            OptionInfo::choice(
                "start",
                "Start",
                "Noise of the first level, or uniform pixels as NCSN has them.",
                &[
                    Choice { name: "prior", title: "Noise" },
                    Choice { name: "uniform", title: "Uniform pixels" },
                ],
            ),
            LastStep::OPTION,
        ],
    };

    fn evaluations(&self) -> Option<usize> {
        Some(self.n_steps * self.n_steps_each + self.last_step.evaluations())
    }

    /// Ten levels come before several steps at each.
    fn within(self, nfe: usize) -> Option<Self> {
        let steps = nfe.checked_sub(self.last_step.evaluations())?;
        let n_steps_each = (steps / 10).clamp(1, self.n_steps_each);
        Some(Self { n_steps: steps / n_steps_each, n_steps_each, ..self })
    }

    fn claims() -> Vec<Claim<Self>> {
        let own_step = Self { n_steps_each: 40, step_size: 0.1, ..Self::default() };
        [Self::default(), own_step]
            .map(|method| Claim {
                method,
                order: Order::None,
                floor_nfe: 4001,
                bias: (4001, 0.03),
                sigma: 0.0,
            })
            .into()
    }

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let model = chain.model;
        let ts = schedule::geometric(chain.sde(), 1.0, last_time(chain.sde()), self.n_steps);
        let sigmas: Vec<f64> = ts.iter().map(|t| chain.sde().sigma(*t)).collect();
        let step_size = match self.step_size {
            0.0 => self.step_rule.step_size(sigmas[0] / sigmas[1], self.n_steps_each),
            chosen => chosen,
        };
        let total = self.n_steps * self.n_steps_each;
        let uniform = if self.start == Start::Uniform { chain.uniform() } else { None };
        let mut x = uniform.unwrap_or_else(|| chain.prior() / chain.sde().marginal_prob(1.0).0);
        for (i, (t, sigma)) in ts.iter().zip(&sigmas).enumerate() {
            let alpha = step_size * sigma * sigma;
            for j in 1..=self.n_steps_each {
                let eps = eps(model, x.clone(), *t);
                x = sum([(1.0, x), (-alpha / sigma, eps), ((2.0 * alpha).sqrt(), chain.noise())]);
                run.step(model, [i * self.n_steps_each + j, total], &x, 1.0, *sigma).await?;
            }
        }
        let last = ts.len() - 1;
        Ok(match self.last_step {
            LastStep::Denoise => sum([(1.0, x.clone()), (-sigmas[last], eps(model, x, ts[last]))]),
            LastStep::Keep => x,
        })
    }
}

/// Where the levels end: at [`LAST_SIGMA`], or where the diffusion itself ends if that is earlier, or if all its levels are
/// lower.
pub fn last_time(sde: &dyn Sde) -> f64 {
    let eps = sde.sampling_eps();
    match (sde.sigma(eps)..sde.sigma(1.0)).contains(&LAST_SIGMA) {
        true => sde.time_of_sigma(LAST_SIGMA),
        false => eps,
    }
}

/// The noise in `x = x_t/mean_coeff`; divided by `-sigma` it is the score.
fn eps(model: &ScoreModel, x: Tensor<4>, t: f64) -> Tensor<4> {
    model.eps(x * model.sde.marginal_prob(t).0, &[t])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sde::AnySde;

    /// NCSNv2's published step sizes: CIFAR-10 (sigma 50 to 0.01, L 232, T 5) 6.2e-6, CelebA (90, 500,
    /// 5) 3.3e-6, FFHQ (348, 2311, 3) 9e-7; here divided by sigma_L² = 1e-4.
    #[test]
    fn technique4_reproduces_the_published_step_sizes() {
        for (sigma_1, levels, t_steps, published) in
            [(50.0, 232, 5, 0.062), (90.0, 500, 5, 0.033), (348.0, 2311, 3, 0.009)]
        {
            let gamma = (sigma_1 / 0.01_f64).powf(1.0 / f64::from(levels - 1));
            let step_size = StepRule::Technique4.step_size(gamma, t_steps);
            assert!((step_size - published).abs() < 5.1e-4, "{levels} levels");
        }
    }

    /// The noise that levels of a data set of one point sustain, simulated: the fixed point's step leaves less of it than
    /// technique 4's, than a tenth more and than a tenth less.
    #[test]
    fn the_fixed_point_leaves_the_least_noise() {
        for (levels, t_steps) in [(60, 4), (240, 4), (1000, 4), (232, 5), (240, 1)] {
            let gamma = 1e4_f64.powf(1.0 / f64::from(levels - 1));
            let sustained = |e: f64| {
                let level =
                    |s: f64, _| (0..t_steps).fold(s * gamma * gamma, |s, _| (1.0 - e).powi(2) * s + 2.0 * e);
                (0..levels).fold(1.0, level)
            };
            let best = StepRule::FixedPoint.step_size(gamma, t_steps);
            for other in [StepRule::Technique4.step_size(gamma, t_steps), 0.9 * best, 1.1 * best] {
                assert!(sustained(best) < sustained(other), "{levels} levels: {best} and {other}");
            }
        }
    }

    #[test]
    fn levels_end_where_ncsns_do() {
        for sde in AnySde::all() {
            let last = sde.sigma(last_time(&*sde));
            let expected = LAST_SIGMA.max(sde.sigma(sde.sampling_eps()));
            assert!((last / expected - 1.0).abs() < 1e-9, "{sde:?}: {last}");
            // An edit of less noise than that has levels all the same.
            let part = sde.until(sde.time_of_sigma(0.012).max(sde.sampling_eps() * 1.5));
            assert!(last_time(&*part) < 1.0, "{sde:?}");
        }
    }
}
