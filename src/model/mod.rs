//! [`ScoreModel`]: what a network's output means.
//!
//! A network sees scaled inputs and returns raw numbers. Everything between that and the score lives
//! here and nowhere else: preconditioning, the diffusion, the data's range, and the count of network
//! evaluations (NFE), which is counted where it happens, never computed by formula.

mod classifier_free;
mod divided;
mod known;
mod precondition;
mod rescaled;

pub use classifier_free::ClassifierFree;
pub(crate) use classifier_free::check_class;
pub use divided::Divided;
pub use known::{Conditioning, Known, Projection};
pub use precondition::{Preconditioned, Preconditioning, PreconditioningChoice};

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::dequantise::Dequantisation;
use crate::images::DataRange;
use crate::ops::{Dual, combine, each, scale, upload};
use crate::sde::AnySde;

/// What a model has learned, which is what a sampler asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Learned {
    /// The score of noisy data; equally the expectation of the clean image, or of the noise.
    #[default]
    Score,
    /// A consistency function: where the probability-flow ODE leads to from any point of a path (Song et al. 2023).
    Consistency,
}

impl std::fmt::Display for Learned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Score => "a score",
            Self::Consistency => "a consistency function",
        })
    }
}

/// Estimates clean data from data with Gaussian noise.
pub trait Denoiser {
    /// The expectation of `x_0` given `x = x_0 + sigma·z`; `x` is `[n, c, h, w]` and `sigma` holds one
    /// level for the whole batch or one per sample.
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4>;

    /// [`Self::denoise`], and how its result changes along the tangent of `x`: the product of its Jacobian with it.
    ///
    /// Where a denoiser does not know it, by a central difference.
    fn denoise_dual(&self, x: Dual, sigma: &[f64]) -> Dual {
        difference(|x| self.denoise(x, sigma), x, &each(sigma, |sigma| DIFFERENCE * sigma))
    }

    /// Network evaluations that this takes for each sample.
    fn evaluations(&self) -> usize {
        1
    }
}

/// Half the width of a difference relative to the noise. Larger ones see the curvature of the score, smaller ones the
/// rounding of f32.
pub const DIFFERENCE: f64 = 0.02;

