use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::consistency::{Metric, Pairs, Solver, Target, agreement};
use super::{Loss, Models, Step, require};
use crate::Result;
use crate::model::Learned;

/// Consistency training: a consistency function from images alone (Song et al. 2023, algorithm 3).
///
/// `E weight·d(D(x_0 + t·z; t), D(x_0 + r·z; r))` for two noise levels `r < t` that come together in the course of the
/// run. By default as Geng et al. (2024) tune a score model: start from its weights with `--init`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsistencyTraining {
    /// Which two levels.
    pub levels: Levels,
    /// The distance.
    pub metric: Metric,
    /// Whose value at the lower level the student's is to be.
    pub target: Target,
}

impl Default for ConsistencyTraining {
    fn default() -> Self {
        Self {
            levels: Levels::Shrinking { stages: 8, mean: -0.4, std: 2.0 },
            metric: Metric::PseudoHuber { c: 0.0 },
            target: Target::Student,
        }
    }
}

/// How the two noise levels are chosen. `mean` and `std` are those of `ln(sigma/sigma_data)`: the papers' -1.1 is -0.4 here,
/// since their `sigma_data` is 0.5.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Levels {
    /// Neighbours of a grid of `N(k)` levels, all equally often (Song et al. 2023).
    Rising {
        /// `s_0`, 2 in the paper.
        first: usize,
        /// `s_1`, 150 in the paper.
        last: usize,
    },
    /// Neighbours of a grid whose levels double, chosen by a normal and weighing the inverse of their difference (Song
    /// and Dhariwal 2023).
    Doubling {
        /// `s_0`, 10 in the paper.
        first: usize,
        /// `s_1`, 1280 in the paper.
        last: usize,
        /// Mean of `ln(sigma/sigma_data)`.
        mean: f64,
        /// Its standard deviation.
        std: f64,
    },
    /// A level chosen by a normal and one below it, half as far in each of `stages` (Geng et al. 2024).
    Shrinking {
        /// Halvings of their distance, and one.
        stages: usize,
        /// Mean of `ln(sigma/sigma_data)`.
        mean: f64,
        /// Its standard deviation.
        std: f64,
    },
}

/// `N(k)`, the levels of a grid at step `k` of `steps`: `ceil(sqrt(k/steps·((last + 1)² - first²) + first²) - 1) + 1` (Song
/// et al. 2023, appendix C).
pub fn rising(first: usize, last: usize, k: usize, steps: usize) -> usize {
    let [first, last] = [first as f64, last as f64];
    let share = k as f64 / steps as f64;
    ((share * ((last + 1.0).powi(2) - first * first) + first * first).sqrt() - 1.0).ceil() as usize + 1
}

/// `N(k)` that doubles: `min(first·2^floor(k/K'), last) + 1` with `K' = floor(steps/(log2 floor(last/first) + 1))` (Song and
/// Dhariwal 2023, section 3.4).
fn doubling(first: usize, last: usize, k: usize, steps: usize) -> usize {
    let doublings = (last / first).ilog2() as usize + 1;
    let stage = k / (steps / doublings).max(1);
    first.saturating_mul(1 << stage.min(doublings)).min(last) + 1
}

impl Levels {
    fn pairs(self, models: Models<'_>, step: &Step<'_>) -> Pairs {
        let sde = &*models.student.sde;
        match self {
            Self::Rising { first, last } => {
                Pairs::uniform(sde, rising(first, last, step.index, step.of), step)
            }
            Self::Doubling { first, last, mean, std } => {
                Pairs::log_normal(sde, doubling(first, last, step.index, step.of), [mean, std], step)
            }
            Self::Shrinking { stages, mean, std } => Pairs::shrinking(sde, stages, [mean, std], step),
        }
    }

    fn check(self) -> Result<()> {
        let distribution = |mean: f64, std: f64| {
            require("levels.mean", mean, mean.abs() <= 10.0, "use -10 to 10; the papers have -0.4")?;
            require("levels.std", std, (0.01..=10.0).contains(&std), "use 0.01 to 10; the papers have 2")
        };
        match self {
            Self::Rising { first, last } | Self::Doubling { first, last, .. } => {
                require("levels.first", first, (2..=100_000).contains(&first), "use 2 to 100000")?;
                require(
                    "levels.last",
                    last,
                    (first..=100_000).contains(&last),
                    "use at least levels.first, at most 100000",
                )?;
            }
            Self::Shrinking { stages, .. } => {
                require("levels.stages", stages, (1..=16).contains(&stages), "use 1 to 16")?;
            }
        }
        match self {
            Self::Rising { .. } => Ok(()),
            Self::Doubling { mean, std, .. } | Self::Shrinking { mean, std, .. } => distribution(mean, std),
        }
    }
}

impl Loss for ConsistencyTraining {
    fn check(&self) -> Result<()> {
        self.levels.check()?;
        self.metric.check()
    }

    fn learns(&self) -> Learned {
        Learned::Consistency
    }

    fn metric(&mut self) -> Option<&mut Metric> {
        Some(&mut self.metric)
    }

    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let alone = Models { teacher: None, ..models };
        agreement(alone, step, self.levels.pairs(models, step), (Solver::Euler, self.target, self.metric))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The constants of the papers: CIFAR-10's 2 to 150 and 10 to 1280 levels.
    #[test]
    fn grids_grow_as_published() {
        assert_eq!([0, 400_000, 800_000].map(|k| rising(2, 150, k, 800_000)), [2, 107, 151]);
        let stages = [0, 49_999, 50_000, 100_000, 349_999, 350_000, 400_000];
        assert_eq!(stages.map(|k| doubling(10, 1280, k, 400_000)), [11, 11, 21, 41, 641, 1281, 1281]);
    }
}
