//! Densities of a score model, by the instantaneous change of variables.
//!
//! The probability-flow ODE carries data to the prior without randomness, so it is an invertible map whose
//! volume change can be followed: `log p(x_eps) = log p_1(x_1) + ∫ div(flow) dt` along the path (Song et al.
//! 2021, section 4.3 and appendix D.2). The divergence is exact, or estimated without bias by `v·(J^T v)`
//! with random probes `v` (Hutchinson), one reverse pass or one pair of evaluations each.
//!
//! # What is measured
//! The density of `x_0 + sigma(eps)·z` at `x_0`, under the model that draws from `N(prior_mean, prior_std²)` and
//! solves the ODE. Two gaps to the density of the data remain, and neither is corrected, as in the papers: the flow
//! stops at `eps` > 0 (at the default the noise is 1e-3 of the data's unit for VP, and `sigma_min` for VE
//! however small `eps` is), and `p_1` is not quite the prior.

use std::f64::consts::LN_2;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::solve::solve;
use super::{Tolerance, check_eps, flow, flow_dual};
use crate::dequantise::{Dequantisation, Dequantised};
use crate::estimate::Estimate;
use crate::model::{DIFFERENCE, ScoreModel, difference};
use crate::ops::{Dual, dot, each, read};
use crate::rng::draws::probe;
use crate::rng::{Domain, Noise};
use crate::run::Run;
use crate::{Error, Result};

/// Most dimensions for which the exact trace is allowed: it costs one reverse pass for each.
const MOST_EXACT: usize = 1024;

/// How densities are computed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Likelihood {
    /// The divergence of the flow.
    pub trace: Trace,
    /// How the flow's Jacobian meets a vector.
    pub product: Product,
    /// How accurately the ODE is solved; for the log-density it is in nats per dimension. What [`Self::tolerance`] says
    /// where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
    /// The time at which the flow starts.
    pub eps: f64,
    /// What makes bytes continuous; that of the model where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dequantisation: Option<Dequantisation>,
}

impl Default for Likelihood {
    /// One Rademacher probe and `eps` 1e-5, as Score-SDE.
    fn default() -> Self {
        Self {
            trace: Trace::Hutchinson { probes: 1, distribution: Probe::Rademacher },
            product: Product::default(),
            tolerance: None,
            eps: 1e-5,
            dequantisation: None,
        }
    }
}

/// How the trace of the flow's Jacobian is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Trace {
    /// The sum of its diagonal: as many evaluations as dimensions.
    Exact,
    /// The mean of `v·(J^T v)` over probes that stay the same along the whole path.
    Hutchinson {
        /// How many, one evaluation each.
        probes: usize,
        /// What they are drawn from.
        distribution: Probe,
    },
}

/// How `v·J·v` is computed for the flow's Jacobian `J`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// `J^T v` by a reverse pass, exact; one evaluation, which then costs about three times as much. Not in a
    /// program without the feature `learn`, such as that of the page's images.
    #[cfg(feature = "learn")]
    Reverse,
    /// `J v` by the tangents of all layers, exact; one evaluation, which then costs about twice as much. In the browser
    /// for the CPU alone. For shipped models it takes a tenth less time than reverse passes.
    #[default]
    Forward,
    /// `J v` by a central difference, a fiftieth of the state's noise wide on either side or as far as f32 can tell: three
    /// evaluations. Densities of digits agree to 1e-3 bits per dimension.
    Difference,
}

/// The least half width of a difference relative to the data's range.
const LEAST_DIFFERENCE: f64 = 1024.0 * f32::EPSILON as f64;

/// A distribution of probes with covariance one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// Signs: the smallest variance, which only the off-diagonal of the Jacobian adds to.
    Rademacher,
    /// Standard normals.
    Gaussian,
    /// Evenly from the sphere whose radius is the root of the dimension.
    Sphere,
}

impl Probe {
    /// Vectors of `dim` values, one after the other, made of uniform numbers in `[0, 1)` or of standard normals.
    pub fn vectors(
        self,
        uniform: impl FnOnce() -> Vec<f32>,
        normal: impl FnOnce() -> Vec<f32>,
        dim: usize,
    ) -> Vec<f32> {
        match self {
            Self::Rademacher => uniform().into_iter().map(|u| if u < 0.5 { -1.0 } else { 1.0 }).collect(),
            Self::Gaussian => normal(),
            Self::Sphere => {
                let mut vectors = normal();
                for vector in vectors.chunks_exact_mut(dim) {
                    let square = vector.iter().map(|v| v * v).sum::<f32>() / dim as f32;
                    vector.iter_mut().for_each(|v| *v /= square.sqrt());
                }
                vectors
            }
        }
    }
}