/// `f` and how it changes along the tangent of `x`, by a difference of `width` times that on either side.
pub fn difference(f: impl Fn(Tensor<4>) -> Tensor<4>, x: Dual, width: &[f64]) -> Dual {
    let at =
        |sign: f64| f(combine(&[(x.value.clone(), &[1.0]), (x.tangent.clone(), &each(width, |h| sign * h))]));
    let tangent = scale(at(1.0) - at(-1.0), &each(width, |h| 0.5 / h));
    Dual { value: f(x.value.clone()), tangent }
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
    /// What its denoiser has learned.
    pub learned: Learned,
    /// What made the images continuous that it has learned.
    pub dequantisation: Dequantisation,
    data_mean: f64,
    known: Option<Known>,
    start: Option<Start>,
    device: Device,
    nfe: AtomicUsize,
    belief: Mutex<Option<Tensor<4>>>,
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
    /// Wraps a denoiser that has learned a score; `device` is where samplers will create their states.
    pub fn new(
        denoiser: Box<dyn Denoiser>,
        sde: AnySde,
        range: DataRange,
        shape: [usize; 3],
        device: &Device,
    ) -> Self {
        let (known, start, nfe, belief) = (None, None, AtomicUsize::new(0), Mutex::default());
        let (learned, data_mean, device) = (Learned::Score, 0.0, device.clone());
        let dequantisation = Dequantisation::default();
        Self {
            denoiser,
            sde,
            range,
            shape,
            learned,
            dequantisation,
            data_mean,
            known,
            start,
            device,
            nfe,
            belief,
        }
    }

    /// The same model of data whose values have this mean, in the model's units; 0 where nothing is said.
    ///
    /// The prior is then around what is left of it at `t = 1`. Where the noise at that time is not much larger than the
    /// mean (VE, EDM), samples from a prior around zero would be darker or lighter than the data.
    pub fn of_mean(self, data_mean: f64) -> Self {
        Self { data_mean, ..self }
    }

    /// The same model of a denoiser that has learned something else.
    pub fn having_learned(self, learned: Learned) -> Self {
        Self { learned, ..self }
    }

    /// The same model of images that were made continuous in another way.
    pub fn dequantised_by(self, dequantisation: Dequantisation) -> Self {
        Self { dequantisation, ..self }
    }

    /// The same model with its denoiser wrapped in another one.
    pub fn map_denoiser(self, wrap: impl FnOnce(Box<dyn Denoiser>) -> Box<dyn Denoiser>) -> Self {
        Self { denoiser: wrap(self.denoiser), ..self }
    }

    /// Its denoiser alone.
    pub fn into_denoiser(self) -> Box<dyn Denoiser> {
        self.denoiser
    }

    /// The model of images whose `known` part is given.
    ///
    /// Every denoised image gets the known part. In that part the score is then exactly that of the forward
    /// diffusion from the known values, so whatever a sampler does keeps it at these values with the noise of
    /// its own time, without being told. [`Conditioning`] says how the rest learns of it.
    pub fn knowing(self, known: Known) -> Self {
        let start = match self.start {
            None => {
                let unknown = known.encoded(self.range).zeros_like() + self.data_mean;
                Start { image: known.impose(unknown, self.range), noise: 1.0 }
            }
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
            None => match (z * self.sde.prior_std(), self.prior_mean()) {
                (x, 0.0) => x,
                (x, mean) => x + mean,
            },
            Some(Start { image, noise }) => {
                let (mean_coeff, std) = self.sde.marginal_prob(1.0);
                image.clone() * mean_coeff + z * (noise * std)
            }
        }
    }

    /// Whether samples start in noise alone, and not from an image.
    pub fn starts_in_prior(&self) -> bool {
        self.start.is_none()
    }

    /// Mean of the values of the prior, `mean_coeff(1)` times that of the data.
    pub fn prior_mean(&self) -> f64 {
        self.sde.marginal_prob(1.0).0 * self.data_mean
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

    /// `values` of whole images as a tensor `[n, c, h, w]` on the model's device.
    ///
    /// # Panics
    /// If they are not those of whole images.
    pub fn upload(&self, values: &[f32]) -> Tensor<4> {
        let [c, h, w] = self.shape;
        upload(values, [values.len() / self.dim(), c, h, w], &self.device)
    }

    /// Number of values in one sample.
    pub fn dim(&self) -> usize {
        self.shape.iter().product()
    }

    /// Batched network evaluations since the model was made. One evaluation of `n` samples counts
    /// once: it is what every sample of the batch has cost. One with classifier-free guidance counts twice, and so
    /// does one whose [`Conditioning`] takes two.
    pub fn nfe(&self) -> usize {
        self.nfe.load(Ordering::Relaxed)
    }

    /// Estimate of `x_0` from states `x` at times `t`, one for the batch or one per sample. One NFE.
    ///
    /// `x` is `[n, c, h, w]` on the diffusion's scale (`x_t`, not `x_t / mean_coeff`).
    pub fn denoised(&self, x: Tensor<4>, t: &[f64]) -> Tensor<4> {
        let times = self.known.as_ref().map_or(1, Known::evaluations);
        self.nfe.fetch_add(times * self.denoiser.evaluations(), Ordering::Relaxed);
        let unscaled = scale(x, &each(t, |t| 1.0 / self.sde.marginal_prob(t).0));
        let sigma = each(t, |t| self.sde.sigma(t));
        let denoise = |x| self.denoiser.denoise(x, &sigma);
        let denoised = match &self.known {
            None => denoise(unscaled),
            Some(known) => known.denoised(denoise, unscaled, &sigma, self.range),
        };
        self.believe(&denoised);
        denoised
    }

    /// What the last evaluation of the model took the images for, `[n, c, h, w]` in its units: what can be shown of a walk at
    /// no cost. `None` before the first one.
    pub fn belief(&self) -> Option<Tensor<4>> {
        self.belief.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what was said last; on a tape it would keep all of that.
    fn believe(&self, denoised: &Tensor<4>) {
        let belief = (!denoised.is_autodiff()).then(|| denoised.clone());
        *self.belief.lock().unwrap_or_else(PoisonError::into_inner) = belief;
    }

    /// [`Self::denoised`], and how it changes along the tangent of `x`. One NFE, of about twice the time.
    pub fn denoised_dual(&self, x: Dual, t: &[f64]) -> Dual {
        if self.known.is_some() {
            let width = each(t, |t| DIFFERENCE * self.sde.marginal_prob(t).1);
            return difference(|x| self.denoised(x, t), x, &width);
        }
        self.nfe.fetch_add(self.denoiser.evaluations(), Ordering::Relaxed);
        let unscaled = x.scale(&each(t, |t| 1.0 / self.sde.marginal_prob(t).0));
        let denoised = self.denoiser.denoise_dual(unscaled, &each(t, |t| self.sde.sigma(t)));
        self.believe(&denoised.value);
        denoised
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
        let [of_x, of_denoised] = self.score_factors(t);
        combine(&[(x, &of_x), (denoised, &of_denoised)])
    }

    /// [`Self::score`], and how it changes along the tangent of `x`. One NFE, of about twice the time.
    pub fn score_dual(&self, x: Dual, t: &[f64]) -> Dual {
        let denoised = self.denoised_dual(x.clone(), t);
        let [of_x, of_denoised] = self.score_factors(t);
        Dual::combine(&[(x, &of_x), (denoised, &of_denoised)])
    }

    /// What the state and the denoised image have in the score, `(mean_coeff·denoised - x)/std²`.
    fn score_factors(&self, t: &[f64]) -> [Vec<f64>; 2] {
        let precision = |t: f64| self.sde.marginal_prob(t).1.powi(-2);
        [each(t, |t| -precision(t)), each(t, |t| self.sde.marginal_prob(t).0 * precision(t))]
    }
}
