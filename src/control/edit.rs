use burn::tensor::Tensor;

use super::check_shape;
use crate::model::ScoreModel;
use crate::{Error, Result};

/// The model of images near a sketch: it gets noise, and samples start there (SDEdit, Meng et al. 2022).
///
/// `image` `[1 or n, c, h, w]`, pixel values in `[0, 1]`. `strength` is the share of the noise, `sigma/(sigma + half)`
/// with `half` half of the data's range: the same noise in the picture for every diffusion, at 0.5 a deviation of half
/// the way from black to white. A small one keeps the sketch with its faults, 1 forgets it, and so do corrector and
/// Langevin steps. Costs less than a whole sample where steps are shared out by time; NFE is counted.
///
/// # Errors
/// [`Error::Config`] for a `strength` above 1 or below the model's least noise, or an image of another size.
pub fn edit(model: ScoreModel, image: Tensor<4>, strength: f64) -> Result<ScoreModel> {
    check_shape("the image", &model, &image)?;
    let half = (model.range.high - model.range.low) / 2.0;
    let [least, most] = [model.sde.sampling_eps(), 1.0].map(|t| model.sde.sigma(t));
    let sigma = half * strength / (1.0 - strength);
    if !(strength <= 1.0 && sigma >= least) {
        // Rounded up: the smallest number that is said is allowed.
        let least = (1e3 * least / (least + half)).ceil() / 1e3;
        let problem = format!("= {strength} is not allowed");
        return Err(Error::config("the strength", problem, format!("use {least} to 1 with this model")));
    }
    let t = if sigma < most { model.sde.time_of_sigma(sigma) } else { 1.0 };
    Ok(model.starting_from(image, t, 1.0))
}
