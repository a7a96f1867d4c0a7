use burn::tensor::Tensor;

use crate::model::{Denoiser, ScoreModel};
use crate::ops::{Dual, combine};
use crate::weights::LoadedModel;
use crate::{Error, Result};

/// The weight where nothing is said: few samples are then mistakes, and they are still about as varied as the data.
pub const AUTOGUIDANCE: f64 = 2.0;

/// The model guided by a weaker version of itself (Karras et al. 2024, "Guiding a diffusion model with a bad version of
/// itself"): `D = D_weaker(x) + weight·(D(x) - D_weaker(x))`.
///
/// The weaker one makes the same mistakes, only larger, as long as it has learned the same data for a shorter time or with a
/// smaller network. What differs between the two leads away from them, so that fewer samples are none of the data, without
/// making them alike as guidance to a class does. `weight` 1 is the model alone. NFE are those of both. The weaker one may be of
/// another diffusion.
///
/// # Errors
/// [`Error::Config`] if the two have learned something else, or images of another shape, or for a weight that is not from 0 to
/// 100.
pub fn autoguided(model: ScoreModel, weaker: ScoreModel, weight: f64) -> Result<ScoreModel> {
    if (model.learned, model.shape) != (weaker.learned, weaker.shape) {
        let problem = "has learned something else, or images of another shape";
        return Err(Error::config("the weaker model", problem, "name one of the same data set"));
    }
    if !(0.0..=100.0).contains(&weight) {
        let problem = format!("= {weight} is not allowed");
        return Err(Error::config("the weight of the weaker model", problem, "use 0 to 100"));
    }
    let weaker = weaker.on_the_terms_of(&model).into_denoiser();
    Ok(model.map_denoiser(|model| Box::new(Autoguided { model, weaker, weight })))
}

/// [`autoguided`] by a weaker model that is asked for the same `classes` as `model`, one for all images or one each, if it has
/// learned any.
///
/// # Errors
/// As [`autoguided`] and [`LoadedModel::asked`].
pub fn led_on(
    model: ScoreModel,
    weaker: &LoadedModel,
    classes: Option<&[usize]>,
    weight: f64,
) -> Result<ScoreModel> {
    let classes = classes.filter(|_| weaker.classes() > 0);
    autoguided(model, weaker.asked(classes, 1.0)?, weight)
}

struct Autoguided {
    model: Box<dyn Denoiser>,
    weaker: Box<dyn Denoiser>,
    weight: f64,
}

impl Denoiser for Autoguided {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        let (better, worse) = (self.model.denoise(x.clone(), sigma), self.weaker.denoise(x, sigma));
        combine(&[(better, &[self.weight]), (worse, &[1.0 - self.weight])])
    }

    fn denoise_dual(&self, x: Dual, sigma: &[f64]) -> Dual {
        let (better, worse) = (self.model.denoise_dual(x.clone(), sigma), self.weaker.denoise_dual(x, sigma));
        Dual::combine(&[(better, &[self.weight]), (worse, &[1.0 - self.weight])])
    }

    fn evaluations(&self) -> usize {
        self.model.evaluations() + self.weaker.evaluations()
    }
}
