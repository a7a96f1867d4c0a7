//! Mixtures of Gaussians, whose density and score are exact at every noise level.
//!
//! A Gaussian mixture plus Gaussian noise is a Gaussian mixture again, so the denoiser that a network
//! has to learn is here a formula. With it a sampler is judged by itself, without a network's error.

use burn::tensor::{Tensor, activation::softmax};

use super::axes::principal_axes;
use crate::model::Denoiser;
use crate::ops::{self, Dual, Pull, dot, each, is_flex, per_sample, scale};
use crate::rng::{Domain, Noise};
use crate::{Error, Result};

/// A mixture of Gaussians in `d` dimensions; a sample of it is a `[c, h, w]` with `c·h·w = d` values.
///
/// ```
/// use burn::tensor::Device;
/// use scorefield::toy::GaussianMixture;
/// use scorefield::images::DataRange;
/// use scorefield::model::ScoreModel;
/// use scorefield::sde::{AnySde, VpSde};
/// let two = GaussianMixture::new(
///     &[0.2, 0.8],
///     &[vec![-1.0, 0.0], vec![1.0, 0.5]],
///     &[vec![vec![0.1, 0.0], vec![0.0, 0.1]], vec![vec![0.2, 0.1], vec![0.1, 0.2]]],
/// )?;
/// assert!(two.log_density(&[1.0, 0.5], 0.1) > two.log_density(&[0.0, 5.0], 0.1));
/// let (sde, device) = (AnySde::Vp(VpSde::default()), Device::flex());
/// let model = ScoreModel::new(Box::new(two), sde, DataRange::CENTRED, [2, 1, 1], &device);
/// # Ok::<(), scorefield::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianMixture {
    components: Vec<Component>,
}

/// One Gaussian in the coordinates in which its values are independent.
#[derive(Debug, Clone, PartialEq)]
struct Component {
    log_weight: f64,
    mean: Vec<f64>,
    /// The principal axes, one row each.
    axes: Vec<Vec<f64>>,
    /// The variance along each axis.
    variances: Vec<f64>,
}

impl GaussianMixture {
    /// A mixture of `weights` (relative), `means` `[k][d]` and `covariances` `[k][d][d]`.
    ///
    /// A covariance may have zero variance in some direction, or all: a component is then a plane, a
    /// line or a point.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no component, the sizes differ, a weight is not positive, or a
    /// matrix is not symmetric and positive semidefinite.
    pub fn new(weights: &[f64], means: &[Vec<f64>], covariances: &[Vec<Vec<f64>>]) -> Result<Self> {
        let refuse = |problem: &str, fix: &str| Err(Error::config("Gaussian mixture", problem, fix));
        let d = means.first().map_or(0, Vec::len);
        let square = |matrix: &Vec<Vec<f64>>| matrix.len() == d && matrix.iter().all(|row| row.len() == d);
        if d == 0 || means.len() != weights.len() || covariances.len() != weights.len() {
            return refuse("has lists of different lengths, or none", "give each component all three");
        }
        if means.iter().any(|mean| mean.len() != d) || !covariances.iter().all(square) {
            return refuse("mixes dimensions", "use d for every mean and d x d for every covariance");
        }
        if !weights.iter().all(|w| w.is_finite() && *w > 0.0)
            || !means.iter().flatten().all(|m| m.is_finite())
        {
            return refuse("has a weight or mean out of range", "use positive weights and finite means");
        }
        let total: f64 = weights.iter().sum();
        let mut components = Vec::new();
        for ((weight, mean), covariance) in weights.iter().zip(means).zip(covariances) {
            let Some((axes, variances)) = principal_axes(covariance) else {
                return refuse("has an invalid covariance", "make it symmetric and positive semidefinite");
            };
            components.push(Component {
                log_weight: (weight / total).ln(),
                mean: mean.clone(),
                axes,
                variances,
            });
        }
        Ok(Self { components })
    }

