//! The training step: what changes from one step to the next, and how. The same for everything that is trained.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::optimiser::{Adam, update_average};
use super::{Batches, Course, Lesson, Pace};
use crate::ops::{AdamStep, read};
use crate::weights::ModelFile;
use crate::{Error, Result};

/// Everything that a step changes.
pub struct Trainer<L: Lesson> {
    lesson: L,
    course: Course,
    pace: Pace,
    module: L::Module,
    average: L::Module,
    adam: Adam<L::Module>,
    step: usize,
    device: Device,
}

/// What one step tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The batch's mean loss.
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub gradient_norm: f64,
}

impl<L: Lesson> Trainer<L> {
    /// The state before the first step. `device` is the plain one; autodiff is added here.
    pub fn new(lesson: L, device: &Device) -> Self {
        let module = lesson.module(&device.clone().autodiff());
        let average = module.valid();
        let (course, adam) = (lesson.course(), Adam::new(&average));
        let pace = course.pace();
        Self { lesson, course, pace, module, average, adam, step: 0, device: device.clone() }
    }

    /// Starts from the weights of a model file instead of random ones (fine-tuning).
    ///
    /// # Errors
    /// [`Error::Weights`] if they are the weights of another network.
    pub fn start_from(&mut self, file: ModelFile) -> Result<()> {
        self.module = self.lesson.fill(file, self.module.clone())?;
        self.average = self.module.valid();
        Ok(())
    }

    /// What is learned.
    pub fn lesson(&self) -> &L {
        &self.lesson
    }

    /// How.
    pub fn course(&self) -> &Course {
        &self.course
    }

    /// Steps done so far.
    pub fn step_count(&self) -> usize {
        self.step
    }

    /// The averaged weights, which are what is kept.
    pub fn average(&self) -> &L::Module {
        &self.average
    }

    /// The plain device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// One step of Adam on the next batch, then the moving average. One read-back.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the loss or the gradient is not finite; the state is then unusable, and
    /// the last checkpoint is the place to go back to.
    pub async fn step(&mut self, batches: &mut Batches<'_>) -> Result<StepReport> {
        let step = self.step;
        let learners = [&self.module, &self.average];
        let loss = self.lesson.loss(learners, batches, step, &self.device.clone().autodiff()).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &self.module);
        let (rate, clip) = (self.course.learning_rate_at(step), self.pace.clip);
        let norm_sq = self.adam.step(&mut self.module, gradients, AdamStep { rate, step: step + 1, clip });
        let ema = self.pace.ema.min((1 + step) as f64 / (10 + step) as f64);
        update_average(&mut self.average, &self.module, ema);
        self.step += 1;

        let numbers = read(Tensor::cat(vec![loss.inner().reshape([1]), norm_sq.reshape([1])], 0)).await?;
        if !numbers.iter().all(|v| v.is_finite()) {
            return Err(Error::NonFinite {
                what: "the training loss".into(),
                step,
                fix: "lower learning_rate or clip and resume from the last checkpoint".into(),
            });
        }
        Ok(StepReport { loss: f64::from(numbers[0]), gradient_norm: f64::from(numbers[1]).sqrt() })
    }

    /// The parts that a checkpoint holds: raw weights, averaged weights, both moments of Adam.
    pub(super) fn to_parts(&self) -> Result<[Vec<u8>; 4]> {
        let failed = |e: String| Error::weights("checkpoint", e, "report this as a bug");
        let record = |module: &L::Module| {
            let bytes = module.clone().into_record().into_bytes();
            bytes.map(|bytes| bytes.to_vec()).map_err(|e| failed(e.to_string()))
        };
        let [first, second] = &self.adam.moments;
        Ok([record(&self.module.valid())?, record(&self.average)?, record(first)?, record(second)?])
    }

    /// Puts back what [`Self::to_parts`] took, at `step`.
    pub(super) fn load_parts(
        &mut self,
        step: usize,
        [raw, average, first, second]: [Vec<u8>; 4],
    ) -> Result<()> {
        use burn::store::ModuleRecord;
        use burn::tensor::Bytes;

        let damaged =
            |e: String| Error::weights("checkpoint", e, "remove it, or start again without --resume");
        let load = |module: &mut L::Module, bytes: Vec<u8>| {
            let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes));
            let record = record.map_err(|e| damaged(e.to_string()))?;
            *module = module.clone().try_load_record(record).map_err(|e| damaged(e.to_string()))?;
            Ok(())
        };
        load(&mut self.module, raw)?;
        load(&mut self.average, average)?;
        let [first_moment, second_moment] = &mut self.adam.moments;
        load(first_moment, first)?;
        load(second_moment, second)?;
        self.step = step;
        Ok(())
    }
}
