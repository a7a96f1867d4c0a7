use serde::Deserialize;

use super::tensor;
use crate::model::{Conditioning, ScoreModel};
use crate::{Result, control};

/// What is known of the images of a `SampleRequest`. Images are `[c, h, w]` in `[0, 1]`.
///
/// Tagged from outside: only then does serde-wasm-bindgen see a typed array as what it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// The pixels of `image` where `mask` `[h, w]` is 1.
    Inpaint { image: Vec<f32>, mask: Vec<f32>, conditioning: Option<Conditioning> },
    /// The brightness of `image`.
    Colorize { image: Vec<f32>, conditioning: Option<Conditioning> },
    /// `image` in less detail, `[c, h / factor, w / factor]`.
    Upscale { image: Vec<f32>, factor: usize, conditioning: Option<Conditioning> },
    /// Roughly `image`, `strength` being the share of the noise that it gets.
    Edit { image: Vec<f32>, strength: f64 },
    /// `image` with noise of standard deviation `sigma`.
    Denoise { image: Vec<f32>, sigma: f64 },
}

impl Condition {
    /// `model` under this condition.
    pub fn apply(self, model: ScoreModel) -> Result<ScoreModel> {
        let [c, h, w] = model.shape;
        let image = |image: Vec<f32>, [c, h, w]: [usize; 3]| tensor("image", &image, &model, [1, c, h, w]);
        match self {
            Self::Inpaint { image: pixels, mask, conditioning } => {
                let (image, mask) =
                    (image(pixels, model.shape)?, tensor("mask", &mask, &model, [1, 1, h, w])?);
                control::inpaint(model, image, mask, conditioning)
            }
            Self::Colorize { image: pixels, conditioning } => {
                let image = image(pixels, [c, h, w])?;
                control::colorize(model, image, conditioning)
            }
            Self::Upscale { image: pixels, factor, conditioning } => {
                let image = image(pixels, control::small_shape(&model, factor)?)?;
                control::upscale(model, image, factor, conditioning)
            }
            Self::Edit { image: pixels, strength } => {
                let image = image(pixels, [c, h, w])?;
                control::edit(model, image, strength)
            }
            Self::Denoise { image: pixels, sigma } => {
                let image = image(pixels, [c, h, w])?;
                control::denoise(model, image, sigma)
            }
        }
    }
}
