use burn::tensor::Device;

use crate::Result;
use crate::model::{ClassifierFree, DataRange, Denoiser, Preconditioned, ScoreModel, check_class};

/// A score model whose weights are on a device. The [`ScoreModel`]s made from it share them.
#[derive(Debug, Clone)]
pub struct LoadedModel {
    pub(super) denoiser: Preconditioned,
    pub(super) range: DataRange,
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
    }
}
