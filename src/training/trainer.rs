//! The training step: what changes from one step to the next, and how. The same for everything that is trained.

use std::ops::Range;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};

use super::{Batches, Course, Lesson, Pace};
use crate::Result;
use crate::learning::{Gradient, Learner, LearningStep, StepReport};
use crate::objective::MicroBatch;
use crate::ops::read;
use crate::team::{self, Alone, Pairwise, Team};
use crate::weights::ModelFile;

/// A lesson and everything that a step of it changes.
pub struct Trainer<L: Lesson> {
    lesson: L,
    course: Course,
    pace: Pace,
    learner: Learner<L::Module>,
    device: Device,
    waited: Duration,
}

impl<L: Lesson> Trainer<L> {
    /// The state before the first step. `device` is the plain one; autodiff is added here.
    pub fn new(lesson: L, device: &Device) -> Self {
        let course = lesson.course();
        let pace = course.pace();
        let learner = Learner::new(lesson.module(&device.clone().autodiff()), device).keeping(pace.powers());
        let device = device.clone();
        Self { lesson, course, pace, learner, device, waited: Duration::ZERO }
    }

    /// Starts from the weights of a model file instead of random ones (fine-tuning).
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) if they are the weights of another network.
    pub fn start_from(&mut self, file: ModelFile) -> Result<()> {
        self.learner.start_from(self.lesson.fill(file, self.learner.module().clone())?);
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
        self.learner.steps()
    }

    /// The averaged weights, which are what is kept.
    pub fn average(&self) -> L::Module {
        self.learner.average()
    }

    /// The same in one row.
    pub fn row(&self) -> Tensor<1> {
        self.learner.row()
    }

    /// The plain device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// One step of the optimiser on the next batch, then the moving average. One read-back.
    ///
    /// # Errors
    /// [`Error::NonFinite`](crate::Error::NonFinite) if the loss or the gradient is not finite; the state is then unusable,
    /// and the last checkpoint is the place to go back to.
    pub async fn step(&mut self, batches: &mut Batches<'_>) -> Result<StepReport> {
        self.step_in(&mut Alone, batches).await
    }

    /// The same with a share of the batch for each process of `team`, which all do the same step: the gradient is the mean of
    /// those of the micro-batches, added up in a fixed order.
    ///
    /// # Errors
    /// As there, in all processes whichever's loss it is, and those of [`team::share`].
    pub async fn step_in(&mut self, team: &mut dyn Team, batches: &mut Batches<'_>) -> Result<StepReport> {
        let (step, count) = (self.learner.steps(), self.pace.micro_batches);
        let own = self.gradient(team::share(team, count)?, batches);
        let gradient = self.together(team, own).await?.over(count);
        let rate = self.course.learning_rate_at(step);
        let Pace { clip, adam_epsilon: epsilon, rectified, muon, .. } = self.pace;
        let ema = self.pace.ema.keeps(step + 1, self.pace.steps, self.pace.batch);
        self.learner.descend(gradient, LearningStep { rate, clip, epsilon, rectified, muon, ema }).await
    }

    /// The sum of the gradients of some micro-batches of the next step.
    fn gradient(&self, share: Range<usize>, batches: &mut Batches<'_>) -> Gradient {
        let Pace { batch, micro_batches: count, .. } = self.pace;
        let (step, device) = (self.learner.steps(), self.device.clone().autodiff());
        // Gone when the step is done, which changes what it is a view of.
        let average = self.learner.average();
        let mut sum = Pairwise::default();
        for index in share {
            let part = MicroBatch::nth(index, count, batch);
            let loss = self.lesson.loss([self.learner.module(), &average], batches, step, part, &device);
            sum.add(self.learner.gradient(loss));
        }
        sum.total().expect("every process has a share")
    }

    /// The sum of what all processes of `team` have, by way of the host.
    async fn together(&mut self, team: &mut dyn Team, own: Gradient) -> Result<Gradient> {
        if team.size() == 1 {
            return Ok(own);
        }
        let (begun, [len], device) = (Instant::now(), own.row.dims(), own.row.device());
        let mut values = read(Tensor::cat(vec![own.row, own.loss], 0)).await?;
        team::sum(team, &mut values);
        let [row, loss] = [&values[..len], &values[len..]].map(|part| Tensor::from_floats(part, &device));
        self.waited += begun.elapsed();
        Ok(Gradient { row, loss })
    }

    /// How long all steps have taken to get the gradients of other processes and to add them up.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The further averages, with their relative lengths.
    pub(super) fn averages(&self) -> impl Iterator<Item = (f64, L::Module)> {
        self.pace.averages.iter().copied().zip(self.learner.powers())
    }

    /// The parts that a checkpoint holds.
    pub(super) fn to_parts(&self) -> Result<Vec<Vec<u8>>> {
        self.learner.to_parts()
    }

    /// Puts back what [`Self::to_parts`] took, at `step`.
    pub(super) fn load_parts(&mut self, step: usize, parts: Vec<Vec<u8>>) -> Result<()> {
        self.learner.load_parts(step, parts)
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::Tensor;
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
                ema: cap.into(),
                network,
                ..TrainConfig::default()
            };
            let images = synthetic::digits_like(4, 8, 0);
            let lesson = ScoreLesson::new(&config, &images).unwrap();
            let mut trainer = Trainer::new(lesson, &Device::flex());
            let mut batches = Batches::new(&images, 0, 2, false);
            let mut w = vec![weights(&trainer.learner.module().valid())];
            for _ in 0..3 {
                block_on(trainer.step(&mut batches)).unwrap();
                w.push(weights(&trainer.learner.module().valid()));
            }
            let (first, second) = (2.0 / 11.0, 3.0 / 12.0);
            let shares =
                [first * second * last, (1.0 - first) * second * last, (1.0 - second) * last, 1.0 - last];
            let found = weights(&trainer.average());
            for (k, found) in found.iter().enumerate() {
                let expected: f64 = shares.iter().zip(&w).map(|(share, w)| share * w[k]).sum();
                assert!((found - expected).abs() < 1e-6, "weight {k}: {found} instead of {expected}");
            }
            assert!(w[0].iter().zip(&w[3]).any(|(a, b)| (a - b).abs() > 0.1), "the weights move");
        }
    }
}
