//! The variational bound of a codelength, from denoising alone.

use std::f64::consts::LN_2;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::check_eps;
use crate::model::ScoreModel;
use crate::ops::{self, Bins, combine, each, read};
use crate::rng::{Domain, Noise};
use crate::run::Run;
use crate::{Error, Result};

/// How the variational bound of the codelength of bytes is measured.
///
/// With noise levels even in `ln sigma` from `sigma(eps)` to `sigma(1)`, in nats (Kingma et al. 2021, equation 17; Song et al.
/// 2021b, theorem 1):
/// `-log P(bytes) <= ∫ E |x_0 - D(x_0 + sigma·z)|²/sigma² d(ln sigma) + KL(q(x_1 | x_0) || prior) - E log P(bytes | x_eps)`.
///
/// It is of the reverse-time SDE as [`Likelihood`](super::Likelihood) is of the probability-flow ODE. No derivative of the
/// network is needed and nothing is solved; bytes are not made continuous, since `P(bytes | x_eps)` is of the 256 values
/// alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bound {
    /// Noise levels at which each image is denoised, spread evenly with a random start.
    pub levels: usize,
    /// The time of the least noise.
    pub eps: f64,
}

impl Default for Bound {
    fn default() -> Self {
        Self { levels: 32, eps: 1e-5 }
    }
}

/// Draws of [`Domain::Bound`]: where an image's levels start, and from here on the noise of each.
const START: u32 = 0;
const NOISE: u32 = 1;

impl Bound {
    /// Bits per dimension of each of some 8-bit images, `bytes` `[n, c, h, w]`; and the NFE, which are [`levels`](Self::levels).
    ///
    /// Image `k`'s levels and noise are those of `noise`'s row `k`.
    ///
    /// # Errors
    /// [`Error::Config`] for no level, more than 10,000, or an `eps` outside (0, 1); [`Error::Cancelled`],
    /// [`Error::NonFinite`].
    pub async fn bits_per_dim(
        &self,
        model: &ScoreModel,
        bytes: &[u8],
        noise: &Noise,
        run: &mut Run<'_>,
    ) -> Result<(Vec<f64>, usize)> {
        check_eps(self.eps)?;
        if !(1..=10_000).contains(&self.levels) {
            return Err(Error::config(
                "levels",
                format!("= {} is not allowed", self.levels),
                "use 1 to 10000",
            ));
        }
        let before = model.nfe();
        run.first_nfe = before;
        let (dim, noise) = (model.dim(), noise.domain(Domain::Bound));
        let middles: Vec<f32> = bytes.iter().map(|byte| (f32::from(*byte) + 0.5) / 256.0).collect();
        let x0 = model.range.encode(model.upload(&middles));
        let [n, c, h, w] = x0.dims();
        let [least, most] = [self.eps, 1.0].map(|t| model.sde.sigma(t).ln());
        let starts = noise.uniform(START, n, 1);
        let mut nats = vec![self.outside(model); n];
        for (nats, prior) in nats.iter_mut().zip(prior_gap(model, x0.clone()).await?) {
            *nats += prior;
        }
        for level in 0..self.levels {
            let share = |start: &f32| (level as f64 + f64::from(*start)) / self.levels as f64;
            let sigma: Vec<f64> = starts.iter().map(|u| (least + share(u) * (most - least)).exp()).collect();
            let t = each(&sigma, |sigma| model.sde.time_of_sigma(sigma));
            let mean_coeff = each(&t, |t| model.sde.marginal_prob(t).0);
            let std = each(&t, |t| model.sde.marginal_prob(t).1);
            let z = ops::noise::normal(&noise, NOISE + level as u32, n, dim, model.device());
            let x = combine(&[(x0.clone(), &mean_coeff), (z.reshape([n, c, h, w]), &std)]);
            let off = model.denoised(x, &t) - x0.clone();
            run.step(model, [level + 1, self.levels], &off, 1.0, sigma[0]).await?;
            let squares = read((off.clone() * off).reshape([n, dim]).mean_dim(1)).await?;
            let step = (most - least) / self.levels as f64;
            for ((nats, square), sigma) in nats.iter_mut().zip(squares).zip(&sigma) {
                *nats += step * f64::from(square) / (sigma * sigma);
            }
        }
        Ok((nats.into_iter().map(|nats| nats / LN_2).collect(), model.nfe() - before))
    }

    /// `-E log P(byte | x_eps)` in nats, each of the 256 bytes being equally probable before: what the least noise leaves open.
    fn outside(&self, model: &ScoreModel) -> f64 {
        const REACH: i32 = 40;
        const POINTS: i32 = 400;
        let bins = model.sde.sigma(self.eps) / Bins::of(model.range).width;
        // Over the standard normal from -8 to 8.
        let of_point = |i: i32| {
            let z = 16.0 * ((f64::from(i) + 0.5) / f64::from(POINTS) - 0.5);
            let other = |j: i32| (z * f64::from(j) / bins - 0.5 * (f64::from(j) / bins).powi(2)).exp();
            let others: f64 = (-REACH..=REACH).filter(|j| *j != 0).map(other).sum();
            (-0.5 * z * z).exp() * others.ln_1p()
        };
        16.0 / f64::from(POINTS) * (0..POINTS).map(of_point).sum::<f64>() / std::f64::consts::TAU.sqrt()
    }
}

/// How far the diffusion's end is from the prior for each image: their Kullback-Leibler divergence in nats per dimension.
async fn prior_gap(model: &ScoreModel, x0: Tensor<4>) -> Result<Vec<f64>> {
    let (mean_coeff, std) = model.sde.marginal_prob(1.0);
    let ([n, ..], variance) = (x0.dims(), model.sde.prior_std().powi(2));
    let off = (x0 * mean_coeff - model.prior_mean()).reshape([n, model.dim()]);
    let squares = read((off.clone() * off).mean_dim(1)).await?;
    let share = std * std / variance;
    let gap = |square| 0.5 * (share - 1.0 - share.ln() + f64::from(square) / variance);
    Ok(squares.into_iter().map(gap).collect())
}
