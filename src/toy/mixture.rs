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
        let shared = |of: &dyn Fn(&Component) -> Vec<f64>| {
            self.components.iter().fold(vec![0.0; self.dim()], |mut sum, component| {
                let weight = component.log_weight.exp();
                sum.iter_mut().zip(of(component)).for_each(|(sum, x)| *sum += weight * x);
                sum
            })
        };
        let mean = shared(&|component| component.mean.clone());
        let square = shared(&|component| {
            let spread = component.variances.iter().sum::<f64>() / self.dim() as f64;
            component.mean.iter().map(|m| m * m + spread).collect()
        });
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

    /// Exact samples of `x_0 + sigma·z`, `[n, d]`. Row `i` is a function of the seed and the index of `noise`'s sample
    /// `i`.
    pub fn sample(&self, noise: &Noise, n: usize, sigma: f64) -> Vec<f64> {
        let noise = noise.domain(Domain::Data);
        let (z, u) = (noise.normal(0, n, self.dim()), noise.uniform(1, n, 1));
        let chosen = u.into_iter().map(|u| self.component(f64::from(u)));
        chosen.zip(z.chunks_exact(self.dim())).flat_map(|(of, z)| of.point(z, sigma)).collect()
    }

    /// The components with noise as [`ops::posterior`] wants them: in the plane, in main memory, for points off the tape that
    /// all have the same noise.
    fn pulls(&self, x: &Tensor<4>, sigma: &[f64]) -> Option<Vec<Pull>> {
        let same = sigma.split_first().filter(|(first, rest)| rest.iter().all(|s| s == *first));
        let sigma = *same?.0;
        let fits = self.dim() == 2 && !x.is_autodiff() && is_flex(&x.device());
        fits.then(|| self.components.iter().map(|component| component.pull(sigma)).collect())
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
        let (mut log, mut precision, mut gain) = (self.log_weight, [0.0; 3], [0.0; 3]);
        for (axis, variance) in self.axes.iter().zip(&self.variances) {
            let total = variance + sigma * sigma;
            log -= 0.5 * total.ln();
            let squares = [axis[0] * axis[0], axis[0] * axis[1], axis[1] * axis[1]];
            for ((precision, gain), square) in precision.iter_mut().zip(&mut gain).zip(squares) {
                *precision += square / total;
                *gain += square * variance / total;
            }
        }
        Pull { log, mean: [self.mean[0], self.mean[1]], precision, gain }
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
        match self.pulls(&x, sigma) {
            Some(pulls) => ops::posterior(&x, None, &pulls).0,
            None => self.denoise_plain(x, sigma),
        }
    }

    /// Exact as well: a share `w` of log-density `l` changes by `w·(dl - sum(w·dl))`.
    fn denoise_dual(&self, x: Dual, sigma: &[f64]) -> Dual {
        match self.pulls(&x.value, sigma) {
            Some(pulls) if !x.tangent.is_autodiff() => {
                let (value, tangent) = ops::posterior(&x.value, Some(&x.tangent), &pulls);
                Dual { value, tangent: tangent.expect("a tangent was given") }
            }
            _ => self.denoise_dual_plain(x, sigma),
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
mod tests {
    use super::*;
    use crate::toy::Toy;
    use burn::tensor::Device;

    fn three() -> GaussianMixture {
        let covariances = [
            vec![vec![0.5, 0.3, 0.0], vec![0.3, 0.4, -0.1], vec![0.0, -0.1, 0.2]],
            vec![vec![0.1, 0.0, 0.0], vec![0.0, 0.2, 0.0], vec![0.0, 0.0, 0.3]],
            vec![vec![0.0; 3]; 3],
        ];
        let means = [vec![1.0, -1.0, 0.5], vec![-1.0, 0.0, 0.0], vec![0.0, 2.0, 0.0]];
        GaussianMixture::new(&[2.0, 1.0, 1.0], &means, &covariances).unwrap()
    }

    /// Tweedie: the denoiser is `x + sigma²·(gradient of the log density)`, here by central differences.
    #[test]
    fn the_denoiser_belongs_to_the_density() {
        let mixture = three();
        for (x, sigma) in [([0.3, -0.2, 0.1], 0.3), ([1.0, 1.0, 1.0], 1.0), ([-9.0, 4.0, 2.0], 8.0)] {
            let input: Vec<f32> = x.iter().map(|v| *v as f32).collect();
            let input = Tensor::<1>::from_floats(input.as_slice(), &Device::flex()).reshape([1, 3, 1, 1]);
            let denoised: Vec<f32> = mixture.denoise(input, &[sigma]).into_data().try_to_vec().unwrap();
            for i in 0..3 {
                let at = |h: f64| {
                    let mut moved = x;
                    moved[i] += h;
                    mixture.log_density(&moved, sigma)
                };
                let expected = x[i] + sigma * sigma * (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!(
                    (f64::from(denoised[i]) - expected).abs() < 1e-5,
                    "{denoised:?} at {x:?}, {expected}"
                );
            }
        }
    }

    #[test]
    fn the_score_is_the_gradient_of_the_log_density() {
        let mixture = three();
        for (x, sigma) in [([0.3, -0.2, 0.1], 0.3), ([1.0, 1.0, 1.0], 1.0), ([-900.0, 400.0, 200.0], 8.0)] {
            let score = mixture.score(&x, sigma);
            for axis in 0..3 {
                let h = 1e-5 * f64::max(1.0, x[axis].abs());
                let at = |h: f64| {
                    let mut moved = x;
                    moved[axis] += h;
                    mixture.log_density(&moved, sigma)
                };
                let slope = (at(h) - at(-h)) / (2.0 * h);
                assert!(
                    (slope - score[axis]).abs() < 1e-4 * score[axis].abs().max(1.0),
                    "{score:?} at {x:?}"
                );
            }
        }
    }

    /// Five standard errors: of the weights at most .018, of the covariances (variances up to 1.5) .053.
    #[test]
    fn samples_have_the_weights_means_and_covariances() {
        let (n, sigma) = (20_000, 0.5);
        let covariances = [vec![vec![0.3, 0.2], vec![0.2, 0.4]], vec![vec![0.0; 2]; 2]];
        let mixture =
            GaussianMixture::new(&[0.3, 0.7], &[vec![9.0, 0.0], vec![-9.0, 1.0]], &covariances).unwrap();
        let samples = mixture.sample(&Noise::new(3), n, sigma);
        assert_eq!(samples[200..202], mixture.sample(&Noise::new(3).at(100), 1, sigma));
        let of = |right: bool| samples.chunks_exact(2).filter(move |x| (x[0] > 0.0) == right);
        assert!((of(true).count() as f64 / n as f64 - 0.3).abs() < 0.018);
        for (right, mean, covariance) in
            [(true, [9.0, 0.0], &covariances[0]), (false, [-9.0, 1.0], &covariances[1])]
        {
            let count = of(right).count() as f64;
            for i in 0..2 {
                for j in 0..2 {
                    let found = of(right).map(|x| (x[i] - mean[i]) * (x[j] - mean[j])).sum::<f64>() / count;
                    let expected = covariance[i][j] + if i == j { sigma * sigma } else { 0.0 };
                    assert!((found - expected).abs() < 0.053, "{right}: {found} instead of {expected}");
                }
            }
        }
    }

    #[test]
    fn the_density_integrates_to_one() {
        let covariances = [vec![vec![0.3, 0.2], vec![0.2, 0.4]], vec![vec![0.0; 2]; 2]];
        let mixture =
            GaussianMixture::new(&[0.3, 0.7], &[vec![1.0, 0.0], vec![-1.0, 1.0]], &covariances).unwrap();
        let grid = || (-80..=80).map(|i| f64::from(i) * 0.1);
        let integral: f64 = grid()
            .flat_map(|a| grid().map(move |b| [a, b]))
            .map(|x| mixture.log_density(&x, 0.5).exp())
            .sum();
        assert!((integral * 0.01 - 1.0).abs() < 1e-9, "{integral}");
    }

    /// Own code against burn's operations, for the widest and the narrowest worlds, also without any width and far outside.
    #[test]
    fn the_planes_own_code_equals_stock_operations() {
        for toy in Toy::ALL {
            let mixture = toy.mixture().unwrap();
            for sigma in [0.02, 0.5, 20.0] {
                let n = 37;
                let mut points = mixture.sample(&Noise::new(4), n, sigma);
                points[0] = 30.0;
                let values: Vec<f32> = points.iter().map(|x| *x as f32).collect();
                let x = ops::upload(&values, [n, 2, 1, 1], &Device::flex());
                let tangent = Noise::new(5).normal(0, n, 2);
                let x = Dual { value: x, tangent: ops::upload(&tangent, [n, 2, 1, 1], &Device::flex()) };
                let sigma = vec![sigma; n];
                let own = mixture.denoise_dual(x.clone(), &sigma);
                let stock = mixture.denoise_dual_plain(x.clone(), &sigma);
                let alone = mixture.denoise(x.value, &sigma);
                // Where two components share a point their shares are differences of large numbers, over a small sigma.
                for (a, b, room) in [
                    (&own.value, &alone, 0.0),
                    (&own.value, &stock.value, 2e-4),
                    (&own.tangent, &stock.tangent, 2e-2),
                ] {
                    let error = (a.clone() - b.clone()).abs().max().into_scalar::<f32>();
                    assert!(error <= room, "{toy:?} at {}: {error}", sigma[0]);
                }
            }
        }
    }

    #[test]
    fn what_is_no_mixture_is_refused() {
        let one = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
        let new = |weights: &[f64], mean: Vec<f64>, covariance: Vec<Vec<f64>>| {
            GaussianMixture::new(weights, &[mean], &[covariance])
        };
        assert!(new(&[1.0], vec![0.0; 2], one.clone()).is_ok());
        for bad in [
            new(&[], vec![0.0; 2], one.clone()),
            new(&[-1.0], vec![0.0; 2], one.clone()),
            new(&[1.0], vec![0.0; 3], one.clone()),
            new(&[1.0], vec![f64::NAN, 0.0], one),
            new(&[1.0], vec![0.0; 2], vec![vec![1.0, 2.0], vec![2.0, 1.0]]),
            new(&[1.0], vec![0.0; 2], vec![vec![1.0, 0.5], vec![0.4, 1.0]]),
            new(&[1.0], vec![0.0; 2], vec![vec![f64::NAN, 0.0], vec![0.0, 1.0]]),
        ] {
            assert!(bad.unwrap_err().to_string().contains("Gaussian mixture"));
        }
    }
}
