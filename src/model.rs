//! [`ScoreModel`]: what a network's output means.
//!
//! A network sees scaled inputs and returns raw numbers. Everything between that and the score lives
//! here and nowhere else: preconditioning, the diffusion, the data's range, and the count of network
//! evaluations (NFE), which is counted where it happens, never computed by formula.

mod classifier_free;
mod known;

pub use classifier_free::ClassifierFree;
pub(crate) use classifier_free::check_class;
pub use known::{Known, Projection};

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::network::{Context, UNet};
use crate::ops::{Replay, combine, scale};
use crate::sde::AnySde;

/// Estimates clean data from data with Gaussian noise.
pub trait Denoiser {
    /// The expectation of `x_0` given `x = x_0 + sigma·z`; `x` is `[n, c, h, w]` and `sigma` holds one
    /// level for the whole batch or one per sample.
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4>;

    /// Network evaluations that this takes for each sample.
    fn evaluations(&self) -> usize {
        1
    }
}

/// The values that black and white pixels have inside a model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRange {
    /// Black.
    pub low: f64,
    /// White.
    pub high: f64,
}

impl DataRange {
    /// `[0, 1]`, what the papers use with VE.
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };
    /// `[-1, 1]`, what the papers use with VP.
    pub const CENTRED: Self = Self { low: -1.0, high: 1.0 };

    /// From pixel values in `[0, 1]` to the model's units.
    pub fn encode<const D: usize>(&self, pixels: Tensor<D>) -> Tensor<D> {
        pixels * (self.high - self.low) + self.low
    }

    /// From the model's units to pixel values, not clipped.
    pub fn decode<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        (x - self.low) / (self.high - self.low)
    }
}

/// How a network's input, output and noise level are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Preconditioning {
    /// Unit variance in and out at every noise level (Karras et al. 2022, table 1):
    /// `D = c_skip·x + c_out·F(c_in·x; ln(sigma)/4)`.
    Edm {
        /// Standard deviation of the data in the model's units.
        sigma_data: f64,
    },
    /// The network predicts the noise from the unscaled state: `x_t` and `999·t` for VP and sub-VP (DDPM),
    /// `x_t` and `ln(sigma)` for VE and EDM's diffusion (NCSN++'s `scale_by_sigma`).
    Eps,
}

/// A network with its preconditioning. Clones share the weights.
#[derive(Debug, Clone)]
pub struct Preconditioned {
    network: UNet,
    replay: Replay,
    /// Its scaling.
    pub preconditioning: Preconditioning,
    /// The diffusion that it was trained for.
    pub sde: AnySde,
}

impl Preconditioned {
    /// A network that was trained for `sde` with `preconditioning`.
    pub fn new(network: UNet, preconditioning: Preconditioning, sde: AnySde) -> Self {
        Self { network, replay: Replay::default(), preconditioning, sde }
    }

    /// The network.
    pub fn network(&self) -> &UNet {
        &self.network
    }

    /// The network, to change it: what a GPU has recorded of its evaluations is forgotten.
    pub fn network_mut(&mut self) -> &mut UNet {
        self.replay = Replay::default();
        &mut self.network
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
        let features = self.network.features(c_noise, context.labels);
        let network = |x, features| self.network.forward_features(x, features, None);
        self.replay.run((x, c_in), features, network, then)
    }

    /// [`Denoiser::denoise`] of images of known classes, or with dropout while training.
    pub fn forward(&self, x: Tensor<4>, sigma: &[f64], context: Context<'_>) -> Tensor<4> {
        match self.preconditioning {
            Preconditioning::Edm { sigma_data } => {
                let variance = |s: f64| s * s + sigma_data * sigma_data;
                let c_skip = each(sigma, |s| sigma_data * sigma_data / variance(s));
                let c_out = each(sigma, |s| s * sigma_data / variance(s).sqrt());
                let c_in = each(sigma, |s| 1.0 / variance(s).sqrt());
                let c_noise = each(sigma, |s| s.ln() / 4.0);
                let input = (x.clone(), c_in.as_slice());
                self.evaluate(input, &c_noise, context, |raw| combine(&[(x, &c_skip), (raw, &c_out)]))
            }
            Preconditioning::Eps => {
                let t = each(sigma, |s| self.sde.time_of_sigma(s));
                let mean_coeff = each(&t, |t| self.sde.marginal_prob(t).0);
                let c_noise = match self.sde {
                    AnySde::Ve(_) | AnySde::Edm(_) => each(sigma, f64::ln),
                    AnySde::Vp(_) | AnySde::SubVp(_) => each(&t, |t| 999.0 * t),
                };
                let (input, c_out) = ((x.clone(), mean_coeff.as_slice()), each(sigma, |s| -s));
                self.evaluate(input, &c_noise, context, |eps| combine(&[(x, &[1.0]), (eps, &c_out)]))
            }
        }
    }
}

impl Denoiser for Preconditioned {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        self.forward(x, sigma, Context::default())
    }
}

/// `f` of every value.
pub(crate) fn each(values: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
    values.iter().map(|v| f(*v)).collect()
}

/// Where samples start if not in the prior: `mean_coeff·image + noise·std·z`, in the model's units.
#[derive(Debug)]
struct Start {
    image: Tensor<4>,
    noise: f64,
}

