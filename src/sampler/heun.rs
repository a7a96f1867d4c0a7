use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Chain, Claim, Method, OptionInfo, Order, Run, SamplerInfo};
use crate::model::Learned;
use crate::ops::sum;
use crate::sde::Sde;
use crate::{Error, Result, schedule};

/// Heun's rule on the probability-flow ODE with fixed steps, with fresh noise if asked (Karras et al. 2022,
/// algorithms 1 and 2).
///
/// Solves `d x/d sigma = (x - D(x; sigma))/sigma` for `x = x_t/mean_coeff` on Karras's grid of noise
/// levels; the last step, to noise zero, is Euler's and lands on the denoised image. Order 2. With
/// `s_churn > 0` every step whose level is within `s_tmin` and `s_tmax` first raises it to
/// `sigma_hat = sigma·(1 + min(s_churn/n_steps, sqrt(2) - 1))` by noise of deviation
/// `s_noise·sqrt(sigma_hat² - sigma²)`, but never above the model's largest level (the reference code asks
/// the network beyond what it was trained for). Costs `2·n_steps - 1` NFE, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Heun {
    /// Steps from noise to data.
    pub n_steps: usize,
    /// Exponent of the grid: larger values spend more steps at low noise.
    pub rho: f64,
    /// Amount of fresh noise over all steps; 0 is deterministic.
    pub s_churn: f64,
    /// Smallest noise level that is raised, in data units.
    pub s_tmin: f64,
    /// Largest noise level that is raised.
    pub s_tmax: f64,
    /// Deviation of the fresh noise; slightly above 1 makes up for what a network denoises too much.
    pub s_noise: f64,
}

impl Default for Heun {
    fn default() -> Self {
        Self { n_steps: 18, rho: 7.0, s_churn: 0.0, s_tmin: 0.0, s_tmax: LARGEST, s_noise: 1.0 }
    }
}

/// Above every noise level: the paper's infinity, which JSON has not.
const LARGEST: f64 = 1e6;

impl Method for Heun {
    const INFO: SamplerInfo = SamplerInfo {
        name: "heun",
        title: "Heun ODE",
        help: "The probability-flow ODE with fixed second-order steps: good images in few evaluations (EDM, 2022).",
        needs: Learned::Score,
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
            OptionInfo::real(
                "s_churn",
                "Fresh noise",
                "Over all steps (S_churn); 0 is deterministic, EDM's best values are 30 to 80.",
                0.0,
                1000.0,
                5.0,
            ),
            OptionInfo::real(
                "s_tmin",
                "Fresh noise from",
                "Lowest noise level (S_tmin).",
                0.0,
                LARGEST,
                0.05,
            ),
            OptionInfo::real(
                "s_tmax",
                "Fresh noise up to",
                "Highest noise level (S_tmax).",
                0.0,
                LARGEST,
                1.0,
            ),
            OptionInfo::real(
                "s_noise",
                "Scale of fresh noise",
                "S_noise, 1.003 to 1.007 in EDM.",
                0.5,
                1.5,
                0.001,
            ),
        ],
    };

    fn evaluations(&self) -> Option<usize> {
        Some(2 * self.n_steps - 1)
    }

    fn within(self, nfe: usize) -> Option<Self> {
        Some(Self { n_steps: nfe.div_ceil(2), ..self })
    }

    fn check(&self) -> Result<()> {
        match self.s_tmin <= self.s_tmax {
            true => Ok(()),
            false => Err(Error::config(
                "s_tmin, s_tmax",
                format!("= {}, {} leave no noise level for fresh noise", self.s_tmin, self.s_tmax),
                "use s_tmin <= s_tmax, or s_churn = 0 for none",
            )),
        }
    }

    fn claims() -> Vec<Claim<Self>> {
        let of = |s_churn, order, floor_nfe, bias| {
            let method = Self { s_churn, ..Self::default() };
            Claim { method, order, floor_nfe, bias: (119, bias), sigma: 0.0 }
        };
        vec![of(0.0, Order::Ode(2), 50, 0.01), of(40.0, Order::None, 100, 0.06)]
    }

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let model = chain.model;
        let ts = schedule::karras(chain.sde(), 1.0, chain.sde().sampling_eps(), self.n_steps, self.rho);
        let mean = |t: f64| model.sde.marginal_prob(t).0;
        let mut x = chain.prior() / mean(1.0);
        for (i, t_cur) in ts.iter().enumerate() {
            let (t_hat, sigma_hat) = self.raised(&*model.sde, *t_cur);
            let sigma_cur = model.sde.sigma(*t_cur);
            if sigma_hat > sigma_cur {
                let std = self.s_noise * (sigma_hat * sigma_hat - sigma_cur * sigma_cur).sqrt();
                x = sum([(1.0, x), (std, chain.noise())]);
            }
            let d_cur = model.eps(x.clone() * mean(t_hat), &[t_hat]);
            let sigma_next = ts.get(i + 1).map_or(0.0, |t| model.sde.sigma(*t));
            let h = sigma_next - sigma_hat;
            let x_next = sum([(1.0, x.clone()), (h, d_cur.clone())]);
            x = match ts.get(i + 1) {
                None => x_next,
                Some(t_next) => {
                    let d_next = model.eps(x_next * mean(*t_next), &[*t_next]);
                    sum([(1.0, x), (h / 2.0, d_cur), (h / 2.0, d_next)])
                }
            };
            run.step(model, [i + 1, self.n_steps], &x, 1.0, sigma_next).await?;
        }
        Ok(x)
    }
}

impl Heun {
    /// The time and noise level to which a step from `t_cur` raises the noise, or `t_cur`'s own.
    fn raised(&self, sde: &dyn Sde, t_cur: f64) -> (f64, f64) {
        let sigma_cur = sde.sigma(t_cur);
        let gamma = (self.s_churn / self.n_steps as f64).min(2.0_f64.sqrt() - 1.0);
        let sigma_hat = (sigma_cur * (1.0 + gamma)).min(sde.sigma(1.0));
        match (self.s_tmin..=self.s_tmax).contains(&sigma_cur) && sigma_hat > sigma_cur {
            true => (sde.time_of_sigma(sigma_hat), sigma_hat),
            false => (t_cur, sigma_cur),
        }
    }
}
