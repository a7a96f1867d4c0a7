use burn::tensor::Tensor;

use super::{check_shape, conditioning_for};
use crate::model::{Conditioning, Known, Projection, ScoreModel};
use crate::{Error, Result};

/// The model of colour images whose grey values are those of `image` (Song et al. 2021, appendix I.3).
///
/// `image` `[1 or n, 3, h, w]`, pixel values in `[0, 1]`, may be grey already. Grey is the mean of red, green
/// and blue, which is what an orthonormal transform of the colours needs, and not the luma of television.
///
/// # Errors
/// [`Error::Config`] for a model without colours or an image of another size, or for a conditioning that a consistency
/// function does not allow.
pub fn colorize(
    model: ScoreModel,
    image: Tensor<4>,
    conditioning: impl Into<Option<Conditioning>>,
) -> Result<ScoreModel> {
    if model.shape[0] != 3 {
        return Err(Error::config("the model", "draws grey images", "use a model with 3 channels"));
    }
    check_shape("the image", &model, &image)?;
    let conditioning = conditioning_for(&model, conditioning.into())?;
    Ok(model.knowing(Known::new(Projection::Grey, image, conditioning)))
}
