//! What the one-evaluation methods share: the walk down the diffusion's own grid, and how it ends.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::options::{Choice, OptionInfo};
use super::{Chain, Run};
use crate::model::ScoreModel;
use crate::{Result, schedule};

/// What becomes of the noise that is left at the last time, `sampling_eps`, where papers differ: NCSNv2
/// and Score-SDE remove it, NCSN and DDPM's code do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastStep {
    /// The expectation of the data given the last state, `(x + std²·score)/mean_coeff` (Tweedie; Efron
    /// 2011). One NFE. Score-SDE's code takes a predictor step without noise, which is the same for VE
    /// only.
    Denoise,
    /// The last state as it is, divided by `mean_coeff`.
    Keep,
}

impl LastStep {
    pub(super) const OPTION: OptionInfo = OptionInfo::choice(
        "last_step",
        "Last step",
        "Whether the noise that is left at the end is removed.",
        &[Choice { name: "denoise", title: "Denoise" }, Choice { name: "keep", title: "Keep the noise" }],
    );

    /// What it costs.
    pub(super) fn evaluations(self) -> usize {
        usize::from(self == Self::Denoise)
    }

    /// The samples, from the state `x` at the last time `t`.
    pub(super) fn finish(self, model: &ScoreModel, x: Tensor<4>, t: f64) -> Tensor<4> {
        match self {
            Self::Denoise => model.denoised(x, &[t]),
            Self::Keep => x / model.sde.marginal_prob(t).0,
        }
    }
}

/// Declares a sampler that is `$step` and nothing else: its two options and its [`Method`](super::Method).
macro_rules! single_step {
    (
        $(#[$doc:meta])*
        $sampler:ident, $step:path,
        n_steps: $n_steps:literal, name: $name:literal, title: $title:literal, help: $help:literal,
        order: $order:expr, floor_nfe: $floor_nfe:literal, bias: $bias:expr $(,)?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $sampler {
            /// Steps from noise to data, on the diffusion's own grid.
            pub n_steps: usize,
            /// What becomes of the last noise.
            pub last_step: $crate::sampler::LastStep,
        }

        impl Default for $sampler {
            fn default() -> Self {
                Self { n_steps: $n_steps, last_step: $crate::sampler::LastStep::Denoise }
            }
        }

        impl $crate::sampler::Method for $sampler {
            const INFO: $crate::sampler::SamplerInfo = $crate::sampler::SamplerInfo {
                name: $name,
                title: $title,
                help: $help,
                needs: $crate::model::Learned::Score,
                options: &[
                    $crate::sampler::OptionInfo::integer("n_steps", "Steps", "One evaluation each.", 2, 4000),
                    $crate::sampler::LastStep::OPTION,
                ],
            };

            fn evaluations(&self) -> Option<usize> {
                Some(self.n_steps + self.last_step.evaluations())
            }

            fn within(self, nfe: usize) -> Option<Self> {
                Some(Self { n_steps: nfe.checked_sub(self.last_step.evaluations())?, ..self })
            }

            fn claims() -> Vec<$crate::sampler::Claim<Self>> {
                let method = Self::default();
                vec![$crate::sampler::Claim {
                    method,
                    order: $order,
                    floor_nfe: $floor_nfe,
                    bias: $bias,
                    sigma: 0.0,
                }]
            }

            async fn walk(
                &self,
                chain: &mut $crate::sampler::Chain<'_>,
                run: &mut $crate::run::Run<'_>,
            ) -> $crate::Result<Tensor<4>> {
                $crate::sampler::predictor::descend(chain, run, self.n_steps, self.last_step, $step).await
            }
        }
    };
}
pub(super) use single_step;

/// Leads the prior to data: `step(chain, x, t_cur, t_next)` takes the state from one time of the
/// diffusion's grid ([`schedule::natural`]) to the next, `n_steps` times.
pub(super) async fn descend(
    chain: &mut Chain<'_>,
    run: &mut Run<'_>,
    n_steps: usize,
    last_step: LastStep,
    mut step: impl FnMut(&mut Chain<'_>, Tensor<4>, f64, f64) -> Tensor<4>,
) -> Result<Tensor<4>> {
    let model = chain.model;
    let ts = schedule::natural(chain.sde(), n_steps + 1);
    let mut x = chain.prior();
    for (i, pair) in ts.windows(2).enumerate() {
        x = step(chain, x, pair[0], pair[1]);
        let (mean_next, std_next) = model.sde.marginal_prob(pair[1]);
        run.step(model, [i + 1, n_steps], &x, mean_next, std_next / mean_next).await?;
    }
    Ok(last_step.finish(model, x, ts[n_steps]))
}