    /// The number of dimensions.
    pub fn dim(&self) -> usize {
        self.components[0].mean.len()
    }

    /// The share of each component.
    pub fn weights(&self) -> Vec<f64> {
        self.components.iter().map(|component| component.log_weight.exp()).collect()
    }

    /// Standard deviation of a value, over all dimensions.
    pub fn deviation(&self) -> f64 {
        let mut square = vec![0.0; self.dim()];
        for component in &self.components {
            let (weight, spread) = (component.log_weight.exp(), component.variances.iter().sum::<f64>());
            let spread = spread / self.dim() as f64;
            square.iter_mut().zip(&component.mean).for_each(|(sum, m)| *sum += weight * (m * m + spread));
        }
        let mean = self.mean();
        let variance: f64 = square.iter().zip(&mean).map(|(square, mean)| square - mean * mean).sum();
        (variance / self.dim() as f64).sqrt()
    }

    /// Logarithm of the density of `x_0 + sigma·z` at `x`, in nats. Host only, `f64`.
    ///
    /// # Panics
    /// If `x` does not have [`dim`](Self::dim) values.
    pub fn log_density(&self, x: &[f64], sigma: f64) -> f64 {
        assert_eq!(x.len(), self.dim());
        let logs: Vec<f64> =
            self.components.iter().map(|component| component.log_density(x, sigma)).collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        largest + logs.iter().map(|log| (log - largest).exp()).sum::<f64>().ln()
    }

    /// The gradient of [`Self::log_density`] at `x`: the components' own, each by its share in `x`. Host only, `f64`.
    ///
    /// # Panics
    /// If `x` does not have [`dim`](Self::dim) values.
    pub fn score(&self, x: &[f64], sigma: f64) -> Vec<f64> {
        let total = self.log_density(x, sigma);
        let mut score = vec![0.0; x.len()];
        for component in &self.components {
            let share = (component.log_density(x, sigma) - total).exp();
            for (axis, y, variance) in component.along(x) {
                let pull = -share * y / (variance + sigma * sigma);
                score.iter_mut().zip(axis).for_each(|(score, a)| *score += pull * a);
            }
        }
        score
    }

    /// The distribution of `x_0` where `x_0 + sigma·z` is known to be `x`, a mixture again: its mean is Tweedie's formula. Host
    /// only, `f64`.
    ///
    /// # Panics
    /// If `x` does not have [`dim`](Self::dim) values.
    pub fn given(&self, x: &[f64], sigma: f64) -> Self {
        let total = self.log_density(x, sigma);
        let components = self.components.iter().map(|component| component.given(x, sigma, total));
        Self { components: components.collect() }
    }

    /// The mean.
    pub fn mean(&self) -> Vec<f64> {
        self.components.iter().fold(vec![0.0; self.dim()], |mut sum, component| {
            let weight = component.log_weight.exp();
            sum.iter_mut().zip(&component.mean).for_each(|(sum, mean)| *sum += weight * mean);
            sum
        })
    }

    /// Exact samples of `x_0 + sigma·z`, `[n, d]`. Row `i` is a function of the seed and the index of `noise`'s sample
    /// `i`.
    pub fn sample(&self, noise: &Noise, n: usize, sigma: f64) -> Vec<f64> {
        let noise = noise.domain(Domain::Data);
        let (z, u) = (noise.normal(0, n, self.dim()), noise.uniform(1, n, 1));
        let chosen = u.into_iter().map(|u| self.component(f64::from(u)));
        chosen.zip(z.chunks_exact(self.dim())).flat_map(|(of, z)| of.point(z, sigma)).collect()
    }

    /// Whether [`ops::posterior`] can take it: points of the plane, in main memory, off the tape.
    fn is_of_plane(&self, x: &Tensor<4>) -> bool {
        self.dim() == 2 && !x.is_autodiff() && is_flex(&x.device())
    }

    /// The components with noise as [`ops::posterior`] wants them.
    fn pulls(&self, sigma: f64) -> Vec<Pull> {
        self.components.iter().map(|component| component.pull(sigma)).collect()
    }

