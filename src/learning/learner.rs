//! Weights that learn: a step of Adam, and of Muon for matrices, on a loss, then the moving average.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device, Tensor};

use super::average::PowerAverage;
use super::muon;
use super::optimiser::{Adam, Layout};
use crate::ops::{AdamStep, move_average, read};
use crate::{Error, Result};

/// A module that learns, the moving average of its weights, and the optimiser's state.
pub struct Learner<M: Module> {
    module: M,
    layout: Layout,
    /// Its weights, which it has views of, and their average, which nobody else keeps: it is changed in place.
    rows: [Tensor<1>; 2],
    adam: Adam,
    /// Further averages, and the row of each.
    powers: Vec<(PowerAverage, Tensor<1>)>,
    steps: usize,
}

/// What decides a step besides its loss.
#[derive(Debug, Clone, Copy)]
pub struct LearningStep {
    /// Learning rate.
    pub rate: f64,
    /// Largest global norm of the gradient; larger ones are scaled down to it.
    pub clip: f64,
    /// Of Adam.
    pub epsilon: f64,
    /// Whether it is RAdam.
    pub rectified: bool,
    /// Whether matrices are moved by Muon.
    pub muon: bool,
    /// What the moving average keeps of itself.
    pub ema: f64,
}

/// Where a loss leads down, and how large it is: numbers that add up over the parts of a batch.
#[derive(Debug, Clone)]
pub struct Gradient {
    /// The gradients of all weights in one row, still on the device.
    pub row: Tensor<1>,
    /// The mean loss, `[1]`.
    pub loss: Tensor<1>,
}

impl std::ops::Add for Gradient {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { row: self.row + other.row, loss: self.loss + other.loss }
    }
}

impl Gradient {
    /// The mean of the `count` that this is the sum of.
    pub fn over(self, count: usize) -> Self {
        match count {
            1 => self,
            _ => Self { row: self.row / count as f64, loss: self.loss / count as f64 },
        }
    }
}

/// What one step tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The batch's mean loss.
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub gradient_norm: f64,
}

impl<M: Module> Learner<M> {
    /// The state before the first step of a `module` whose weights are recorded; `device` is theirs without autodiff.
    pub fn new(module: M, device: &Device) -> Self {
        let layout = Layout::of(&module, device);
        let row = layout.row(&module);
        let adam = Adam::new(&row);
        Self { module, layout, rows: [row.clone(), row], adam, powers: vec![], steps: 0 }
    }

    /// The same with further averages.
    pub fn keeping(self, powers: Vec<PowerAverage>) -> Self {
        let powers = powers.into_iter().map(|power| (power, self.rows[0].clone())).collect();
        Self { powers, ..self }
    }

    /// The further averages.
    pub fn powers(&self) -> impl Iterator<Item = M> {
        self.powers.iter().map(|(_, row)| self.off_tape(row))
    }

    /// The weights that learn, on the tape.
    pub fn module(&self) -> &M {
        &self.module
    }

    /// The averaged weights, off it.
    pub fn average(&self) -> M {
        self.off_tape(&self.rows[1])
    }

    fn off_tape(&self, row: &Tensor<1>) -> M {
        self.layout.fill(&self.module.valid(), row, false)
    }

    /// Steps done so far.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Goes on from other weights, which are then the average as well.
    pub fn start_from(&mut self, module: M) {
        let row = self.layout.row(&module);
        self.module = module;
        self.powers.iter_mut().for_each(|(_, power)| power.clone_from(&row));
        self.rows = [row.clone(), row];
    }

    /// The averaged weights in one row.
    pub fn row(&self) -> Tensor<1> {
        self.rows[1].clone()
    }

    /// Goes on after `steps` steps that have led to the weights of `row`, which are then the average as well.
    ///
    /// # Errors
    /// [`Error::Weights`] for the row of another network.
    pub fn start_from_row(&mut self, row: &[f32], steps: usize) -> Result<()> {
        let [len] = self.rows[1].dims();
        if row.len() != len {
            let problem = format!("has {} values, the network {len}", row.len());
            return Err(Error::weights("the row of weights", problem, "use that of the same experiment"));
        }
        let row = Tensor::from_floats(row, &self.rows[1].device());
        self.module = self.layout.fill(&self.module, &row, true);
        (self.rows, self.steps) = ([row.clone(), row], steps);
        Ok(())
    }

