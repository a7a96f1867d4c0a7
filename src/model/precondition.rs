use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Denoiser, Learned};
use crate::dequantise::Dequantisation;
use crate::images::DataRange;
use crate::network::{Context, Network};
use crate::ops::{Bins, Dual, Replay, combine, each, scale};
use crate::sde::AnySde;

/// How a network's input, output and noise level are scaled:
/// `D(x; sigma) = c_skip·x + c_out·F(c_in·x; c_noise)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Preconditioning {
    /// Unit variance in and out at every noise level (Karras et al. 2022, table 1).
    Edm {
        /// Standard deviation of the data in the model's units.
        sigma_data: f64,
    },
    /// EDM's scaling of values that are bytes, for likelihoods: what a value says by itself of its byte, which is all there
    /// is to know where the noise is below a grey level, is not left to the network; see [`Bins`].
    Bytes {
        /// Standard deviation of the data in the model's units.
        sigma_data: f64,
        /// Where the bytes lie.
        bins: Bins,
    },
    /// The network predicts the noise from the unscaled state: `x_t` and `999·t` for VP and sub-VP (DDPM),
    /// `x_t` and `ln(sigma)` for VE and EDM's diffusion (NCSN++'s `scale_by_sigma`).
    Eps,
    /// The network gives the score itself of the unscaled state, and reads what it reads for [`Self::Eps`] (NCSN).
    Score,
    /// A consistency function: EDM's scaling, shifted so that an image at the smallest noise level is its own result
    /// whatever the network says (Song et al. 2023, appendix C).
    Consistency {
        /// Standard deviation of the data in the model's units.
        sigma_data: f64,
    },
}

/// A preconditioning whose constants are still to come from the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreconditioningChoice {
    /// Karras et al. 2022.
    Edm,
    /// The same for values that are bytes.
    Bytes,
    /// DDPM and NCSN++.
    Eps,
    /// NCSN.
    Score,
    /// Song et al. 2023.
    Consistency,
}

impl PreconditioningChoice {
    /// The preconditioning for data of this deviation and range.
    pub fn measured(self, sigma_data: f64, range: DataRange) -> Preconditioning {
        match self {
            Self::Edm => Preconditioning::Edm { sigma_data },
            Self::Bytes => Preconditioning::Bytes { sigma_data, bins: Bins::of(range) },
            Self::Eps => Preconditioning::Eps,
            Self::Score => Preconditioning::Score,
            Self::Consistency => Preconditioning::Consistency { sigma_data },
        }
    }
}

/// The factors for some noise levels, one for the batch or one per sample.
struct Scaling {
    c_skip: Vec<f64>,
    c_out: Vec<f64>,
    c_in: Vec<f64>,
    c_noise: Vec<f64>,
}

impl Preconditioning {
    /// What a network with this scaling has learned.
    pub fn learned(&self) -> Learned {
        match self {
            Self::Edm { .. } | Self::Bytes { .. } | Self::Eps | Self::Score => Learned::Score,
            Self::Consistency { .. } => Learned::Consistency,
        }
    }

    /// The constant that must be positive, if there is one.
    pub fn sigma_data(&self) -> Option<f64> {
        match self {
            Self::Edm { sigma_data } | Self::Bytes { sigma_data, .. } | Self::Consistency { sigma_data } => {
                Some(*sigma_data)
            }
            Self::Eps | Self::Score => None,
        }
    }

    /// What makes the model's images continuous, where it learns and where its likelihood is measured.
    pub fn dequantisation(&self) -> Dequantisation {
        match self {
            Self::Bytes { .. } => Dequantisation::TruncatedNormal,
            _ => Dequantisation::Uniform,
        }
    }

    /// Channels that the network reads, and those that it returns, of images of `channels`.
    pub fn channels(&self, channels: usize) -> [usize; 2] {
        match self {
            Self::Bytes { .. } => [Bins::INPUTS, Bins::OUTPUTS].map(|times| times * channels),
            _ => [channels; 2],
        }
    }

    fn scaling(&self, sde: &AnySde, sigma: &[f64]) -> Scaling {
        let mean = |s: f64| sde.marginal_prob(sde.time_of_sigma(s)).0;
        match *self {
            Self::Edm { sigma_data } => {
                let variance = |s: f64| s * s + sigma_data * sigma_data;
                Scaling {
                    c_skip: each(sigma, |s| sigma_data * sigma_data / variance(s)),
                    c_out: each(sigma, |s| s * sigma_data / variance(s).sqrt()),
                    c_in: each(sigma, |s| 1.0 / variance(s).sqrt()),
                    c_noise: each(sigma, |s| s.ln() / 4.0),
                }
            }
            Self::Bytes { sigma_data, bins } => {
                let data = sigma_data * sigma_data;
                let left = each(sigma, |s| bins.left(s));
                Scaling {
                    c_skip: each(&left, |left| data / (left + data)),
                    c_out: each(&left, |left| (left * data / (left + data)).sqrt()),
                    c_in: each(sigma, |s| 1.0 / (s * s + data).sqrt()),
                    c_noise: each(sigma, |s| s.ln() / 4.0),
                }
            }
            Self::Eps => Scaling {
                c_skip: vec![1.0],
                c_out: each(sigma, |s| -s),
                c_in: each(sigma, mean),
                c_noise: each(sigma, |s| sde.c_noise(s)),
            },
            Self::Score => Scaling {
                c_skip: vec![1.0],
                c_out: each(sigma, |s| s * s * mean(s)),
                c_in: each(sigma, mean),
                c_noise: each(sigma, |s| sde.c_noise(s)),
            },
            Self::Consistency { sigma_data } => {
                let least = sde.sigma(sde.sampling_eps());
                let variance = |s: f64| s * s + sigma_data * sigma_data;
                let shifted = |s: f64| (s - least).powi(2) + sigma_data * sigma_data;
                Scaling {
                    c_skip: each(sigma, |s| sigma_data * sigma_data / shifted(s)),
                    c_out: each(sigma, |s| sigma_data * (s - least) / variance(s).sqrt()),
                    c_in: each(sigma, |s| 1.0 / variance(s).sqrt()),
                    c_noise: each(sigma, |s| s.ln() / 4.0),
                }
            }
        }
    }
}

