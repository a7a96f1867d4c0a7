use burn::tensor::Tensor;

use super::check_shape;
use crate::model::ScoreModel;
use crate::{Error, Result};

/// The model of images near a sketch: it is noised up to time `strength` and samples start there (SDEdit, Meng
/// et al. 2022).
///
/// `image` `[1 or n, c, h, w]`, pixel values in `[0, 1]`. A small `strength` keeps the sketch with its faults,
/// 1 forgets it, and so do corrector and Langevin steps. Costs less than a whole sample where steps are shared out by time; NFE is counted.
///
/// # Errors
/// [`Error::Config`] for a `strength` outside 0.01 to 1 or an image of another size.
pub fn edit(model: ScoreModel, image: Tensor<4>, strength: f64) -> Result<ScoreModel> {
    check_shape("the image", &model, &image)?;
    if !(0.01..=1.0).contains(&strength) {
        return Err(Error::config("the strength", format!("= {strength} is not allowed"), "use 0.01 to 1"));
    }
    Ok(model.starting_from(image, strength, 1.0))
}
