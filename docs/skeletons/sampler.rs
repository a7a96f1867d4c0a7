use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Chain, Claim, Method, OptionInfo, Order, Run, SamplerInfo};
use crate::model::Learned;
use crate::ops::sum;
use crate::{Result, schedule};

/// The midpoint rule on the probability-flow ODE in the noise level.
///
/// `x ← x + h·eps(x + h/2·eps(x; sigma); sigma + h/2)` with `h = sigma_next - sigma` for `x = x_t/mean_coeff` on Karras's
/// grid; the last step, to noise zero, is Euler's. Say here: the equation and its source, the order, and the cost.
/// Order 2. Costs `2·n_steps - 1` NFE, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Midpoint {
    /// Steps from noise to data.
    pub n_steps: usize,
}

impl Default for Midpoint {
    fn default() -> Self {
        Self { n_steps: 18 }
    }
}

impl Method for Midpoint {
    const INFO: SamplerInfo = SamplerInfo {
        name: "midpoint",
        title: "Midpoint ODE",
        help: "The probability-flow ODE by the midpoint rule.",
        needs: Learned::Score,
        options: &[OptionInfo::integer(
            "n_steps",
            "Steps",
            "Two evaluations each, one for the last.",
            1,
            1000,
        )],
    };

    fn evaluations(&self) -> Option<usize> {
        Some(2 * self.n_steps - 1)
    }

    fn within(self, nfe: usize) -> Option<Self> {
        Some(Self { n_steps: nfe.div_ceil(2) })
    }

    fn claims() -> Vec<Claim<Self>> {
        let method = Self::default();
        vec![Claim { method, order: Order::Ode(2), floor_nfe: 50, bias: (119, 0.01), sigma: 0.0 }]
    }

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let model = chain.model;
        let ts = schedule::karras(chain.sde(), 1.0, chain.sde().sampling_eps(), self.n_steps, 7.0);
        let eps = |x: Tensor<4>, t: f64| model.eps(x * model.sde.marginal_prob(t).0, &[t]);
        let mut x = chain.prior() / model.sde.marginal_prob(1.0).0;
        for (i, t) in ts.iter().enumerate() {
            let sigma = model.sde.sigma(*t);
            let sigma_next = ts.get(i + 1).map_or(0.0, |t| model.sde.sigma(*t));
            let h = sigma_next - sigma;
            let slope = eps(x.clone(), *t);
            x = match sigma_next > 0.0 {
                false => sum([(1.0, x), (h, slope)]),
                true => {
                    let between = sum([(1.0, x.clone()), (h / 2.0, slope)]);
                    sum([(1.0, x), (h, eps(between, model.sde.time_of_sigma(sigma + h / 2.0)))])
                }
            };
            run.step(model, [i + 1, self.n_steps], &x, 1.0, sigma_next).await?;
        }
        Ok(x)
    }
}
