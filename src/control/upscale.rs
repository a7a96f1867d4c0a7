use burn::tensor::Tensor;

use super::conditioning_for;
use crate::model::{Conditioning, Known, Projection, ScoreModel};
use crate::{Error, Result};

/// `[c, h, w]` of the images that [`upscale`] takes.
///
/// # Errors
/// [`Error::Config`] if the model's size is not a multiple of `factor`, or `factor` is below 2.
pub fn small_shape(model: &ScoreModel, factor: usize) -> Result<[usize; 3]> {
    let [c, height, width] = model.shape;
    if factor < 2 || !height.is_multiple_of(factor) || !width.is_multiple_of(factor) {
        let fix = format!("use a divisor of the model's {height} rows and {width} columns, 2 or more");
        return Err(Error::config("the factor", format!("= {factor} does not fit"), fix));
    }
    Ok([c, height / factor, width / factor])
}

/// The model of images whose blocks of `factor` x `factor` pixels have the means `small`: super-resolution.
///
/// `small` is `[1 or n, c, h / factor, w / factor]`, pixel values in `[0, 1]`.
///
/// # Errors
/// As [`small_shape`], and [`Error::Config`] if `small` is not that much smaller, or for a conditioning that a consistency
/// function does not allow.
pub fn upscale(
    model: ScoreModel,
    small: Tensor<4>,
    factor: usize,
    conditioning: impl Into<Option<Conditioning>>,
) -> Result<ScoreModel> {
    let [c, h, w] = small_shape(&model, factor)?;
    let [n, channels, rows, columns] = small.dims();
    if [channels, rows, columns] != [c, h, w] {
        let problem = format!("is {channels}x{rows}x{columns}");
        return Err(Error::config("the image", problem, format!("use one of {c}x{h}x{w}")));
    }
    let conditioning = conditioning_for(&model, conditioning.into())?;
    let blocks: Tensor<6> = small.reshape([n, c, h, 1, w, 1]).expand([n, c, h, factor, w, factor]);
    let image = blocks.reshape([n, c, h * factor, w * factor]);
    Ok(model.knowing(Known::new(Projection::Blocks(factor), image, conditioning)))
}