    /// The component to which a number in `[0, 1)` belongs.
    fn component(&self, u: f64) -> &Component {
        let mut left = u;
        let is_it = |component: &&Component| {
            left -= component.log_weight.exp();
            left < 0.0
        };
        // Rounding may leave a little behind the last one.
        self.components.iter().find(is_it).unwrap_or(&self.components[self.components.len() - 1])
    }
}

impl Component {
    fn log_density(&self, x: &[f64], sigma: f64) -> f64 {
        let log_tau = std::f64::consts::TAU.ln();
        let along = self.along(x).map(|(_, y, variance)| {
            let total = variance + sigma * sigma;
            y * y / total + total.ln() + log_tau
        });
        self.log_weight - 0.5 * along.sum::<f64>()
    }

    /// Each axis, how far `x` is from the mean along it, and the variance there.
    fn along(&self, x: &[f64]) -> impl Iterator<Item = (&Vec<f64>, f64, f64)> {
        self.axes.iter().zip(&self.variances).map(move |(axis, variance)| {
            let y: f64 = axis.iter().zip(x).zip(&self.mean).map(|((a, x), m)| a * (x - m)).sum();
            (axis, y, *variance)
        })
    }

    /// Its part of what is left where a noisy `x` is known, whose log-density under the mixture is `total`.
    fn given(&self, x: &[f64], sigma: f64, total: f64) -> Self {
        let mut mean = self.mean.clone();
        let mut variances = vec![];
        for (axis, y, variance) in self.along(x) {
            let kept = match variance > 0.0 {
                true => variance / (variance + sigma * sigma),
                false => 0.0,
            };
            mean.iter_mut().zip(axis).for_each(|(mean, a)| *mean += kept * y * a);
            variances.push(kept * sigma * sigma);
        }
        Self { log_weight: self.log_density(x, sigma) - total, mean, axes: self.axes.clone(), variances }
    }

    /// The point that belongs to standard normals `z`, with noise.
    fn point(&self, z: &[f32], sigma: f64) -> Vec<f64> {
        let mut x = self.mean.clone();
        for ((axis, variance), z) in self.axes.iter().zip(&self.variances).zip(z) {
            let step = (variance + sigma * sigma).sqrt() * f64::from(*z);
            x.iter_mut().zip(axis).for_each(|(x, a)| *x += step * a);
        }
        x
    }

    /// The Gaussian with noise, in the plane.
    fn pull(&self, sigma: f64) -> Pull {
        let variances = [self.variances[0], self.variances[1]];
        let totals = variances.map(|variance| variance + sigma * sigma);
        Pull {
            log: self.log_weight - 0.5 * (totals[0].ln() + totals[1].ln()),
            mean: [self.mean[0], self.mean[1]],
            axis: [self.axes[0][0], self.axes[0][1]],
            precision: totals.map(|total| 1.0 / total),
            gain: [variances[0] / totals[0], variances[1] / totals[1]],
        }
    }

    /// The log density, up to a constant of all components, `[n, 1, 1, 1]`, and the posterior mean, of `x`
    /// `[n, c, h, w]`.
    fn posterior(&self, x: &Tensor<4>, sigma: &[f64]) -> (Tensor<4>, Tensor<4>) {
        let ([_, c, h, w], device) = (x.dims(), x.device());
        let row = |values: &[f64]| per_sample(values, &device).reshape([1, c, h, w]);
        let centred = x.clone() - row(&self.mean);
        let totals = |s: f64| self.variances.iter().map(|v| (v + s * s).ln()).sum::<f64>();
        let mut log_density = per_sample(&each(sigma, |s| self.log_weight - 0.5 * totals(s)), &device);
        let mut mean = row(&self.mean);
        // Sums along the axes instead of matrix products: their rounding does not depend on n.
        for (axis, variance) in self.axes.iter().zip(&self.variances) {
            let axis = row(axis);
            let y = dot(centred.clone(), axis.clone());
            let total = |s: f64| variance + s * s;
            log_density = log_density + scale(y.clone() * y.clone(), &each(sigma, |s| -0.5 / total(s)));
            mean = mean + scale(y, &each(sigma, |s| variance / total(s))) * axis;
        }
        (log_density, mean)
    }

