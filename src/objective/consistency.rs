//! What the objectives of consistency functions share: `D(x; sigma)` is to be the end of the ODE's path through `x`, so
//! that it has to be the same at two noise levels of a path (Song et al. 2023).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::features::{Features, perceived};
use super::{Dsm, Models, Step, TimeDistribution, require};
use crate::Result;
use crate::ops::{combine, each, scale, upload};
use crate::rng::normal_cdf;
use crate::schedule;
use crate::sde::Sde;

/// How far two images are apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Metric {
    /// The mean square of the difference.
    L2 {},
    /// The mean of its absolute value.
    L1 {},
    /// Pseudo-Huber, `sqrt(|a - b|² + c²) - c`: a square near zero, a length far from it (Song and Dhariwal 2023).
    PseudoHuber {
        /// Where one turns into the other, in the model's units; 0 stands for `0.00054·sqrt(d)`.
        c: f64,
    },
    /// How different they look to a network, the run's `features` (Zhang et al. 2018: LPIPS, without its weights).
    Features {},
}

impl Metric {
    /// The distance of each pair of images, `[b]`.
    fn distance(self, a: Tensor<4>, b: Tensor<4>, features: Option<&dyn Features>) -> Tensor<1> {
        let [n, c, h, w] = a.dims();
        let dim = c * h * w;
        let difference = |a: Tensor<4>, b: Tensor<4>| (a - b).reshape([n, dim]);
        let distance = match self {
            Self::L2 {} => {
                let difference = difference(a, b);
                (difference.clone() * difference).mean_dim(1)
            }
            Self::L1 {} => difference(a, b).abs().mean_dim(1),
            Self::PseudoHuber { c } => {
                let (difference, c) =
                    (difference(a, b), if c == 0.0 { 0.00054 * (dim as f64).sqrt() } else { c });
                ((difference.clone() * difference).sum_dim(1) + c * c).sqrt() - c
            }
            Self::Features {} => {
                return perceived(features.expect("checked with the configuration"), a, b);
            }
        };
        distance.reshape([n])
    }

    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::PseudoHuber { c } => require(
                "metric.c",
                c,
                (0.0..=1e3).contains(&c),
                "use 0 to leave it to the images' size, or a positive number",
            ),
            Self::L2 {} | Self::L1 {} | Self::Features {} => Ok(()),
        }
    }
}

/// Whose value at the lower level the student's is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Its own, taken as given (Song and Dhariwal 2023).
    Student,
    /// That of the moving average of its weights, at the run's `ema` (Song et al. 2023).
    Average,
}

/// How a path is followed from one level to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Solver {
    /// Along the slope at its beginning.
    Euler,
    /// Along the mean of the slopes at both ends.
    Heun,
}

/// Two noise levels for each image, and the weight of their comparison.
#[derive(Debug)]
pub struct Pairs {
    pub high: Vec<f64>,
    pub low: Vec<f64>,
    pub weight: Vec<f64>,
}

/// Exponent of the grid of noise levels (Karras et al. 2022).
const RHO: f64 = 7.0;

/// The noise levels of the diffusion, from its largest to its least.
fn grid(sde: &dyn Sde, number: usize) -> Vec<f64> {
    let times = schedule::karras(sde, 1.0, sde.sampling_eps(), number, RHO);
    each(&times, |t| sde.sigma(t))
}

impl Pairs {
    /// Neighbours of a grid of `number` levels, all equally often and of the same weight.
    pub fn uniform(sde: &dyn Sde, number: usize, step: &Step<'_>) -> Self {
        let (uniform, _) = step.levels();
        let last = number - 1;
        Self::neighbours(&grid(sde, number), uniform.iter().map(|u| (u * last as f64) as usize), |_| 1.0)
    }

    /// Neighbours of a grid of `number` levels as often as `ln(sigma/sigma_data)`, normal, falls between them, weighing the
    /// inverse of their difference (Song and Dhariwal 2023).
    pub fn log_normal(sde: &dyn Sde, number: usize, [mean, std]: [f64; 2], step: &Step<'_>) -> Self {
        let levels = grid(sde, number);
        let below = each(&levels, |sigma| normal_cdf(((sigma / step.sigma_data).ln() - mean) / std));
        let [most, least] = [below[0], below[number - 1]];
        let (uniform, _) = step.levels();
        let chosen = uniform.iter().map(|u| {
            let at = least + u * (most - least);
            below.partition_point(|b| *b > at).clamp(1, number - 1) - 1
        });
        Self::neighbours(&levels, chosen, |gap| 1.0 / gap)
    }

