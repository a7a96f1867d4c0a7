use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::predictor::LastStep;
use super::{Chain, Claim, Method, OptionInfo, Order, Run, SamplerInfo};
use crate::model::{Learned, ScoreModel};
use crate::ops::sum;
use crate::{Result, schedule};

/// Annealed Langevin dynamics (Song and Ermon 2019, algorithm 1; 2020, algorithm 1).
///
/// At each of `n_levels` geometric noise levels, `n_steps_each` steps
/// `x ← x + alpha·score + sqrt(2·alpha)·z` with `alpha_i = step·sigma_i²`, where `step` is the papers'
/// `epsilon/sigma_L²`. Works on `x_t/mean_coeff`, so that VE and VP are the same walk. Ends with a
/// denoising step (Tweedie), as NCSNv2 does and NCSN does not. Costs `n_levels·n_steps_each + 1` NFE, one
/// less without the last denoising, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnnealedLangevin {
    /// Number of noise levels, L.
    pub n_steps: usize,
    /// Langevin steps at each level, T.
    pub n_steps_each: usize,
    /// Step size relative to the variance of the level's noise; 0 chooses it by NCSNv2's technique 4.
    pub step_size: f64,
    /// What becomes of the last noise.
    pub last_step: LastStep,
}

impl Default for AnnealedLangevin {
    fn default() -> Self {
        Self { n_steps: 60, n_steps_each: 4, step_size: 0.0, last_step: LastStep::Denoise }
    }
}

/// The step size that keeps the noise of `x` nearest to that of its level (Song and Ermon 2020,
/// technique 4), relative to the level's variance, for `t_steps` steps and a ratio `gamma` of levels.
///
/// After `T` steps the variance is `(1 - e)^2T·(gamma² - q) + q` times the level's, with
/// `q = 2e/(1 - (1 - e)²)`. It never reaches 1; the minimiser comes nearest.
pub fn technique4(gamma: f64, t_steps: usize) -> f64 {
    let excess = |e: f64| {
        let q = 2.0 * e / (1.0 - (1.0 - e).powi(2));
        (1.0 - e).powi(2 * t_steps as i32) * (gamma * gamma - q) + q
    };
    let grid = (1..1000).map(|i| f64::from(i) * 1e-3);
    grid.min_by(|a, b| excess(*a).total_cmp(&excess(*b))).unwrap_or(0.1)
}

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
                "Relative to the variance of the level's noise; 0 chooses it (NCSNv2, technique 4).",
                0.0,
                1.0,
                0.01,
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
        // With a step size of its own: technique 4 makes the steps smaller as the levels become more, so that the time
        // spent on each e-fold of noise stays the same, and with it the distance from equilibrium.
        let method = Self { n_steps_each: 40, step_size: 0.1, ..Self::default() };
        vec![Claim { method, order: Order::None, floor_nfe: 4001, bias: (4001, 0.03), sigma: 0.0 }]
    }

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let model = chain.model;
        let ts = schedule::geometric(chain.sde(), 1.0, chain.sde().sampling_eps(), self.n_steps);
        let sigmas: Vec<f64> = ts.iter().map(|t| chain.sde().sigma(*t)).collect();
        let step_size = match self.step_size {
            0.0 => technique4(sigmas[0] / sigmas[1], self.n_steps_each),
            chosen => chosen,
        };
        let total = self.n_steps * self.n_steps_each;
        let mut x = chain.prior() / chain.sde().marginal_prob(1.0).0;
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

/// The noise in `x = x_t/mean_coeff`; divided by `-sigma` it is the score.
fn eps(model: &ScoreModel, x: Tensor<4>, t: f64) -> Tensor<4> {
    model.eps(x * model.sde.marginal_prob(t).0, &[t])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NCSNv2's published step sizes: CIFAR-10 (sigma 50 to 0.01, L 232, T 5) 6.2e-6, CelebA (90, 500,
    /// 5) 3.3e-6, FFHQ (348, 2311, 3) 9e-7; here divided by sigma_L² = 1e-4.
    #[test]
    fn technique4_reproduces_the_published_step_sizes() {
        for (sigma_1, levels, t_steps, published) in
            [(50.0, 232, 5, 0.062), (90.0, 500, 5, 0.033), (348.0, 2311, 3, 0.009)]
        {
            let gamma = (sigma_1 / 0.01_f64).powf(1.0 / f64::from(levels - 1));
            assert!((technique4(gamma, t_steps) - published).abs() < 5.1e-4, "{levels} levels");
        }
    }
}
