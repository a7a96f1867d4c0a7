use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::consistency::{Metric, Pairs, Solver, Target, agreement};
use super::{Loss, Models, Step, require};
use crate::Result;
use crate::model::Learned;

/// Consistency distillation: a consistency function from a score model, the run's `teacher` (Song et al. 2023, algorithm
/// 2).
///
/// `E d(D(x; sigma_(n+1)), D(x'; sigma_n))` for neighbours of a grid: `x` is an image with noise of the higher level, and
/// `x'` where a step of the probability-flow ODE by the teacher leads from there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsistencyDistillation {
    /// Levels of the grid, `N`.
    pub levels: usize,
    /// The teacher's step.
    pub solver: Solver,
    /// The distance.
    pub metric: Metric,
    /// Whose value at the lower level the student's is to be.
    pub target: Target,
}

/// CIFAR-10's of the paper, with the distance of its successor.
impl Default for ConsistencyDistillation {
    fn default() -> Self {
        Self {
            levels: 18,
            solver: Solver::Heun,
            metric: Metric::PseudoHuber { c: 0.0 },
            target: Target::Student,
        }
    }
}

impl Loss for ConsistencyDistillation {
    fn check(&self) -> Result<()> {
        require(
            "levels",
            self.levels,
            (2..=100_000).contains(&self.levels),
            "use 2 to 100000; the paper has 18",
        )?;
        self.metric.check()
    }

    fn learns(&self) -> Learned {
        Learned::Consistency
    }

    fn metric(&mut self) -> Option<&mut Metric> {
        Some(&mut self.metric)
    }

    fn has_teacher(&self) -> bool {
        true
    }

    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let pairs = Pairs::uniform(&*models.student.sde, self.levels, step);
        agreement(models, step, pairs, (self.solver, self.target, self.metric))
    }
}
