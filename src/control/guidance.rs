use burn::tensor::Tensor;

use crate::images::DataRange;
use crate::model::{Denoiser, Learned, ScoreModel, check_class};
use crate::network::Classifier;
use crate::ops::{each, scale};
use crate::weights::LoadedClassifier;
use crate::{Error, Result};

/// Something that images are wanted to be, with a probability that has a gradient.
pub trait Guide {
    /// The gradient of `log p(wish | x)` with respect to `x = x_0 + sigma·z` `[n, c, h, w]` in the model's
    /// units, `sigma` being one level for the batch or one per sample.
    fn gradient(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4>;
}

/// The model of images that fulfil a wish: `score + weight·(gradient of log p(wish | x_t))` (Song et al. 2021,
/// appendix I.1; the weight is Dhariwal and Nichol's, 2021).
///
/// With `weight` 1 these are the scores of the conditional distribution, as far as the guide is right; larger
/// weights sharpen it. The guide's evaluations are not counted in NFE.
pub fn guided(model: ScoreModel, guide: Box<dyn Guide>, weight: f64) -> ScoreModel {
    model.map_denoiser(|inner| Box::new(Guided { inner, guide, weight }))
}

struct Guided {
    inner: Box<dyn Denoiser>,
    guide: Box<dyn Guide>,
    weight: f64,
}

impl Denoiser for Guided {
    /// `score = (denoised - x)/sigma²`, so what is added to it is added here times `sigma²`.
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        let gradient = self.guide.gradient(x.clone(), sigma);
        self.inner.denoise(x, sigma) + scale(gradient, &each(sigma, |s| self.weight * s * s))
    }

    fn evaluations(&self) -> usize {
        self.inner.evaluations()
    }
}

/// The wish to be of one class, in the opinion of a noise-conditional classifier.
#[derive(Debug)]
pub struct ClassGuide {
    classifier: Classifier,
    range: DataRange,
    class: usize,
}

impl ClassGuide {
    /// The wish to be of `class`, for images of a model with this range.
    pub fn new(classifier: Classifier, range: DataRange, class: usize) -> Self {
        Self { classifier, range, class }
    }
}

impl Guide for ClassGuide {
    fn gradient(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        let unit = self.range.high - self.range.low;
        let pixels = self.range.decode(x);
        self.classifier.log_p_gradient(pixels, &each(sigma, |s| s / unit), self.class) / unit
    }
}

/// [`guided`] by a classifier of `classes` classes towards one of them.
///
/// The classifier judges pixel values in `[0, 1]` with noise (`mnist-classifier` does).
///
/// # Errors
/// [`Config`](crate::Error::Config) for a class it does not have, a weight that is not a number from 0 to 100, or a model that has
/// learned no score.
pub fn class_guided(
    model: ScoreModel,
    classifier: Classifier,
    classes: usize,
    class: usize,
    weight: f64,
) -> Result<ScoreModel> {
    check_class(classes, class, weight)?;
    if model.learned != Learned::Score {
        let problem = format!("pulls a score, but the model has learned {}", model.learned);
        return Err(Error::config("the classifier", problem, "use a model that has learned classes itself"));
    }
    let guide = ClassGuide::new(classifier, model.range, class);
    Ok(guided(model, Box::new(guide), weight))
}

/// [`class_guided`] by the classifier of a model file.
///
/// # Errors
/// As [`class_guided`], and [`Config`](crate::Error::Config) if the model draws images of another shape than the
/// classifier judges.
pub fn guided_by(
    judge: LoadedClassifier,
    model: ScoreModel,
    class: usize,
    weight: f64,
) -> Result<ScoreModel> {
    if judge.shape != model.shape {
        let problem = format!("judges images of {:?}, the model draws {:?}", judge.shape, model.shape);
        return Err(Error::config("classifier", problem, "use one of the model's data set"));
    }
    class_guided(model, judge.classifier, judge.classes, class, weight)
}
