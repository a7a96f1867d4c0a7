use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::denoise::denoising;
use super::{Loss, Models, Step, require};
use crate::Result;
use crate::ops::each;
use crate::rng::normal_cdf;
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
    /// Images of the training set with which each noisy image is compared, to know better what it is expected to be
    /// (stable target field, [`References`](super::References)); with 0 it is expected to be what it was made of. What is
    /// learned is the same, at large noise from far fewer steps; the loss no longer counts what cannot be known.
    pub references: usize,
}

impl Default for Dsm {
    fn default() -> Self {
        let times = TimeDistribution::LogNormal { mean: 0.3, std: 1.2 };
        Self { weighting: Weighting::Edm, times, references: 0 }
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
    /// `ln(sigma/sigma_data)` normal, truncated to the diffusion's range (EDM; its `P_mean = -1.2` is -0.5
    /// here, since its `sigma_data` is 0.5).
    LogNormal {
        /// Mean of `ln(sigma/sigma_data)`.
        mean: f64,
        /// Its standard deviation.
        std: f64,
    },
}

/// Smallest training time (Score-SDE's value).
pub(super) const T_MIN: f64 = 1e-5;

impl Dsm {
    /// Turns uniform numbers in `[0, 1)` and standard normals, one each per sample, into times.
    ///
    /// A normal that leads out of the diffusion's range is drawn again, inside of it, from the uniform number: so a
    /// time stays a function of its two numbers.
    pub fn times(&self, sde: &dyn Sde, sigma_data: f64, uniform: &[f64], normal: &[f64]) -> Vec<f64> {
        match self.times {
            TimeDistribution::Uniform => each(uniform, |u| T_MIN + (1.0 - T_MIN) * u),
            TimeDistribution::LogNormal { mean, std } => {
                let below = |t: f64| normal_cdf(((sde.sigma(t) / sigma_data).ln() - mean) / std);
                let time = |(u, z): (&f64, &f64)| {
                    let t = sde.time_of_sigma(sigma_data * (mean + std * z).exp());
                    if (T_MIN..=1.0).contains(&t) { t } else { time_below(*u, below) }
                };
                uniform.iter().zip(normal).map(time).collect()
            }
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

/// The time in `[T_MIN, 1]` of which a share `u` of the distribution function `below`, cut to them, lies below: its
/// inverse, by bisection to the last bits.
fn time_below(u: f64, below: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (T_MIN, 1.0);
    let target = below(low) + u * (below(high) - below(low));
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        *(if below(middle) < target { &mut low } else { &mut high }) = middle;
    }
    high
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
        denoising(model, step, &sigma, &weight)
    }

    fn check(&self) -> Result<()> {
        require("references", self.references, self.references <= 65_536, "use 65536 or less")
    }

    fn references(&self) -> usize {
        self.references
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Noise;
    use crate::sde::{AnySde, EdmSde, VeSde, VpSde};

    /// Where much of the normal leaves the range, at one end or both, the times follow the truncated distribution:
    /// their distribution function is nowhere off by more than Kolmogorov's bound for one set in a million. What
    /// leads out of the range must not gather at its ends.
    #[test]
    fn log_normal_times_are_truncated() {
        let n = 20_000;
        let mut stream = Noise::new(4).stream(0);
        let uniform: Vec<f64> = (0..n).map(|_| stream.uniform()).collect();
        let normal: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let narrow = AnySde::from(VeSde { sigma_min: 0.2, sigma_max: 1.0, ..VeSde::default() });
        for (sde, mean, std) in [
            (narrow, 0.3, 1.2),
            (narrow, -3.0, 1.0),
            (narrow, 2.5, 0.8),
            (VpSde::default().into(), 0.3, 4.0),
            (EdmSde { sigma_min: 0.002, sigma_max: 1.0 }.into(), 0.3, 1.2),
        ] {
            let dsm = Dsm { times: TimeDistribution::LogNormal { mean, std }, ..Dsm::default() };
            let sigma_data = 0.5;
            let mut times = dsm.times(&*sde, sigma_data, &uniform, &normal);
            times.sort_by(f64::total_cmp);
            let below = |t: f64| normal_cdf(((sde.sigma(t) / sigma_data).ln() - mean) / std);
            let [least, most] = [T_MIN, 1.0].map(below);
            assert!(most - least < 0.98, "{sde:?}: hardly anything is cut off");
            let off = times.iter().enumerate().map(|(i, t)| {
                let share = (below(*t) - least) / (most - least);
                (share - i as f64 / n as f64).abs().max((share - (i + 1) as f64 / n as f64).abs())
            });
            let off = off.fold(0.0, f64::max);
            assert!(off < 2.7 / (n as f64).sqrt(), "{sde:?}, mean {mean}, std {std}: off by {off}");
        }
    }

    #[test]
    fn what_is_inside_the_range_stays() {
        let sde = AnySde::from(VpSde::default());
        let dsm = Dsm { times: TimeDistribution::LogNormal { mean: 0.3, std: 1.2 }, ..Dsm::default() };
        let times = dsm.times(&*sde, 0.5, &[0.9, 0.1], &[0.5, -1.0]);
        for (t, z) in times.iter().zip([0.5, -1.0]) {
            assert!((sde.sigma(*t) / (0.5 * f64::exp(0.3 + 1.2 * z)) - 1.0).abs() < 1e-9);
        }
    }
}
