use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::options::Choice;
use super::predictor::{LastStep, descend};
use super::{Chain, Claim, Method, OptionInfo, Order, Run, SamplerInfo};
use crate::Result;
use crate::model::Learned;
use crate::ops::sum;

/// Ancestral sampling: DDPM's chain for VP, SMLD's for VE (Ho et al. 2020, algorithm 2; Song et al. 2021,
/// equations 4 and 47).
///
/// If the forward chain goes from `t_next` to `t_cur` by `x_cur = a·x_next + b·z`
/// ([`Sde::transition`](crate::sde::Sde::transition)), the posterior of `x_next` given `x_cur` and the
/// denoised image is normal with mean `(x + b²·score)/a` and variance `b²·std_next²/std_cur²`, for every
/// diffusion with a linear drift (Kingma et al. 2021, appendix A.2), sub-VP and EDM's among them. VP:
/// `b² = beta_i`, `a² = 1 - beta_i`; VE: `a = 1`, `b² = sigma_i² - sigma_(i-1)²`. Weak order 1. Costs
/// `n_steps` NFE, one more with the last denoising, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ancestral {
    /// Steps from noise to data, on the diffusion's own grid.
    pub n_steps: usize,
    /// How much noise each step adds.
    pub variance: Variance,
    /// What becomes of the last noise.
    pub last_step: LastStep,
}

/// The variance of one step back: the two that Ho et al. 2020 choose from (section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// `b²·std_next²/std_cur²`, the posterior's: the true one for a single data point, SMLD's choice.
    BetaTilde,
    /// `b²`, the forward chain's: nearly the true one for data distributed like the prior.
    Beta,
}

impl Default for Ancestral {
    fn default() -> Self {
        Self { n_steps: 200, variance: Variance::BetaTilde, last_step: LastStep::Denoise }
    }
}

impl Method for Ancestral {
    const INFO: SamplerInfo = SamplerInfo {
        name: "ancestral",
        title: "Ancestral",
        help: "Each step draws from what the forward chain leaves possible (DDPM, 2020).",
        needs: Learned::Score,
        options: &[
            OptionInfo::integer("n_steps", "Steps", "One evaluation each.", 2, 4000),
            OptionInfo::choice(
                "variance",
                "Variance",
                "The noise that a step adds.",
                &[
                    Choice { name: "beta_tilde", title: "Posterior (beta tilde)" },
                    Choice { name: "beta", title: "Forward (beta)" },
                ],
            ),
            LastStep::OPTION,
        ],
    };

    fn evaluations(&self) -> Option<usize> {
        Some(self.n_steps + self.last_step.evaluations())
    }

    fn within(self, nfe: usize) -> Option<Self> {
        Some(Self { n_steps: nfe.checked_sub(self.last_step.evaluations())?, ..self })
    }

    fn claims() -> Vec<Claim<Self>> {
        let of = |variance| {
            let method = Self { variance, ..Self::default() };
            Claim { method, order: Order::Weak(1), floor_nfe: 200, bias: (501, 0.06), sigma: 0.0 }
        };
        vec![of(Variance::BetaTilde), of(Variance::Beta)]
    }

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let step = |chain: &mut Chain<'_>, x, t_cur, t_next| step(chain, x, t_cur, t_next, self.variance);
        descend(chain, run, self.n_steps, self.last_step, step).await
    }
}

pub(super) fn step(
    chain: &mut Chain<'_>,
    x: Tensor<4>,
    t_cur: f64,
    t_next: f64,
    variance: Variance,
) -> Tensor<4> {
    let (a, b_sq) = chain.sde().transition(t_next, t_cur);
    let std = match variance {
        Variance::Beta => b_sq.sqrt(),
        Variance::BetaTilde => {
            b_sq.sqrt() * chain.sde().marginal_prob(t_next).1 / chain.sde().marginal_prob(t_cur).1
        }
    };
    let score = chain.model.score(x.clone(), &[t_cur]);
    sum([(1.0 / a, x), (b_sq / a, score), (std, chain.noise())])
}
