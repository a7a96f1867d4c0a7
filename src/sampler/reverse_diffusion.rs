use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::predictor::{LastStep, descend};
use super::{Chain, Method, OptionInfo, Run, SamplerInfo};
use crate::Result;

/// The reverse-time SDE, discretised as the forward one is (Song et al. 2021, equation 46 and algorithms 2
/// and 3).
///
/// If the forward chain goes from `t_next` to `t_cur` by `x_cur = a·x_next + b·z`
/// ([`Sde::transition`](crate::sde::Sde::transition)), one step back is
/// `x ← (2 - a)·x + b²·score + b·z`. Weak order 1. Costs `n_steps` NFE, one more with the last denoising,
/// counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReverseDiffusion {
    /// Steps from noise to data, on the diffusion's own grid.
    pub n_steps: usize,
    /// What becomes of the last noise.
    pub last_step: LastStep,
}

impl Default for ReverseDiffusion {
    fn default() -> Self {
        Self { n_steps: 200, last_step: LastStep::Denoise }
    }
}

impl Method for ReverseDiffusion {
    const INFO: SamplerInfo = SamplerInfo {
        name: "reverse_diffusion",
        title: "Reverse diffusion",
        help: "The reverse-time SDE, discretised as its forward process (Score-SDE, 2021).",
        options: &[
            OptionInfo::integer("n_steps", "Steps", "One evaluation each.", 2, 4000),
            LastStep::OPTION,
        ],
    };

    fn evaluations(&self) -> Option<usize> {
        Some(self.n_steps + self.last_step.evaluations())
    }

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        descend(chain, run, self.n_steps, self.last_step, step).await
    }
}

pub(super) fn step(chain: &mut Chain<'_>, x: Tensor<4>, t_cur: f64, t_next: f64) -> Tensor<4> {
    let (a, b_sq) = chain.sde().transition(t_next, t_cur);
    let score = chain.model.score(x.clone(), &[t_cur]);
    x * (2.0 - a) + score * b_sq + chain.noise() * b_sq.sqrt()
}
