use burn::tensor::Device;

use super::{Judged, Verdicts, judge};
use crate::images::ImageSet;
use crate::model::ScoreModel;
use crate::network::Classifier;
use crate::ops::{read, upload};
use crate::rng::Noise;
use crate::run::Run;
use crate::sampler::Sampler;
use crate::weights::{LoadedModel, ModelFile};
use crate::{Error, Result};

/// A classifier on a device.
#[derive(Debug)]
pub struct Judge {
    classifier: Classifier,
    shape: [usize; 3],
    classes: usize,
    device: Device,
}

impl Judge {
    /// Puts the classifier of `file` on `device`.
    ///
    /// # Errors
    /// [`Error::Weights`] if `file` is not a classifier.
    pub fn new(file: ModelFile, device: &Device) -> Result<Self> {
        let shape = [file.card.channels, file.card.height, file.card.width];
        let classes = file.card.classes();
        Ok(Self { classifier: file.classifier(device)?, shape, classes, device: device.clone() })
    }

    /// How many classes a model has learned, and this judge with it.
    ///
    /// # Errors
    /// [`Error::Config`] if they are not as many.
    pub fn classes_of(&self, model: &LoadedModel) -> Result<usize> {
        match model.classes() {
            0 => Err(Error::config("--by-class", "needs a model that has learned classes", "leave it out")),
            classes if classes == self.classes => Ok(classes),
            classes => {
                let problem = format!("knows {} classes, the model {classes}", self.classes);
                Err(Error::config("the classifier", problem, "name one of the same data set"))
            }
        }
    }

    /// What the classifier says of `images`, `[n, c, h, w]` in `[0, 1]`, row by row.
    ///
    /// # Errors
    /// As [`judge`].
    ///
    /// # Panics
    /// If `images` is not a whole number of images of the classifier's size.
    pub async fn verdicts(&self, images: &[f32]) -> Result<Verdicts> {
        let [c, h, w] = self.shape;
        let images = upload(images, [images.len() / (c * h * w), c, h, w], &self.device);
        judge(&self.classifier, images).await
    }

    /// What it says of real images.
    ///
    /// # Errors
    /// [`Error::Config`] if they have another shape than the classifier's, and as [`judge`].
    pub async fn real(&self, images: &ImageSet) -> Result<Judged> {
        self.takes(&images.name, images.shape())?;
        Ok(Judged { verdicts: self.verdicts(&images.to_unit()).await?, nfe: 0 })
    }

    /// Draws `n` samples of `model` from `noise` on, and judges them.
    ///
    /// # Errors
    /// [`Error::Config`] if the model makes images of another shape, and whatever [`Sampler::sample`] can say.
    pub async fn draw(
        &self,
        model: &ScoreModel,
        sampler: &Sampler,
        noise: &Noise,
        n: usize,
        run: &mut Run<'_>,
    ) -> Result<Judged> {
        self.takes("the model's images", model.shape)?;
        let solution = sampler.sample(model, noise, n, run).await?;
        Ok(Judged { verdicts: self.verdicts(&read(solution.images).await?).await?, nfe: solution.nfe })
    }

    fn takes(&self, what: &str, shape: [usize; 3]) -> Result<()> {
        if shape == self.shape {
            return Ok(());
        }
        let problem = format!("are {shape:?} (channels, rows, columns), the classifier's {:?}", self.shape);
        Err(Error::config(what, problem, "use a classifier and images of the same data set"))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;
    use crate::network::ClassifierConfig;
    use crate::network::layers::Init;
    use crate::sampler::Sampler;
    use crate::weights::shipped;

    #[test]
    fn a_classifier_of_random_weights_is_judged_without_a_file() {
        let device = Device::flex();
        let classifier = Classifier::new(&ClassifierConfig::default(), 1, &mut Init::new(0, &device));
        let verdicts =
            pollster::block_on(judge(&classifier, Tensor::full([3, 1, 28, 28], 7.0, &device))).unwrap();
        let clipped = pollster::block_on(judge(&classifier, Tensor::ones([3, 1, 28, 28], &device))).unwrap();
        assert_eq!(verdicts, clipped, "values are clipped to [0, 1]");
        assert_eq!(verdicts.len(), 3);
    }

    #[test]
    fn a_judge_of_other_classes_is_refused() {
        let device = Device::flex();
        let judge = |name| Judge::new(shipped::open(name).unwrap(), &device).unwrap();
        let model = |name| shipped::open(name).unwrap().load(&device).unwrap();
        assert_eq!(judge("mnist-classifier").classes_of(&model("mnist-class-vp")).unwrap(), 10);
        let error = |judged, name| judge(judged).classes_of(&model(name)).unwrap_err().to_string();
        let message = error("letters-classifier", "mnist-class-vp");
        assert!(message.contains("52 classes, the model 10"), "{message}");
        assert!(error("mnist-classifier", "mnist-vp").contains("learned classes"));
    }

    #[test]
    fn images_of_another_size_are_refused() {
        let device = Device::flex();
        let judge = Judge::new(shipped::open("mnist-classifier").unwrap(), &device).unwrap();
        let images = crate::data::synthetic::digits_like(4, 12, 0);
        let error = pollster::block_on(judge.real(&images)).unwrap_err();
        assert!(error.to_string().contains("[1, 12, 12]"), "{error}");
        let mut small = shipped::open("mnist-vp").unwrap().score_model(&device).unwrap();
        small.shape = [1, 8, 8];
        let sampler = Sampler::named("heun").unwrap();
        let (noise, mut run) = (Noise::new(0), Run::default());
        let error = pollster::block_on(judge.draw(&small, &sampler, &noise, 1, &mut run)).unwrap_err();
        assert!(error.to_string().contains("[1, 8, 8]"), "{error}");
    }
}