/// The densities of a batch.
#[derive(Debug, Clone)]
pub struct Density {
    /// `log p(x)` of each sample in nats, `x` in the model's units.
    pub nats: Vec<f64>,
    /// Standard error of each by its probes; NaN for a single probe, 0 for the exact trace.
    pub probe_error: Vec<f64>,
    /// Where the flow has led, `[n, c, h, w]`: the codes of [`encode`](crate::flow::encode).
    pub latents: Tensor<4>,
    /// Network evaluations of each sample, counted.
    pub nfe: usize,
}

impl Likelihood {
    /// `log p` of `images` `[n, c, h, w]`, pixel values in `[0, 1]`.
    ///
    /// Probes come from `noise`, whose row `k` belongs to image `k`. Cost for every attempted step: six times the
    /// evaluations of [`Product`] for all probes (or dimensions), counted.
    ///
    /// # Errors
    /// [`Error::Config`] for no probe, an `eps` outside (0, 1), or more dimensions than the exact trace takes;
    /// [`Error::Cancelled`], [`Error::TooManySteps`], [`Error::NonFinite`].
    pub async fn measure(
        &self,
        model: &ScoreModel,
        images: Tensor<4>,
        noise: &Noise,
        run: &mut Run<'_>,
    ) -> Result<Density> {
        check_eps(self.eps)?;
        let before = model.nfe();
        run.first_nfe = before;
        let (dim, [n, ..]) = (model.dim() as f64, images.dims());
        let probes = self.probes(model, n, noise)?;
        let slope_at = |[x, _]: &[Tensor<4>; 2], t: &[f64]| {
            let (slope, divergence) = self.divergence(model, x, t, &probes);
            [slope, divergence / dim]
        };
        let (mean_coeff, _) = model.sde.marginal_prob(self.eps);
        let x = model.range.encode(images) * mean_coeff;
        let columns = if self.trace == Trace::Exact { 1 } else { probes.len() };
        let gained = Tensor::zeros([n, columns, 1, 1], &x.device());
        let [latents, gained] =
            solve(model, slope_at, [x, gained], [self.eps, 1.0], self.tolerance(model), run).await?;

        // log p of x_0 + sigma·z, whose map to x_eps multiplies every dimension by mean_coeff.
        let variance = model.sde.prior_std().powi(2);
        let constant = dim * (mean_coeff.ln() - 0.5 * (std::f64::consts::TAU * variance).ln());
        let codes = (latents.clone() - model.prior_mean()).reshape([n, model.dim()]);
        let square = read((codes.clone() * codes).mean_dim(1)).await?;
        let gained = read(gained).await?;
        let (nats, probe_error) = gained
            .chunks_exact(columns)
            .zip(square)
            .map(|(estimates, square)| {
                let gained = Estimate::of(estimates.iter().map(|e| f64::from(*e)));
                let nats = constant + dim * (gained.mean - 0.5 * f64::from(square) / variance);
                (nats, if self.trace == Trace::Exact { 0.0 } else { dim * gained.error })
            })
            .unzip();
        Ok(Density { nats, probe_error, latents, nfe: model.nfe() - before })
    }