    /// The gradient of the mean of `loss` `[b]`.
    pub fn gradient(&self, loss: Tensor<1>) -> Gradient {
        let loss = loss.mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &self.module);
        Gradient { row: self.layout.gradients(&self.module, &gradients), loss: loss.inner().reshape([1]) }
    }

    /// [`descend`](Self::descend) by the [`gradient`](Self::gradient) of `loss`.
    ///
    /// # Errors
    /// As there.
    pub async fn learn(&mut self, loss: Tensor<1>, step: LearningStep) -> Result<StepReport> {
        self.descend(self.gradient(loss), step).await
    }

    /// One step of the optimiser down a gradient, then the moving average. One read-back.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the loss or the gradient is not finite; the state is then unusable.
    pub async fn descend(&mut self, gradient: Gradient, step: LearningStep) -> Result<StepReport> {
        let [weights, average] = &mut self.rows;
        self.steps += 1;
        let LearningStep { rate, clip, epsilon, rectified, muon, ema } = step;
        let step = AdamStep { rate, step: self.steps, clip, epsilon, rectified };
        // Nobody may see the weights while they change in place.
        self.module = self.layout.fill(&self.module, average, false);
        let before = muon.then(|| [weights.clone(), self.adam.moments[0].clone()]);
        let norm_sq = self.adam.step(weights, gradient.row.clone(), step);
        if let Some(before) = before {
            let gradient = gradient.row / (norm_sq.clone().sqrt() / clip).clamp_min(1.0);
            muon::step(&self.layout, [weights, &mut self.adam.moments[0]], before, gradient, rate);
        }
        self.module = self.layout.fill(&self.module, weights, true);
        move_average(average, weights, ema);
        for (power, row) in &mut self.powers {
            move_average(row, weights, power.keeps(self.steps));
        }

        let numbers = read(Tensor::cat(vec![gradient.loss, norm_sq.reshape([1])], 0)).await?;
        if !numbers.iter().all(|v| v.is_finite()) {
            return Err(Error::NonFinite {
                what: "the training loss".into(),
                step: self.steps - 1,
                fix: "lower learning_rate or clip and resume from the last checkpoint".into(),
            });
        }
        Ok(StepReport { loss: f64::from(numbers[0]), gradient_norm: f64::from(numbers[1]).sqrt() })
    }

    /// The parts that a checkpoint holds: raw weights, averaged weights, both moments of Adam, and further averages.
    ///
    /// # Errors
    /// [`Error::Weights`] if they cannot be written.
    pub fn to_parts(&self) -> Result<Vec<Vec<u8>>> {
        let failed = |e: String| Error::weights("checkpoint", e, "report this as a bug");
        let record = |module: &M| {
            let bytes = module.clone().into_record().into_bytes();
            bytes.map(|bytes| bytes.to_vec()).map_err(|e| failed(e.to_string()))
        };
        let [first, second] = self.adam.moments.each_ref().map(|moment| self.off_tape(moment));
        let modules = [self.module.valid(), self.average(), first, second];
        modules.iter().chain(&self.powers().collect::<Vec<_>>()).map(record).collect()
    }

    /// Puts back what [`Self::to_parts`] took, after `steps` steps.
    ///
    /// # Errors
    /// [`Error::Weights`] for those of another network, or with other averages.
    pub fn load_parts(&mut self, steps: usize, parts: Vec<Vec<u8>>) -> Result<()> {
        let damaged =
            |e: String| Error::weights("checkpoint", e, "remove it, or start again without --resume");
        let load = |module: &mut M, bytes: Vec<u8>| {
            let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes));
            let record = record.map_err(|e| damaged(e.to_string()))?;
            *module = module.clone().try_load_record(record).map_err(|e| damaged(e.to_string()))?;
            Ok(())
        };
        if parts.len() != 4 + self.powers.len() {
            return Err(damaged("has other averages than the configuration".into()));
        }
        let mut parts = parts.into_iter();
        let mut next = |module: &mut M| load(module, parts.next().unwrap_or_default());
        next(&mut self.module)?;
        let ([weights, average], mut module) = (&mut self.rows, self.module.valid());
        *weights = self.layout.row(&self.module);
        let powers = self.powers.iter_mut().map(|(_, row)| row);
        for row in [average].into_iter().chain(&mut self.adam.moments).chain(powers) {
            next(&mut module)?;
            *row = self.layout.row(&module);
        }
        self.steps = steps;
        Ok(())
    }
}
