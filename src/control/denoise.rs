use std::ops::RangeInclusive;

use burn::tensor::Tensor;

use super::check_shape;
use crate::model::ScoreModel;
use crate::{Error, Result};

/// The standard deviations of noise that a model can take out, black being 0 and white 1.
pub fn known_noise(model: &ScoreModel) -> RangeInclusive<f64> {
    let unit = model.range.high - model.range.low;
    let [least, most] = [model.sde.sampling_eps(), 1.0].map(|t| model.sde.sigma(t) / unit);
    least..=most
}

/// The model of clean images that, with noise of standard deviation `sigma`, become `image`.
///
/// `image` `[1 or n, c, h, w]` are noisy pixel values and `sigma` is in their units. The reverse diffusion (`pc`
/// with `n_corrector` 0) draws from the posterior. Corrector and Langevin steps do not: they lead from the image
/// to the density of all images. An ODE solver gives one image, always the same. The mean of the posterior, which
/// has the least mean squared error, takes no sampler: [`ScoreModel::denoised`] of
/// [`ScoreModel::prior`] at `t = 1`.
///
/// # Errors
/// [`Error::Config`] for a `sigma` outside the noise levels of the model or an image of another size.
pub fn denoise(model: ScoreModel, image: Tensor<4>, sigma: f64) -> Result<ScoreModel> {
    check_shape("the image", &model, &image)?;
    let known = known_noise(&model);
    if !known.contains(&sigma) {
        let (least, most) = known.into_inner();
        let fix = format!("this model knows {least:.3} to {most:.1}, black being 0 and white 1");
        return Err(Error::config("sigma", format!("= {sigma} is not allowed"), fix));
    }
    let t = model.sde.time_of_sigma(sigma * (model.range.high - model.range.low));
    Ok(model.starting_from(image, t, 0.0))
}