    /// Bits per dimension of each of some 8-bit images, `bytes` `[n, c, h, w]`, dequantised, with the standard error by
    /// its probes; and the NFE.
    ///
    /// Image `k`'s dequantisation and probes are those of `noise`'s row `k`.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub async fn bits_per_dim(
        &self,
        model: &ScoreModel,
        bytes: &[u8],
        noise: &Noise,
        run: &mut Run<'_>,
    ) -> Result<(Vec<Estimate>, usize)> {
        let made = self.dequantised(model, bytes, noise);
        let density = self.measure(model, model.upload(&made.pixels), noise, run).await?;
        let bits = made.bits_per_dim(&density.nats, model.range).into_iter();
        let errors = density.probe_error.iter().map(|error| error / (model.dim() as f64 * LN_2));
        Ok((bits.zip(errors).map(|(mean, error)| Estimate { mean, error }).collect(), density.nfe))
    }

    /// 8-bit images, `bytes` `[n, c, h, w]`, made continuous for `model`. Image `k`'s noise is that of `noise`'s row `k`.
    pub fn dequantised(&self, model: &ScoreModel, bytes: &[u8], noise: &Noise) -> Dequantised {
        let by = self.dequantisation.unwrap_or(model.dequantisation);
        by.of(bytes, model.dim(), self.sigma(model), noise)
    }

    /// How accurately the ODE is solved for `model`: to 1e-3, at which the mean bits per dimension of digits have converged
    /// to 1e-3, and to 1e-4 for a model that has learned bytes by truncated-normal noise, whose flow bends far more where it
    /// leaves them: at 1e-3 it would be told to be 0.04 better than it is (docs/CONTROL.md).
    pub fn tolerance(&self, model: &ScoreModel) -> Tolerance {
        self.tolerance.unwrap_or(match model.dequantisation {
            Dequantisation::Uniform => Tolerance::default(),
            Dequantisation::TruncatedNormal => Tolerance { rtol: 1e-4, atol: 1e-4, ..Tolerance::default() },
        })
    }

    /// The noise at the time at which the flow starts, in pixel values.
    pub fn sigma(&self, model: &ScoreModel) -> f64 {
        model.sde.sigma(self.eps) / (model.range.high - model.range.low)
    }

    /// The probe vectors, `[n, c, h, w]` or `[1, c, h, w]` each.
    fn probes(&self, model: &ScoreModel, n: usize, noise: &Noise) -> Result<Vec<Tensor<4>>> {
        let dim = model.dim();
        let upload = |values: Vec<f32>| model.upload(&values);
        match self.trace {
            Trace::Exact if dim > MOST_EXACT => {
                let problem = format!("would cost {dim} evaluations for each one");
                Err(Error::config("the exact trace", problem, "use Hutchinson's estimator"))
            }
            Trace::Exact => {
                let unit = |i| (0..dim).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
                Ok((0..dim).map(unit).map(upload).collect())
            }
            Trace::Hutchinson { probes, distribution } => {
                if !(1..=1000).contains(&probes) {
                    return Err(Error::config(
                        "probes",
                        format!("= {probes} is not allowed"),
                        "use 1 to 1000",
                    ));
                }
                let noise = noise.domain(Domain::Probe);
                let draws = (0..probes as u32).map(probe::vector);
                let values = draws.map(|draw| {
                    distribution.vectors(|| noise.uniform(draw, n, dim), || noise.normal(draw, n, dim), dim)
                });
                Ok(values.map(upload).collect())
            }
        }
    }

    /// The flow at `x`, and its divergence: `[n, 1, 1, 1]`, or one estimate for each probe.
    fn divergence(
        &self,
        model: &ScoreModel,
        x: &Tensor<4>,
        t: &[f64],
        probes: &[Tensor<4>],
    ) -> (Tensor<4>, Tensor<4>) {
        let (slope, estimates) = match self.product {
            #[cfg(feature = "learn")]
            Product::Reverse => reverse(model, x, t, probes),
            Product::Forward => along(x, probes, |x| flow_dual(model, x, t)),
            Product::Difference => {
                // Where the noise is so small that f32 would not see a fiftieth of it: sub-VP's is 1e-6 at `t` = 1e-5.
                let least = LEAST_DIFFERENCE * (model.range.high - model.range.low);
                let widths = each(t, |t| (DIFFERENCE * model.sde.marginal_prob(t).1).max(least));
                along(x, probes, |x| difference(|x| flow(model, x, t), x, &widths))
            }
        };
        let estimates = Tensor::cat(estimates, 1);
        let divergence = if self.trace == Trace::Exact { estimates.sum_dim(1) } else { estimates };
        (slope, divergence)
    }
}

/// The flow at `x`, and `v·(J^T v)` for each of `probes`, `[n, 1, 1, 1]`.
#[cfg(feature = "learn")]
fn reverse(
    model: &ScoreModel,
    x: &Tensor<4>,
    t: &[f64],
    probes: &[Tensor<4>],
) -> (Tensor<4>, Vec<Tensor<4>>) {
    let mut slope_here = x.zeros_like();
    let of_probe = |probe: &Tensor<4>| {
        let x = x.clone().autodiff().require_grad();
        let slope = flow(model, x.clone(), t);
        slope_here = slope.clone().inner();
        let gradients = (slope * probe.clone()).sum().backward();
        // A flow that does not depend on the state pulls nothing back.
        let pulled = x.grad(&gradients).unwrap_or_else(|| probe.zeros_like());
        dot(pulled, probe.clone())
    };
    let estimates = probes.iter().map(of_probe).collect();
    (slope_here, estimates)
}

/// The flow at `x`, and `v·(J v)` for each of `probes`, `[n, 1, 1, 1]`, by a `flow` that says how it changes.
fn along(x: &Tensor<4>, probes: &[Tensor<4>], flow: impl Fn(Dual) -> Dual) -> (Tensor<4>, Vec<Tensor<4>>) {
    let mut slope_here = x.zeros_like();
    let of_probe = |probe: &Tensor<4>| {
        let tangent = probe.clone().expand(x.dims());
        let Dual { value, tangent } = flow(Dual { value: x.clone(), tangent });
        slope_here = value;
        dot(tangent, probe.clone())
    };
    let estimates = probes.iter().map(of_probe).collect();
    (slope_here, estimates)
}