    /// How both change along the tangent of `x`.
    fn posterior_change(&self, x: &Dual, sigma: &[f64]) -> (Tensor<4>, Tensor<4>) {
        let ([n, c, h, w], device) = (x.value.dims(), x.value.device());
        let row = |values: &[f64]| per_sample(values, &device).reshape([1, c, h, w]);
        let centred = x.value.clone() - row(&self.mean);
        let nothing = (Tensor::zeros([n, 1, 1, 1], &device), x.value.zeros_like());
        self.axes.iter().zip(&self.variances).fold(nothing, |(log_density, mean), (axis, variance)| {
            let axis = row(axis);
            let [y, dy] = [&centred, &x.tangent].map(|x| dot(x.clone(), axis.clone()));
            let over_total = |factor: f64| each(sigma, |s| factor / (variance + s * s));
            let mean = mean + scale(dy.clone(), &over_total(*variance)) * axis;
            (log_density + scale(y * dy, &over_total(-1.0)), mean)
        })
    }
}

impl Denoiser for GaussianMixture {
    /// The posterior mean, exact up to `f32`: the components' means, weighted by their share in `x`.
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        match self.is_of_plane(&x) {
            true => ops::posterior(&x, None, sigma, |sigma| self.pulls(sigma)).0,
            false => self.denoise_plain(x, sigma),
        }
    }

    /// Exact as well: a share `w` of log-density `l` changes by `w·(dl - sum(w·dl))`.
    fn denoise_dual(&self, x: Dual, sigma: &[f64]) -> Dual {
        match self.is_of_plane(&x.value) && !x.tangent.is_autodiff() {
            true => {
                let pulls = |sigma| self.pulls(sigma);
                let (value, tangent) = ops::posterior(&x.value, Some(&x.tangent), sigma, pulls);
                Dual { value, tangent: tangent.expect("a tangent was given") }
            }
            false => self.denoise_dual_plain(x, sigma),
        }
    }
}

/// In burn's stock operations: for any dimension and on every device.
impl GaussianMixture {
    fn denoise_plain(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        let (logs, means): (Vec<_>, Vec<_>) = self.components.iter().map(|c| c.posterior(&x, sigma)).unzip();
        let shares = softmax(Tensor::cat(logs, 1), 1);
        let weighted = means.into_iter().enumerate().map(|(k, mean)| mean * shares.clone().narrow(1, k, 1));
        weighted.fold(x.zeros_like(), |sum, part| sum + part)
    }

    fn denoise_dual_plain(&self, x: Dual, sigma: &[f64]) -> Dual {
        let (logs, means): (Vec<_>, Vec<_>) =
            self.components.iter().map(|c| c.posterior(&x.value, sigma)).unzip();
        let (log_changes, mean_changes): (Vec<_>, Vec<_>) =
            self.components.iter().map(|c| c.posterior_change(&x, sigma)).unzip();
        let shares = softmax(Tensor::cat(logs, 1), 1);
        let changes = Tensor::cat(log_changes, 1);
        let changes = shares.clone() * (changes.clone() - (shares.clone() * changes).sum_dim(1));
        let nothing = Dual::constant(x.value.zeros_like());
        means.into_iter().zip(mean_changes).enumerate().fold(nothing, |sum, (k, (mean, change))| {
            let [share, share_change] = [&shares, &changes].map(|shares| shares.clone().narrow(1, k, 1));
            let tangent = change * share.clone() + mean.clone() * share_change;
            sum + Dual { value: mean * share, tangent }
        })
    }
}

#[cfg(test)]
mod tests;
