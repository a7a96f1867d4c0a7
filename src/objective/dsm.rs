use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Loss, Models, Step};
use crate::ops::{each, per_sample, scale};
use crate::sde::Sde;

/// Continuous denoising score matching (Song et al. 2021, equation 7):
/// `E_t lambda(t)·E |score(x_t, t) - grad log p(x_t | x_0)|²`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dsm {
    /// `lambda(t)`.
    pub weighting: Weighting,
    /// How training times are drawn.
    pub times: TimeDistribution,
}

impl Default for Dsm {
    fn default() -> Self {
        Self { weighting: Weighting::Edm, times: TimeDistribution::LogNormal { mean: 0.3, std: 1.2 } }
    }
}

/// The weight `lambda(t)` of the squared score error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// `lambda = std²`: the mean squared error of the predicted noise (NCSN, DDPM's L_simple).
    Std2,
    /// `lambda = g²`: with uniform times, an upper bound on the negative log-likelihood
    /// (Song et al. 2021b).
    Likelihood,
    /// `lambda = std²·(1 + (sigma/sigma_data)²)`: unit weight on the network's raw output under
    /// EDM's preconditioning (Karras et al. 2022, table 1).
    Edm,
}

/// The distribution of training times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TimeDistribution {
    /// Uniform on `[1e-5, 1]` (Score-SDE).
    Uniform,
    /// `ln(sigma/sigma_data)` normal, cut to the diffusion's range (EDM; its `P_mean = -1.2` is -0.5
    /// here, since its `sigma_data` is 0.5).
    LogNormal {
        /// Mean of `ln(sigma/sigma_data)`.
        mean: f64,
        /// Its standard deviation.
        std: f64,
    },
}

/// Smallest training time (Score-SDE's value).
const T_MIN: f64 = 1e-5;

impl Dsm {
    /// Turns uniform numbers in `[0, 1)` and standard normals, one each per sample, into times.
    pub fn times(&self, sde: &dyn Sde, sigma_data: f64, uniform: &[f64], normal: &[f64]) -> Vec<f64> {
        match self.times {
            TimeDistribution::Uniform => each(uniform, |u| T_MIN + (1.0 - T_MIN) * u),
            TimeDistribution::LogNormal { mean, std } => each(normal, |z| {
                let sigma = sigma_data * (mean + std * z).exp();
                sde.time_of_sigma(sigma).clamp(T_MIN, 1.0)
            }),
        }
    }

    /// `lambda(t)`.
    fn lambda(&self, sde: &dyn Sde, sigma_data: f64, t: f64) -> f64 {
        let (_, std) = sde.marginal_prob(t);
        match self.weighting {
            Weighting::Std2 => std * std,
            Weighting::Likelihood => sde.diffusion(t).powi(2),
            Weighting::Edm => std * std * (1.0 + (sde.sigma(t) / sigma_data).powi(2)),
        }
    }
}

impl Loss for Dsm {
    /// Written with the denoised image `D`: since `score error = mean_coeff·(D - x_0)/std²`, the weighted error is
    /// `lambda/(std·sigma)²·|D - x_0|²`.
    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let model = models.student;
        let (uniform, normal) = step.levels();
        let t = self.times(&*model.sde, step.sigma_data, &uniform, &normal);
        let sigma = each(&t, |t| model.sde.sigma(t));
        let weight = each(&t, |t| {
            let (_, std) = model.sde.marginal_prob(t);
            self.lambda(&*model.sde, step.sigma_data, t) / (std * model.sde.sigma(t)).powi(2)
        });
        let noisy = step.x0.clone() + scale(step.noise(), &sigma);
        let dropout = step.masks();
        let error = model.forward(noisy, &sigma, step.context(&dropout)) - step.x0.clone();
        let [b, c, h, w] = error.dims();
        // The root of the weight goes inside the square: its own square can leave the range of f32.
        let root = per_sample(&each(&weight, f64::sqrt), &error.device());
        let weighted = error * root;
        (weighted.clone() * weighted).reshape([b, c * h * w]).mean_dim(1).reshape([b])
    }
}
