use std::ops::Range;

use burn::module::Module;
use burn::tensor::Device;

use super::ModelFile;
use crate::images::DataRange;
use crate::model::{ClassifierFree, Denoiser, Divided, Preconditioned, ScoreModel, check_class};
use crate::network::Classifier;
use crate::{Error, Result};

/// A score model whose weights are on a device. The [`ScoreModel`]s made from it share them.
#[derive(Debug, Clone)]
pub struct LoadedModel {
    pub(super) denoiser: Preconditioned,
    pub(super) range: DataRange,
    pub(super) data_mean: f64,
    pub(super) shape: [usize; 3],
    pub(super) classes: usize,
    pub(super) needs_class: bool,
    pub(super) image_bytes: u64,
    /// See [`NetworkConfig::heaviest`](crate::network::NetworkConfig::heaviest).
    pub(super) heaviest: f64,
    pub(super) device: Device,
}

impl LoadedModel {
    /// How many weights its network has.
    pub fn weights(&self) -> usize {
        self.denoiser.network().num_params()
    }

    /// The network with its scaling.
    pub fn denoiser(&self) -> &Preconditioned {
        &self.denoiser
    }

    /// Bytes of the largest layer's output for one image; a batch takes as many times that, in one piece.
    pub fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    /// How many classes it has learned.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Whether it draws none but of a class that it is told.
    pub fn needs_class(&self) -> bool {
        self.needs_class
    }

    /// Images of any class.
    ///
    /// # Errors
    /// [`Error::Config`] if the model draws none but of a class that it is told.
    pub fn score_model(&self) -> Result<ScoreModel> {
        match self.needs_class {
            false => Ok(self.with(self.divided())),
            true => Err(Error::config(
                "the class",
                "is missing: the model draws only images of a class",
                format!("choose one, 0 to {}", self.classes - 1),
            )),
        }
    }

    /// Images of one class, if the model has learned classes; see [`ClassifierFree`].
    ///
    /// # Errors
    /// As [`Self::classes_model`].
    pub fn class_model(&self, class: usize, guidance: f64) -> Result<ScoreModel> {
        self.classes_model(vec![class], guidance)
    }

    /// The same for as many images as there are `classes`, each of its own class.
    ///
    /// # Errors
    /// [`Error::Config`] for a class that the model does not have, or a guidance that is not from 0 to 100, or not 1 for
    /// a model that was never trained without a class.
    pub fn classes_model(&self, classes: Vec<usize>, guidance: f64) -> Result<ScoreModel> {
        classes.iter().try_for_each(|class| check_class(self.classes, *class, guidance))?;
        if self.needs_class && guidance != 1.0 {
            let problem = format!(
                "= {guidance} needs what the model thinks of images of any class, and it knows of none"
            );
            return Err(Error::config("the guidance", problem, "use 1"));
        }
        Ok(self.with(ClassifierFree { model: self.divided(), classes, guidance }))
    }

    /// The same, or images of any class where none are told.
    ///
    /// # Errors
    /// As [`Self::classes_model`] and [`Self::score_model`].
    pub fn asked(&self, classes: Option<&[usize]>, guidance: f64) -> Result<ScoreModel> {
        match classes {
            None => self.score_model(),
            Some(classes) => self.classes_model(classes.to_vec(), guidance),
        }
    }

    /// The classes of the images of these numbers, each in turn: number `k` is of class `k` modulo how many there are.
    ///
    /// # Errors
    /// [`Error::Config`] for a model that has learned none.
    pub fn in_turn(&self, images: Range<usize>) -> Result<Vec<usize>> {
        if self.classes == 0 {
            let fix = "use a model that has learned classes";
            return Err(Error::config(
                "each class in turn",
                "needs classes, and the model has learned none",
                fix,
            ));
        }
        Ok(images.map(|k| k % self.classes).collect())
    }

    fn divided(&self) -> Divided {
        Divided { model: self.denoiser.clone(), operations: self.heaviest }
    }

    fn with(&self, denoiser: impl Denoiser + 'static) -> ScoreModel {
        ScoreModel::new(Box::new(denoiser), self.denoiser.sde, self.range, self.shape, &self.device)
            .having_learned(self.denoiser.preconditioning.learned())
            .of_mean(self.data_mean)
            .dequantised_by(self.denoiser.preconditioning.dequantisation())
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
    /// [`Error::Weights`] if the file holds something else.
    pub fn new(file: ModelFile, device: &Device) -> Result<Self> {
        let (shape, classes) = (file.card.shape(), file.card.classes());
        Ok(Self { classifier: file.classifier(device)?, shape, classes })
    }
}
