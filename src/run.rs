//! The conversation between work that walks through many states (a sampler, an ODE) and whoever waits for it.

use std::pin::Pin;

use burn::tensor::Tensor;

use crate::cancel::CancelToken;
use crate::model::ScoreModel;
use crate::ops::read;
use crate::{Error, Result};

/// What drawn images come as, and what they cost.
#[derive(Debug, Clone)]
pub struct Solution {
    /// Samples `[n, c, h, w]` as pixel values: `[0, 1]` up to the sampler's error, not clipped.
    pub images: Tensor<4>,
    /// Network evaluations that each sample cost, counted.
    pub nfe: usize,
}

/// What a sampler tells while it works.
#[derive(Debug, Clone)]
pub enum Event {
    /// A step is done.
    Progress {
        /// Steps done.
        step: usize,
        /// Steps in all; for adaptive methods an estimate that may grow.
        n_steps: usize,
        /// Network evaluations so far.
        nfe: usize,
    },
    /// A picture of the state.
    Preview(Preview),
}

/// The state of all samples, made visible.
#[derive(Debug, Clone)]
pub struct Preview {
    /// `[n, c, h, w]`, about `[0, 1]`.
    pub images: Vec<f32>,
    /// What the model took them for when it was last asked, as many pixel values: the images without their noise.
    pub denoised: Option<Vec<f32>>,
    /// The shape of both.
    pub shape: [usize; 4],
    /// The noise level, in data units: of noise larger than half the data's range the images are shown smaller.
    pub sigma: f64,
}

/// By how much a state with noise `sigma` is shown smaller, where half the data's range is `half`: so that noise of any size
/// is seen.
pub fn contrast(sigma: f64, half: f64) -> f64 {
    1.0 / (1.0 + (sigma / half).powi(2)).sqrt()
}

type Pause<'a> = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()>>> + 'a>;

/// A caller's wishes for one run: where events go, when to show a preview, when to stop.
#[derive(Default)]
pub struct Run<'a> {
    /// Receives every event.
    pub on_event: Option<Box<dyn FnMut(Event) + 'a>>,
    /// Steps between previews; 0 shows none.
    pub preview_every: usize,
    /// Stops the run after its current step.
    pub cancel: CancelToken,
    /// Awaited after every step: where a browser lets messages in.
    pub pause: Option<Pause<'a>>,
    /// The model's count when the run started; samplers set it.
    pub first_nfe: usize,
    /// Parts of a longer job that are done, and that come after the current one: progress is reported
    /// over all of them, previews are shown in the last.
    pub parts: [usize; 2],
    /// The last step that was reported.
    pub last_step: usize,
}

impl std::fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("preview_every", &self.preview_every).finish_non_exhaustive()
    }
}

impl<'a> Run<'a> {
    /// Reports `step` of `n_steps` with the state `x` at noise level `sigma`, in data units.
    ///
    /// Waits until the device has computed `x`: work never piles up in its queue, so that a cancelled
    /// run stops within a step.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the caller asked for it; [`Error::NonFinite`] if what was read back, a
    /// preview or one value, is not finite.
    pub async fn step(
        &mut self,
        model: &ScoreModel,
        [step, n_steps]: [usize; 2],
        x: &Tensor<4>,
        mean_coeff: f64,
        sigma: f64,
    ) -> Result<()> {
        let [before, after] = self.parts;
        let previews = self.preview_every > 0 && self.on_event.is_some() && after == 0;
        if previews && step.is_multiple_of(self.preview_every) {
            let (seen, shape) = (visible(model, x.clone() / mean_coeff, sigma), x.dims());
            let belief = model.belief().filter(|belief| belief.dims() == shape);
            let both = [Some(seen), belief.map(|belief| model.pixels(belief))];
            // Read at once: each reading waits for the device.
            let mut images = read(Tensor::cat(both.into_iter().flatten().collect(), 0)).await?;
            check_finite(&images, step)?;
            let denoised = images.split_off(shape.iter().product());
            let denoised = (!denoised.is_empty()).then_some(denoised);
            self.emit(Event::Preview(Preview { images, denoised, shape, sigma }));
        } else {
            let [_, c, h, w] = x.dims();
            check_finite(&read(x.clone().slice([0..1, c - 1..c, h - 1..h, w - 1..w])).await?, step)?;
        }
        self.last_step = step;
        self.emit(Event::Progress {
            step: before * n_steps + step,
            n_steps: (before + 1 + after) * n_steps,
            nfe: model.nfe() - self.first_nfe,
        });
        if let Some(pause) = &self.pause {
            pause().await;
        }
        match self.cancel.is_cancelled() {
            true => Err(Error::Cancelled { step }),
            false => Ok(()),
        }
    }

    fn emit(&mut self, event: Event) {
        if let Some(on_event) = &mut self.on_event {
            on_event(event);
        }
    }
}

/// Pixels for looking at `x = x_0 + sigma·z`: fades from mid-grey noise of constant contrast to the
/// image itself as the noise falls below half of the data's range.
fn visible(model: &ScoreModel, x: Tensor<4>, sigma: f64) -> Tensor<4> {
    let (low, high) = (model.range.low, model.range.high);
    let (middle, half) = ((high + low) / 2.0, (high - low) / 2.0);
    model.range.decode((x - middle) * contrast(sigma, half) + middle)
}

/// A walk that has gone wrong stops where it is noticed.
fn check_finite(values: &[f32], step: usize) -> Result<()> {
    match values.iter().all(|v| v.is_finite()) {
        true => Ok(()),
        false => Err(Error::NonFinite {
            what: "the samples".into(),
            step,
            fix: "use more steps, a smaller step size or a smaller corrector_snr".into(),
        }),
    }
}

/// The finished samples of `steps` steps as pixel values, if they are finite.
pub(crate) async fn finished(model: &ScoreModel, x: Tensor<4>, steps: usize) -> Result<Tensor<4>> {
    let [n, c, h, w] = x.dims();
    let images = model.pixels(x);
    let magnitude = read(images.clone().abs().reshape([n * c * h * w]).max()).await?;
    // NaN survives neither `max` reliably nor a comparison, so ask for the sum as well.
    let sum = read(images.clone().sum()).await?;
    check_finite(&[magnitude, sum].concat(), steps)?;
    Ok(images)
}
