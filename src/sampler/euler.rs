use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::predictor::{LastStep, descend};
use super::{Chain, Method, OptionInfo, Run, SamplerInfo};
use crate::Result;

/// Euler's rule on the probability-flow ODE in time (Song et al. 2021, equation 13 and appendix D.3).
///
/// `x ← x + (f·x - g²·score/2)·(t_next - t_cur)`, everything at `t_cur`. Order 1. For EDM's diffusion this
/// is the Euler step of Karras et al. 2022 and the same as [`Ddim`](super::Ddim); for the others DDIM is
/// the better Euler step, since it knows the linear part. Costs `n_steps` NFE, one more with the last
/// denoising, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Euler {
    /// Steps from noise to data, on the diffusion's own grid.
    pub n_steps: usize,
    /// What becomes of the last noise.
    pub last_step: LastStep,
}

impl Default for Euler {
    fn default() -> Self {
        Self { n_steps: 100, last_step: LastStep::Denoise }
    }
}

impl Method for Euler {
    const INFO: SamplerInfo = SamplerInfo {
        name: "euler",
        title: "Euler ODE",
        help: "The probability-flow ODE with fixed first-order steps, the simplest deterministic sampler.",
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

fn step(chain: &mut Chain<'_>, x: Tensor<4>, t_cur: f64, t_next: f64) -> Tensor<4> {
    let (drift, dt) = (chain.sde().probability_flow(t_cur), t_next - t_cur);
    let score = chain.model.score(x.clone(), &[t_cur]);
    x * (1.0 + drift.x * dt) + score * (drift.score * dt)
}
