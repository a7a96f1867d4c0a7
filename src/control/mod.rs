//! Samples under a condition, without training anything: one file for each kind.
//!
//! Every function here turns a [`ScoreModel`] into another one, and any sampler draws from that. A condition
//! can act in three places, and each belongs to the model, not to the sampler:
//!
//! - The *denoised image*: what is known of it is put there ([`ScoreModel::knowing`]). [`inpaint()`],
//!   [`colorize()`] and [`upscale()`] differ in which projection of the image is known, and share the rest. Or it moves on
//!   from what a weaker version of the model says ([`autoguided`]).
//! - The *score*: the gradient of a log-probability is added ([`guided`], [`class_guided`], [`ClassifierFree`](crate::model::ClassifierFree)).
//! - The *start*: samples begin at an earlier time, in an image ([`edit()`], [`denoise()`]).
//!
//! To add one: a file with a function that returns a `ScoreModel`.
//!
//! # Bias of known parts
//! Putting the known part in place leaves the rest with the score of `p_t(rest | known part at its noise)`
//! instead of `p_t(rest | known part)`; both agree only as the noise vanishes, so what is far from the known
//! part is settled too early, when the known part is still noisy (Lugmayr et al. 2022 call it disharmony;
//! Song et al. 2021, appendix I.2, accept it). There are two answers, and they can be combined:
//!
//! - [`Conditioning`] carries what the denoised image misses of the known part over to the
//!   rest, by the covariance of the image given its noisy state: every sampler then follows the right density, as far as
//!   images are normal given their noisy state.
//! - RePaint goes back and forth between two noise levels; here that is the corrector of `pc` and the inner steps of
//!   `ald`: they move the rest towards equilibrium with the known part at every level.
//!
//! docs/CONTROL.md has the measured bias of each.
//!
//! # Consistency functions
//! They are no expectation of the image, so no covariance carries anything over. Their known part is put in its place after
//! each of several steps, whose fresh noise the rest then learns from (Song et al. 2023, algorithm 4).

mod autoguidance;
mod colorize;
mod denoise;
mod edit;
mod guidance;
mod inpaint;
mod upscale;

pub use autoguidance::{AUTOGUIDANCE, autoguided, led_on};
pub use colorize::colorize;
pub use denoise::{denoise, known_noise};
pub use edit::edit;
pub use guidance::{ClassGuide, Guide, class_guided, guided, guided_by};
pub use inpaint::inpaint;
pub use upscale::{small_shape, upscale};

use burn::tensor::Tensor;

use crate::model::{Conditioning, Learned, ScoreModel};
use crate::{Error, Result};

/// How the rest is to learn of a known part: as it was said, or else as suits what the model has learned.
fn conditioning_for(model: &ScoreModel, said: Option<Conditioning>) -> Result<Conditioning> {
    match (model.learned, said) {
        (Learned::Score, said) => Ok(said.unwrap_or_default()),
        (Learned::Consistency, None | Some(Conditioning::Replacement)) => Ok(Conditioning::Replacement),
        (learned, Some(other)) => Err(Error::config(
            "the conditioning",
            format!("{} needs {}, but the model has learned {learned}", other.name(), Learned::Score),
            format!("use {}", Conditioning::Replacement.name()),
        )),
    }
}

/// Refuses an image that is not of the model's shape.
fn check_shape(what: &str, model: &ScoreModel, image: &Tensor<4>) -> Result<()> {
    let [_, c, h, w] = image.dims();
    if [c, h, w] == model.shape {
        return Ok(());
    }
    let [channels, height, width] = model.shape;
    let problem = format!("is {c}x{h}x{w} (channels, rows, columns)");
    Err(Error::config(what, problem, format!("this model takes {channels}x{height}x{width}")))
}
