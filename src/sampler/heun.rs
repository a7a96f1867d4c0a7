use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Chain, Method, OptionInfo, Run, SamplerInfo};
use crate::{Result, schedule};

/// Heun's rule on the probability-flow ODE with fixed steps (Karras et al. 2022, algorithm 1 without
/// churn).
///
/// Solves `d x/d sigma = (x - D(x; sigma))/sigma` for `x = x_t/mean_coeff` on Karras's grid of noise
/// levels; the last step, to noise zero, is Euler's and lands on the denoised image. Order 2. Costs
/// `2·n_steps - 1` NFE, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Heun {
    /// Steps from noise to data.
    pub n_steps: usize,
    /// Exponent of the grid: larger values spend more steps at low noise.
    pub rho: f64,
}

impl Default for Heun {
    fn default() -> Self {
        Self { n_steps: 18, rho: 7.0 }
    }
}

impl Method for Heun {
    const INFO: SamplerInfo = SamplerInfo {
        name: "heun",
        title: "Heun ODE",
        help: "The probability-flow ODE with fixed second-order steps: good images in few evaluations (EDM, 2022).",
        options: &[
            OptionInfo::integer("n_steps", "Steps", "Two evaluations each, one for the last.", 1, 1000),
            OptionInfo::real(
                "rho",
                "Grid exponent",
                "Larger values spend more steps at low noise.",
                1.0,
                20.0,
                0.5,
            ),
        ],
    };

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let model = chain.model;
        let ts = schedule::karras(chain.sde(), 1.0, chain.sde().sampling_eps(), self.n_steps, self.rho);
        let mean = |t: f64| model.sde.marginal_prob(t).0;
        let mut x = chain.prior() / mean(1.0);
        for (i, t_cur) in ts.iter().enumerate() {
            let sigma_cur = model.sde.sigma(*t_cur);
            let d_cur = model.eps(x.clone() * mean(*t_cur), &[*t_cur]);
            let sigma_next = ts.get(i + 1).map_or(0.0, |t| model.sde.sigma(*t));
            let x_next = x.clone() + d_cur.clone() * (sigma_next - sigma_cur);
            x = match ts.get(i + 1) {
                None => x_next,
                Some(t_next) => {
                    let d_next = model.eps(x_next * mean(*t_next), &[*t_next]);
                    x + (d_cur + d_next) * (0.5 * (sigma_next - sigma_cur))
                }
            };
            run.step(model, [i + 1, self.n_steps], &x, 1.0, sigma_next).await?;
        }
        Ok(x)
    }
}