    fn neighbours(levels: &[f64], chosen: impl Iterator<Item = usize>, weight: impl Fn(f64) -> f64) -> Self {
        let (high, low): (Vec<_>, Vec<_>) = chosen.map(|i| (levels[i], levels[i + 1])).unzip();
        let weight = high.iter().zip(&low).map(|(high, low)| weight(high - low)).collect();
        Self { high, low, weight }
    }

    /// A level `t` of which `ln(sigma/sigma_data)` is normal, and one below it that comes nearer in `stages`, each half as
    /// far as the one before: `r = t·(1 - n(t)/2^stage)` with `n(t) = 1 + 8·sigmoid(-t)`, `t` being in units in which
    /// the data's deviation is 0.5 (Geng et al. 2024). The weight is `1/(t - r)`.
    pub fn shrinking(sde: &dyn Sde, stages: usize, [mean, std]: [f64; 2], step: &Step<'_>) -> Self {
        let (uniform, normal) = step.levels();
        let dsm = Dsm { times: TimeDistribution::LogNormal { mean, std }, ..Dsm::default() };
        let times = dsm.times(sde, step.sigma_data, &uniform, &normal);
        let least = sde.sigma(sde.sampling_eps());
        // The least level has none below it.
        let high = each(&times, |t| sde.sigma(t).max(1.01 * least));
        let stage = 1 + step.index * stages / step.of.max(1);
        let low = each(&high, |t| {
            let near = 1.0 + 8.0 / (1.0 + (0.5 * t / step.sigma_data).exp());
            (t * (1.0 - near * 0.5_f64.powi(stage as i32))).max(least)
        });
        let weight = high.iter().zip(&low).map(|(t, r)| 1.0 / (t - r)).collect();
        Self { high, low, weight }
    }
}

/// `weight·d(D(x; high), D(x'; low))` of each image: `x` has the noise of the higher level, `x'` is where the path through
/// it is at the lower one. Both evaluations share their dropout masks, and only the first one learns.
///
/// The path's slope is `(x - E[x_0 | x])/sigma`. A teacher knows that expectation; without one the image itself stands for
/// it, so that `x'` is the image with the same noise at the lower level, right in the mean as the levels come together.
pub fn agreement(
    models: Models<'_>,
    step: &Step<'_>,
    Pairs { high, low, weight }: Pairs,
    (solver, target, metric): (Solver, Target, Metric),
) -> Tensor<1> {
    let student = models.student;
    let noisy = step.x0.clone() + scale(step.noise(), &high);
    let masks = step.masks();
    let found = student.forward(noisy.clone(), &high, step.context(&masks));

    let (x0, x) = (step.x0.clone().without_autodiff(), noisy.without_autodiff());
    let denoised = |x: &Tensor<4>, sigma: &[f64]| match models.teacher {
        Some(teacher) => teacher.denoise(x.clone(), sigma),
        None => x0.clone(),
    };
    let x = solver.follow(x, &high, &low, denoised);
    let (masks, off_tape) = (step.masks(), student.off_tape());
    let teacher = match target {
        Target::Student => &off_tape,
        Target::Average => models.average,
    };
    let wanted = teacher.forward(x, &low, step.context(&masks));
    let weight: Vec<f32> = weight.iter().map(|weight| *weight as f32).collect();
    let weight = upload(&weight, [weight.len()], &wanted.device());
    metric.distance(found, wanted, models.features) * weight
}

impl Solver {
    /// Where the path through `x` at the level `high` is at `low`, its slope being `(x - denoised)/sigma`.
    fn follow(
        self,
        x: Tensor<4>,
        high: &[f64],
        low: &[f64],
        denoised: impl Fn(&Tensor<4>, &[f64]) -> Tensor<4>,
    ) -> Tensor<4> {
        let of = |f: fn(f64) -> f64| -> Vec<f64> {
            low.iter().zip(high).map(|(low, high)| f(low / high)).collect()
        };
        let euler =
            combine(&[(x.clone(), &of(|ratio| ratio)), (denoised(&x, high), &of(|ratio| 1.0 - ratio))]);
        match self {
            Self::Euler => euler,
            Self::Heun => {
                let corrected = denoised(&euler, low);
                let [of_euler, of_denoised] = [of(|ratio| 1.0 - 0.5 / ratio), of(|ratio| 0.5 / ratio - 0.5)];
                combine(&[(x, &[0.5]), (euler, &of_euler), (corrected, &of_denoised)])
            }
        }
    }
}