/// A network with its preconditioning. Clones share the weights.
#[derive(Debug, Clone)]
pub struct Preconditioned {
    network: Network,
    replay: Replay,
    /// Its scaling.
    pub preconditioning: Preconditioning,
    /// The diffusion that it was trained for.
    pub sde: AnySde,
}

impl Preconditioned {
    /// A network that was trained for `sde` with `preconditioning`.
    pub fn new(network: Network, preconditioning: Preconditioning, sde: AnySde) -> Self {
        Self { network, replay: Replay::default(), preconditioning, sde }
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The same for weights that are taken as they are: nothing is recorded for them.
    pub fn off_tape(&self) -> Self {
        Self::new(self.network.valid(), self.preconditioning, self.sde)
    }

    /// The network, to change it: what a GPU has recorded of its evaluations is forgotten.
    pub fn network_mut(&mut self) -> &mut Network {
        self.replay = Replay::default();
        &mut self.network
    }

    /// [`Denoiser::denoise`] of images of known classes, or with dropout while training.
    pub fn forward(&self, x: Tensor<4>, sigma: &[f64], context: Context<'_>) -> Tensor<4> {
        let Scaling { c_skip, c_out, c_in, c_noise } = self.preconditioning.scaling(&self.sde, sigma);
        match self.preconditioning {
            Preconditioning::Bytes { bins, .. } => {
                let input = bins.look(x.clone(), &c_in, sigma);
                let decide = |raw| bins.decide(x, raw, sigma, [&c_skip, &c_out]);
                self.evaluate((input, &[1.0]), &c_noise, context, decide)
            }
            _ => {
                let input = (x.clone(), c_in.as_slice());
                self.evaluate(input, &c_noise, context, |raw| combine(&[(x, &c_skip), (raw, &c_out)]))
            }
        }
    }

    /// [`Self::forward`] and how its result changes along the tangent of `x`.
    pub fn forward_dual(&self, x: Dual, sigma: &[f64], context: Context<'_>) -> Dual {
        let Scaling { c_skip, c_out, c_in, c_noise } = self.preconditioning.scaling(&self.sde, sigma);
        let network = |input: Dual| self.network.forward(input, &c_noise, context);
        match self.preconditioning {
            Preconditioning::Bytes { bins, .. } => {
                let raw = network(bins.look_dual(x.clone(), &c_in, sigma));
                bins.decide_dual(x, raw, sigma, [&c_skip, &c_out])
            }
            _ => Dual::combine(&[(x.clone(), &c_skip), (network(x.scale(&c_in)), &c_out)]),
        }
    }

    /// `then` of the network's raw output for `c_in·x`.
    fn evaluate(
        &self,
        (x, c_in): (Tensor<4>, &[f64]),
        c_noise: &[f64],
        context: Context<'_>,
        then: impl FnOnce(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        // In training nothing repeats: neither weights nor masks.
        if context.dropout.is_some() || self.network.is_autodiff() {
            return then(self.network.forward(scale(x, c_in), c_noise, context));
        }
        let features = self.network.features(c_noise, context);
        let network = |x: Tensor<4>, features| self.network.forward_features(x.into(), features, None).into();
        self.replay.run((x, c_in), features, network, then)
    }
}

impl Denoiser for Preconditioned {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        self.forward(x, sigma, Context::default())
    }

    fn denoise_dual(&self, x: Dual, sigma: &[f64]) -> Dual {
        self.forward_dual(x, sigma, Context::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `D = x` at the smallest noise level, to the last bit, and EDM's scaling far above it.
    #[test]
    fn a_consistency_function_leaves_the_boundary_alone() {
        for sde in AnySde::all() {
            let least = sde.sigma(sde.sampling_eps());
            let boundary = Preconditioning::Consistency { sigma_data: 0.5 }.scaling(&sde, &[least]);
            assert_eq!((boundary.c_skip[0], boundary.c_out[0]), (1.0, 0.0), "{sde:?}");
            let [shifted, plain] =
                [Preconditioning::Consistency { sigma_data: 0.5 }, Preconditioning::Edm { sigma_data: 0.5 }]
                    .map(|preconditioning| preconditioning.scaling(&sde, &[1e3 * least]));
            assert!((shifted.c_skip[0] / plain.c_skip[0] - 1.0).abs() < 3e-3, "{sde:?}");
            assert!((shifted.c_out[0] / plain.c_out[0] - 1.0).abs() < 3e-3, "{sde:?}");
            assert_eq!((shifted.c_in, shifted.c_noise), (plain.c_in, plain.c_noise));
        }
    }
}
