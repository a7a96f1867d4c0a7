use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::options::Choice;
use super::{Chain, Claim, Method, OptionInfo, Order, Run, SamplerInfo};
use crate::model::Learned;
use crate::ops::sum;
use crate::sde::Sde;
use crate::{Error, Result, schedule};

/// DPM-Solver++(2M): the probability-flow ODE with second-order steps that cost one evaluation each
/// (Lu et al. 2022b, algorithm 2).
///
/// In `lambda = -ln sigma` and for `x = x_t/mean_coeff`, the ODE is linear but for the denoised image `D`,
/// which is extrapolated from the last two: with `h` the step in `lambda` and `r = h_last/h`,
/// `x ← (sigma_next/sigma_cur)·x + (1 - exp(-h))·((1 + 1/2r)·D - 1/2r·D_last)`. The first step and the
/// last, to noise zero, are of first order (as in the paper's code; the last lands on the denoised image).
/// Order 2. Costs `n_steps` NFE, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DpmSolver2M {
    /// Steps from noise to data.
    pub n_steps: usize,
    /// Where the steps are.
    pub grid: NoiseGrid,
}

/// Where the noise levels of a deterministic sampler lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseGrid {
    /// Equal steps of `sigma^(1/7)` (Karras et al. 2022, equation 5).
    Karras,
    /// Equal steps of the logarithm of the signal-to-noise ratio (Lu et al. 2022).
    LogSnr,
    /// Equal steps of time, for diffusions whose authors step so.
    Time,
}

impl NoiseGrid {
    fn times(self, sde: &dyn Sde, n_levels: usize) -> Result<Vec<f64>> {
        let (first, last) = (1.0, sde.sampling_eps());
        match self {
            Self::Karras => Ok(schedule::karras(sde, first, last, n_levels, 7.0)),
            Self::LogSnr => Ok(schedule::geometric(sde, first, last, n_levels)),
            Self::Time if sde.grid_exponent().is_some() => Err(Error::config(
                "grid",
                "= time makes all but the last step of this model at noise that hides the data",
                "use karras or log_snr",
            )),
            Self::Time => Ok(schedule::uniform(first, last, n_levels)),
        }
    }
}

impl Default for DpmSolver2M {
    fn default() -> Self {
        Self { n_steps: 20, grid: NoiseGrid::Karras }
    }
}

impl Method for DpmSolver2M {
    const INFO: SamplerInfo = SamplerInfo {
        name: "dpmpp_2m",
        title: "DPM-Solver++ 2M",
        help: "Second-order steps that remember the last evaluation: good images in the fewest evaluations (2022).",
        needs: Learned::Score,
        options: &[
            OptionInfo::integer("n_steps", "Steps", "One evaluation each.", 1, 1000),
            OptionInfo::choice(
                "grid",
                "Noise levels",
                "Where the steps are taken.",
                &[
                    Choice { name: "karras", title: "Karras" },
                    Choice { name: "log_snr", title: "Equal in log-SNR" },
                    Choice { name: "time", title: "Equal in time" },
                ],
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
        let of = |grid, floor_nfe| {
            let method = Self { grid, ..Self::default() };
            Claim { method, order: Order::Ode(2), floor_nfe, bias: (60, 0.01), sigma: 0.0 }
        };
        vec![of(NoiseGrid::Karras, 50), of(NoiseGrid::LogSnr, 20)]
    }

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let model = chain.model;
        let ts = self.grid.times(chain.sde(), self.n_steps)?;
        let mean = |t: f64| model.sde.marginal_prob(t).0;
        let mut x = chain.prior() / mean(1.0);
        let mut last: Option<(Tensor<4>, f64)> = None;
        for (i, t_cur) in ts.iter().enumerate() {
            let denoised = model.denoised(x.clone() * mean(*t_cur), &[*t_cur]);
            let sigma_next = ts.get(i + 1).map_or(0.0, |t| model.sde.sigma(*t));
            let ratio = sigma_next / model.sde.sigma(*t_cur);
            let h = -ratio.ln();
            let rest = 1.0 - ratio;
            x = match last {
                Some((last, h_last)) if sigma_next > 0.0 => {
                    let weight = h / (2.0 * h_last);
                    sum([(ratio, x), (rest * (1.0 + weight), denoised.clone()), (-rest * weight, last)])
                }
                _ => sum([(ratio, x), (rest, denoised.clone())]),
            };
            last = Some((denoised, h));
            run.step(model, [i + 1, self.n_steps], &x, 1.0, sigma_next).await?;
        }
        Ok(x)
    }
}
