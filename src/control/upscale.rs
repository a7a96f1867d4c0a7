use burn::tensor::Tensor;

use crate::model::{Known, Projection, ScoreModel};
use crate::{Error, Result};

/// The model of images whose blocks of `factor` x `factor` pixels have the means `small`: super-resolution.
///
/// `small` is `[1 or n, c, h / factor, w / factor]`, pixel values in `[0, 1]`.
///
/// # Errors
/// [`Error::Config`] if the model's size is not a multiple of `factor`, or `small` is not that much smaller.
pub fn upscale(model: ScoreModel, small: Tensor<4>, factor: usize) -> Result<ScoreModel> {
    let [c, height, width] = model.shape;
    if factor < 2 || !height.is_multiple_of(factor) || !width.is_multiple_of(factor) {
        let fix = format!("use a divisor of the model's {height} rows and {width} columns, 2 or more");
        return Err(Error::config("the factor", format!("= {factor} does not fit"), fix));
    }
    let [n, channels, h, w] = small.dims();
    if [channels, h, w] != [c, height / factor, width / factor] {
        let fix = format!("use one of {c}x{}x{}", height / factor, width / factor);
        return Err(Error::config("the image", format!("is {channels}x{h}x{w}"), fix));
    }
    let blocks: Tensor<6> = small.reshape([n, c, h, 1, w, 1]).expand([n, c, h, factor, w, factor]);
    let image = blocks.reshape([n, c, height, width]);
    Ok(model.knowing(Known::new(Projection::Blocks(factor), image)))
}
