use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::predictor::LastStep;
use super::{Chain, Claim, Method, OptionInfo, Order, Run, SamplerInfo};
use crate::model::Learned;
use crate::ops::sum;
use crate::{Error, Result};

/// Langevin dynamics at one noise level (Song and Ermon 2019, equation 4): what annealing improves on.
///
/// `x ← x + alpha·score + sqrt(2·alpha)·z` with `alpha = step_size·sigma²` leads to the density of the data
/// with noise `sigma`, not to the data's own, and crosses between distant modes only if `sigma` is large.
/// Starts from noise around the middle of the data's range. The chain has no order in the number of steps:
/// it keeps a bias of order `alpha`. Costs `n_steps` NFE, one more with the last denoising, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Langevin {
    /// Steps.
    pub n_steps: usize,
    /// The noise level, in data units.
    pub sigma: f64,
    /// Step size relative to the variance of the noise.
    pub step_size: f64,
    /// What becomes of the noise in the end.
    pub last_step: LastStep,
}

impl Default for Langevin {
    fn default() -> Self {
        Self { n_steps: 200, sigma: 0.3, step_size: 0.2, last_step: LastStep::Denoise }
    }
}

impl Method for Langevin {
    const INFO: SamplerInfo = SamplerInfo {
        name: "langevin",
        title: "Langevin, one noise level",
        help: "Langevin steps without annealing: shows why NCSN lowers its noise step by step (2019).",
        needs: Learned::Score,
        options: &[
            OptionInfo::integer("n_steps", "Steps", "One evaluation each.", 1, 10_000),
            OptionInfo::real("sigma", "Noise level", "In units of the data.", 1e-4, 1e4, 0.05),
            OptionInfo::real(
                "step_size",
                "Step size",
                "Relative to the variance of the noise.",
                1e-4,
                1.0,
                0.01,
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

    /// At a noise of half the distance between the modes: with half of that, the chains have not forgotten where they
    /// started after as many steps.
    fn claims() -> Vec<Claim<Self>> {
        let method = Self { sigma: 1.0, step_size: 0.1, last_step: LastStep::Keep, ..Self::default() };
        vec![Claim { method, order: Order::None, floor_nfe: 600, bias: (600, 0.06), sigma: 1.0 }]
    }

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let model = chain.model;
        let (lowest, highest) = (model.sde.sigma(model.sde.sampling_eps()), model.sde.sigma(1.0));
        if !(lowest..=highest).contains(&self.sigma) {
            return Err(Error::config(
                "sigma",
                format!("= {} is no noise level of this model", self.sigma),
                format!("use {lowest:.3} to {highest:.1}"),
            ));
        }
        let t = model.sde.time_of_sigma(self.sigma);
        let (mean_coeff, _) = model.sde.marginal_prob(t);
        let alpha = self.step_size * self.sigma * self.sigma;
        let (middle, half) =
            ((model.range.high + model.range.low) / 2.0, (model.range.high - model.range.low) / 2.0);
        // The variance of NCSN's uniform start, and the level's.
        let mut x = chain.noise() * (half * half / 3.0 + self.sigma * self.sigma).sqrt() + middle;
        for i in 1..=self.n_steps {
            let score = model.score(x.clone() * mean_coeff, &[t]);
            x = sum([(1.0, x), (alpha * mean_coeff, score), ((2.0 * alpha).sqrt(), chain.noise())]);
            run.step(model, [i, self.n_steps], &x, 1.0, self.sigma).await?;
        }
        Ok(self.last_step.finish(model, x * mean_coeff, t))
    }
}
