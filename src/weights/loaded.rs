use burn::tensor::Device;

use super::ModelFile;
use crate::Result;
use crate::images::DataRange;
use crate::model::{ClassifierFree, Denoiser, Preconditioned, ScoreModel, check_class};
use crate::network::Classifier;

/// A score model whose weights are on a device. The [`ScoreModel`]s made from it share them.
#[derive(Debug, Clone)]
pub struct LoadedModel {
    pub(super) denoiser: Preconditioned,
    pub(super) range: DataRange,
    pub(super) data_mean: f64,
    pub(super) shape: [usize; 3],
    pub(super) classes: usize,
    pub(super) device: Device,
}

impl LoadedModel {
    /// Images of any class.
    pub fn score_model(&self) -> ScoreModel {
        self.with(Box::new(self.denoiser.clone()))
    }

    /// Images of one class, if the model has learned classes; see [`ClassifierFree`].
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for a class that the model does not have, or a guidance that is
    /// not from 0 to 100.
    pub fn class_model(&self, class: usize, guidance: f64) -> Result<ScoreModel> {
        check_class(self.classes, class, guidance)?;
        Ok(self.with(Box::new(ClassifierFree { model: self.denoiser.clone(), class, guidance })))
    }

    fn with(&self, denoiser: Box<dyn Denoiser>) -> ScoreModel {
        ScoreModel::new(denoiser, self.denoiser.sde, self.range, self.shape, &self.device)
            .having_learned(self.denoiser.preconditioning.learned())
            .of_mean(self.data_mean)
    }
}

/// A classifier whose weights are on a device, and what it judges.
#[derive(Debug, Clone)]
pub struct LoadedClassifier {
    /// The network.
    pub classifier: Classifier,
    /// `[c, h, w]` of what it judges.
    pub shape: [usize; 3],
    /// How many classes it tells apart.
    pub classes: usize,
}

impl LoadedClassifier {
    /// The classifier of `file` on `device`.
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) if the file holds something else.
    pub fn new(file: ModelFile, device: &Device) -> Result<Self> {
        let (shape, classes) = (file.card.shape(), file.card.classes());
        Ok(Self { classifier: file.classifier(device)?, shape, classes })
    }
}
