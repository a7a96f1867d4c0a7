//! What can be learned, one file each. [`Trainer`](super::Trainer) and the [run](super::run) around it know a lesson
//! by this trait alone, so each has checkpoints, resuming, a curve and a guard against NaN.

mod classifier;
mod perceiver;
mod score;
mod teacher;

pub use classifier::{ClassifierLesson, ClassifierTraining};
pub use score::{Problem, ScoreLesson};

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Batches, Course};
use crate::Result;
use crate::images::{DataRange, ImageSet};
use crate::objective::MicroBatch;
use crate::picture::Picture;
use crate::weights::{Accuracy, ModelCard, ModelFile, Training};

/// Something to be learned from images: a module, how wrong it is, and what is kept of it.
pub trait Lesson {
    /// What has the weights.
    type Module: Module;

    /// What decides the run.
    fn course(&self) -> Course;

    /// The module before the first step, on a `device` with autodiff.
    fn module(&self, device: &Device) -> Self::Module;

    /// `module` with the weights of `file`.
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) if they are those of another network.
    fn fill(&self, file: ModelFile, module: Self::Module) -> Result<Self::Module> {
        file.fill(module)
    }

    /// The loss of each image of a `part` of step `index`, `[b]`, for the module that learns and its moving average. `device`
    /// has autodiff.
    fn loss(
        &self,
        learners: [&Self::Module; 2],
        batches: &mut Batches<'_>,
        index: usize,
        part: MicroBatch,
        device: &Device,
    ) -> Tensor<1>;

    /// What was measured of the images: a resumed run goes on with it, whatever another version would measure.
    fn measured(&self) -> Option<&Problem>;

    /// The model card, given how the weights came about.
    fn card(&self, training: Training) -> ModelCard;

    /// What the weights can do so far, to be looked at; `None` where there is nothing to see.
    fn picture(
        &self,
        module: &Self::Module,
        device: &Device,
    ) -> impl Future<Output = Result<Option<Picture>>>;

    /// How well the finished weights do, for the card.
    fn examine(&self, module: &Self::Module, device: &Device) -> impl Future<Output = Result<Vec<Accuracy>>>;
}

/// Mean and standard deviation of all pixel values of `images` in a model's units.
fn moments(images: &ImageSet, range: DataRange) -> [f64; 2] {
    let n = images.pixels.len() as f64;
    let mean = images.pixels.iter().map(|p| f64::from(*p)).sum::<f64>() / n;
    let variance = images.pixels.iter().map(|p| (f64::from(*p) - mean).powi(2)).sum::<f64>() / n;
    let unit = (range.high - range.low) / 255.0;
    [range.low + mean * unit, (variance.sqrt() * unit).max(1e-3)]
}
