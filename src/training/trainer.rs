//! The training step: what changes from one step to the next, and how. The same for everything that is trained.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::optimiser::{Adam, Layout, update_average};
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
    /// The weights of both, in rows that they are views of.
    layout: Layout,
    rows: [Tensor<1>; 2],
    adam: Adam,
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
        let layout = Layout::of(&module, device);
        let row = layout.row(&module);
        let (course, adam) = (lesson.course(), Adam::new(&row));
        let (pace, rows, device) = (course.pace(), [row.clone(), row], device.clone());
        Self { lesson, course, pace, module, average, layout, rows, adam, step: 0, device }
    }

    /// Starts from the weights of a model file instead of random ones (fine-tuning).
    ///
    /// # Errors
    /// [`Error::Weights`] if they are the weights of another network.
    pub fn start_from(&mut self, file: ModelFile) -> Result<()> {
        self.module = self.lesson.fill(file, self.module.clone())?;
        self.average = self.module.valid();
        let row = self.layout.row(&self.module);
        self.rows = [row.clone(), row];
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
        let gradients = self.layout.gradients(&self.module, &gradients);
        let [weights, average] = &mut self.rows;
        let norm_sq = self.adam.step(weights, gradients, AdamStep { rate, step: step + 1, clip });
        self.step += 1;
        update_average(average, weights, self.pace.ema_after(self.step));
        self.module = self.layout.fill(&self.module, weights, true);
        self.average = self.layout.fill(&self.average, average, false);

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
        let [first, second] =
            self.adam.moments.each_ref().map(|moment| self.layout.fill(&self.average, moment, false));
        Ok([record(&self.module.valid())?, record(&self.average)?, record(&first)?, record(&second)?])
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
        self.rows = [self.layout.row(&self.module), self.layout.row(&self.average)];
        for (moment, bytes) in self.adam.moments.iter_mut().zip([first, second]) {
            let mut module = self.average.clone();
            load(&mut module, bytes)?;
            *moment = self.layout.row(&module);
        }
        self.step = step;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::data::synthetic;
    use crate::network::UNetConfig;
    use crate::training::{ScoreLesson, TrainConfig};

    /// The first weights of a module, enough to tell modules apart.
    fn weights<M: Module>(module: &M) -> Vec<f64> {
        struct First(Vec<f64>);
        impl burn::module::ModuleVisitor for First {
            fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
                let values = param.val().into_data().try_to_vec::<f32>().unwrap();
                self.0.extend(values.iter().take(8).map(|v| f64::from(*v)));
            }
        }
        let mut first = First(vec![]);
        module.visit(&mut first);
        first.0
    }

    /// After three steps from weights `w_0`, with the source's rates 2/11, 3/12, 4/13 and a cap on the last one,
    /// `((w_0·r_1 + w_1·(1 - r_1))·r_2 + w_2·(1 - r_2))·r_3 + w_3·(1 - r_3)`, written out.
    #[test]
    fn the_average_is_its_closed_form() {
        let network = UNetConfig { channels: 4, multipliers: vec![1], ..UNetConfig::default() };
        for (cap, last) in [(0.999, 4.0 / 13.0), (0.3, 0.3)] {
            let network = network.clone().into();
            let config = TrainConfig {
                batch: 2,
                warmup: 1,
                learning_rate: 0.1,
                ema: cap,
                network,
                ..TrainConfig::default()
            };
            let images = synthetic::digits_like(4, 8, 0);
            let lesson = ScoreLesson::new(&config, &images).unwrap();
            let mut trainer = Trainer::new(lesson, &Device::flex());
            let mut batches = Batches::new(&images, 0, 2, false);
            let mut w = vec![weights(&trainer.module.valid())];
            for _ in 0..3 {
                block_on(trainer.step(&mut batches)).unwrap();
                w.push(weights(&trainer.module.valid()));
            }
            let (first, second) = (2.0 / 11.0, 3.0 / 12.0);
            let shares =
                [first * second * last, (1.0 - first) * second * last, (1.0 - second) * last, 1.0 - last];
            let found = weights(&trainer.average);
            for (k, found) in found.iter().enumerate() {
                let expected: f64 = shares.iter().zip(&w).map(|(share, w)| share * w[k]).sum();
                assert!((found - expected).abs() < 1e-6, "weight {k}: {found} instead of {expected}");
            }
            assert!(w[0].iter().zip(&w[3]).any(|(a, b)| (a - b).abs() > 0.1), "the weights move");
        }
    }
}
