use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Chain, Claim, Method, OptionInfo, Order, Run, SamplerInfo};
use crate::model::Learned;
use crate::ops::sum;
use crate::{Result, schedule};

/// Denoising diffusion implicit models (Song, Meng and Ermon 2021, equations 12 and 16).
///
/// `x ← mean_next·D + sqrt(std_next² - s²)·eps + s·z` with the denoised image `D` and
/// `s = eta·sqrt(beta_tilde)`, the ancestral sampler's deviation. `eta = 0` is deterministic and Euler's rule
/// on the probability-flow ODE in the noise level, `d(x/mean) = eps·d sigma`; `eta = 1` is
/// [`Ancestral`](super::Ancestral) sampling. The paper has VP, the rule holds for any linear drift. The last
/// step, to noise zero, lands on the denoised image. Order 1. Costs `n_steps` NFE, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ddim {
    /// Steps from noise to data, on the diffusion's own grid.
    pub n_steps: usize,
    /// Share of the ancestral sampler's noise.
    pub eta: f64,
}

impl Default for Ddim {
    fn default() -> Self {
        Self { n_steps: 50, eta: 0.0 }
    }
}

impl Method for Ddim {
    const INFO: SamplerInfo = SamplerInfo {
        name: "ddim",
        title: "DDIM",
        help: "Steps straight towards the denoised image, with as much fresh noise as asked (DDIM, 2021).",
        needs: Learned::Score,
        options: &[
            OptionInfo::integer("n_steps", "Steps", "One evaluation each.", 1, 4000),
            OptionInfo::real(
                "eta",
                "Fresh noise (eta)",
                "0 is deterministic, 1 adds as much as ancestral sampling.",
                0.0,
                1.0,
                0.1,
            ),
        ],
    };

    fn evaluations(&self) -> Option<usize> {
        Some(self.n_steps)
    }

    fn within(self, nfe: usize) -> Option<Self> {
        Some(Self { n_steps: nfe, ..self })
    }

    fn claims() -> Vec<Claim<Self>> {
        let of = |eta, order, floor_nfe| {
            let method = Self { eta, ..Self::default() };
            Claim { method, order, floor_nfe, bias: (500, 0.04), sigma: 0.0 }
        };
        vec![of(0.0, Order::Ode(1), 100), of(0.5, Order::Weak(1), 200)]
    }

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let model = chain.model;
        let ts = schedule::natural(chain.sde(), self.n_steps);
        let mut x = chain.prior();
        for (i, pair) in ts.windows(2).enumerate() {
            let (t_cur, t_next) = (pair[0], pair[1]);
            let (_, std_cur) = chain.sde().marginal_prob(t_cur);
            let (mean_next, std_next) = chain.sde().marginal_prob(t_next);
            let (a, b_sq) = chain.sde().transition(t_next, t_cur);
            let eps = model.eps(x.clone(), &[t_cur]);
            let s = self.eta * b_sq.sqrt() * std_next / std_cur;
            // mean_next·D = x/a - mean_next·sigma_cur·eps, and mean_next·sigma_cur = std_cur/a.
            let of_eps = (std_next * std_next - s * s).sqrt() - std_cur / a;
            x = match s > 0.0 {
                true => sum([(1.0 / a, x), (of_eps, eps), (s, chain.noise())]),
                false => sum([(1.0 / a, x), (of_eps, eps)]),
            };
            run.step(model, [i + 1, self.n_steps], &x, mean_next, std_next / mean_next).await?;
        }
        let x = model.denoised(x, &[ts[self.n_steps - 1]]);
        run.step(model, [self.n_steps; 2], &x, 1.0, 0.0).await?;
        Ok(x)
    }
}
