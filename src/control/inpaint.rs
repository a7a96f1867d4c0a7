use burn::tensor::Tensor;

use super::{check_shape, conditioning_for};
use crate::model::{Conditioning, Known, Projection, ScoreModel};
use crate::{Error, Result};

/// The model of images that have the pixels of `image` wherever `mask` is 1 (Song et al. 2021, appendix I.2).
///
/// `image` `[1 or n, c, h, w]` has pixel values in `[0, 1]`, `mask` `[1 or n, 1 or c, h, w]` is 1 where they
/// are known and 0 where they are to be drawn. Known pixels are returned exactly. With n different images, draw
/// n samples.
///
/// # Errors
/// [`Error::Config`] if the image or the mask has another size than the model's, or for a conditioning
/// that a consistency function does not allow.
pub fn inpaint(
    model: ScoreModel,
    image: Tensor<4>,
    mask: Tensor<4>,
    conditioning: impl Into<Option<Conditioning>>,
) -> Result<ScoreModel> {
    check_shape("the image", &model, &image)?;
    let [n, channels, h, w] = mask.dims();
    let [c, ..] = model.shape;
    if ![1, c].contains(&channels) || [h, w] != model.shape[1..] || ![1, image.dims()[0]].contains(&n) {
        let problem = format!("is {h}x{w} for {n} images");
        return Err(Error::config("the mask", problem, "use one of the image's size"));
    }
    let mask = mask.expand([n, c, h, w]);
    let conditioning = conditioning_for(&model, conditioning.into())?;
    Ok(model.knowing(Known::new(Projection::Mask(Box::new(mask)), image, conditioning)))
}
