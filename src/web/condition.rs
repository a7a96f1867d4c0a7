use burn::tensor::Tensor;
use serde::Deserialize;

use crate::model::ScoreModel;
use crate::{Error, Result, control};

/// What is known of the images of a `SampleRequest`. Images are `[c, h, w]` in `[0, 1]`.
///
/// Tagged from outside: only then does serde-wasm-bindgen see a typed array as what it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// The pixels of `image` where `mask` `[h, w]` is 1.
    Inpaint { image: Vec<f32>, mask: Vec<f32> },
    /// The brightness of `image`.
    Colorize { image: Vec<f32> },
    /// `image` in less detail, `[c, h / factor, w / factor]`.
    Upscale { image: Vec<f32>, factor: usize },
    /// Roughly `image`, noised up to the time `strength`.
    Edit { image: Vec<f32>, strength: f64 },
    /// `image` with noise of standard deviation `sigma`.
    Denoise { image: Vec<f32>, sigma: f64 },
}

impl Condition {
    /// `model` under this condition.
    pub fn apply(self, model: ScoreModel) -> Result<ScoreModel> {
        let [c, h, w] = model.shape;
        match self {
            Self::Inpaint { image, mask } => {
                let (image, mask) =
                    (tensor("image", image, &model, [c, h, w])?, tensor("mask", mask, &model, [1, h, w])?);
                control::inpaint(model, image, mask)
            }
            Self::Colorize { image } => {
                let image = tensor("image", image, &model, [c, h, w])?;
                control::colorize(model, image)
            }
            Self::Upscale { image, factor } => {
                let shape = control::small_shape(&model, factor)?;
                let image = tensor("image", image, &model, shape)?;
                control::upscale(model, image, factor)
            }
            Self::Edit { image, strength } => {
                let image = tensor("image", image, &model, [c, h, w])?;
                control::edit(model, image, strength)
            }
            Self::Denoise { image, sigma } => {
                let image = tensor("image", image, &model, [c, h, w])?;
                control::denoise(model, image, sigma)
            }
        }
    }
}

fn tensor(what: &str, pixels: Vec<f32>, model: &ScoreModel, [c, h, w]: [usize; 3]) -> Result<Tensor<4>> {
    if pixels.len() != c * h * w {
        let problem = format!("has {} values", pixels.len());
        return Err(Error::config(what, problem, format!("give {c} x {h} x {w}")));
    }
    if !pixels.iter().all(|v| v.is_finite()) {
        return Err(Error::config(what, "has a value that is not a number", "use values from 0 to 1"));
    }
    Ok(Tensor::<1>::from_floats(pixels.as_slice(), model.device()).reshape([1, c, h, w]))
}