/// A denoiser, the diffusion it belongs to, and the shape and range of its data.
///
/// Conditions on the samples are part of the model ([`control`](crate::control)), so that every sampler draws
/// under them without knowing of them.
pub struct ScoreModel {
    denoiser: Box<dyn Denoiser>,
    /// The forward diffusion.
    pub sde: AnySde,
    /// What black and white are in the model's units.
    pub range: DataRange,
    /// `[c, h, w]` of one sample.
    pub shape: [usize; 3],
    known: Option<Known>,
    start: Option<Start>,
    device: Device,
    nfe: AtomicUsize,
}

impl std::fmt::Debug for ScoreModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScoreModel")
            .field("sde", &self.sde)
            .field("range", &self.range)
            .field("shape", &self.shape)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl ScoreModel {
    /// Wraps a denoiser; `device` is where samplers will create their states.
    pub fn new(
        denoiser: Box<dyn Denoiser>,
        sde: AnySde,
        range: DataRange,
        shape: [usize; 3],
        device: &Device,
    ) -> Self {
        let (known, start, nfe) = (None, None, AtomicUsize::new(0));
        Self { denoiser, sde, range, shape, known, start, device: device.clone(), nfe }
    }

    /// The same model with its denoiser wrapped in another one.
    pub fn map_denoiser(self, wrap: impl FnOnce(Box<dyn Denoiser>) -> Box<dyn Denoiser>) -> Self {
        Self { denoiser: wrap(self.denoiser), ..self }
    }

    /// The model of images whose `known` part is given.
    ///
    /// Every denoised image gets the known part. In that part the score is then exactly that of the forward
    /// diffusion from the known values, so whatever a sampler does keeps it at these values with the noise of
    /// its own time, without being told. In the rest the score is that of the whole image at its current noise.
    pub fn knowing(self, known: Known) -> Self {
        let start = match self.start {
            None => Start { image: known.encoded(self.range), noise: 1.0 },
            Some(Start { image, noise }) => Start { image: known.impose(image, self.range), noise },
        };
        Self { known: Some(known), start: Some(start), ..self }
    }

    /// The model whose samples start at time `t` instead of 1, in `image` `[1, c, h, w]` or `[n, c, h, w]`
    /// (pixel values) with `noise` times the noise of that time: 1 for a clean image, 0 for one that has it.
    ///
    /// The diffusion of the result is the part up to `t` of the old one, run through from 0 to 1.
    pub fn starting_from(self, image: Tensor<4>, t: f64, noise: f64) -> Self {
        let image = self.range.encode(image);
        let image = match &self.known {
            None => image,
            Some(known) => known.impose(image, self.range),
        };
        Self { sde: self.sde.until(t), start: Some(Start { image, noise }), ..self }
    }

    /// The state at `t = 1` that belongs to standard normals `z` `[n, c, h, w]`.
    pub fn prior(&self, z: Tensor<4>) -> Tensor<4> {
        match &self.start {
            None => z * self.sde.prior_std(),
            Some(Start { image, noise }) => {
                let (mean_coeff, std) = self.sde.marginal_prob(1.0);
                image.clone() * mean_coeff + z * (noise * std)
            }
        }
    }

    /// The pixel values of finished samples, not clipped; what is known of them is as it was given.
    pub fn pixels(&self, x: Tensor<4>) -> Tensor<4> {
        let images = self.range.decode(x);
        match &self.known {
            None => images,
            Some(known) => known.impose_pixels(images),
        }
    }

    /// Where the model's tensors live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Number of values in one sample.
    pub fn dim(&self) -> usize {
        self.shape.iter().product()
    }

    /// Batched network evaluations since the model was made. One evaluation of `n` samples counts
    /// once: it is what every sample of the batch has cost. One with classifier-free guidance counts twice.
    pub fn nfe(&self) -> usize {
        self.nfe.load(Ordering::Relaxed)
    }

    /// Estimate of `x_0` from states `x` at times `t`, one for the batch or one per sample. One NFE.
    ///
    /// `x` is `[n, c, h, w]` on the diffusion's scale (`x_t`, not `x_t / mean_coeff`).
    pub fn denoised(&self, x: Tensor<4>, t: &[f64]) -> Tensor<4> {
        self.nfe.fetch_add(self.denoiser.evaluations(), Ordering::Relaxed);
        let unscaled = scale(x, &each(t, |t| 1.0 / self.sde.marginal_prob(t).0));
        let denoised = self.denoiser.denoise(unscaled, &each(t, |t| self.sde.sigma(t)));
        match &self.known {
            None => denoised,
            Some(known) => known.impose(denoised, self.range),
        }
    }

    /// Estimate of the noise in `x`: `(x - mean_coeff·denoised)/std`. One NFE.
    pub fn eps(&self, x: Tensor<4>, t: &[f64]) -> Tensor<4> {
        let denoised = self.denoised(x.clone(), t);
        let of_x = each(t, |t| 1.0 / self.sde.marginal_prob(t).1);
        let of_denoised = each(t, |t| -self.sde.marginal_prob(t).0 / self.sde.marginal_prob(t).1);
        combine(&[(x, &of_x), (denoised, &of_denoised)])
    }

    /// Estimate of the score, the gradient of `log p_t(x)`: `-eps/std` (Vincent 2011). One NFE.
    pub fn score(&self, x: Tensor<4>, t: &[f64]) -> Tensor<4> {
        let denoised = self.denoised(x.clone(), t);
        let of_x = each(t, |t| -self.sde.marginal_prob(t).1.powi(-2));
        let of_denoised = each(t, |t| self.sde.marginal_prob(t).0 * self.sde.marginal_prob(t).1.powi(-2));
        combine(&[(x, &of_x), (denoised, &of_denoised)])
    }
}
