//! Weights that learn: a step of the optimiser on a loss, averages of the weights, and the training on samples that are drawn
//! anew for each step.

mod average;
mod fit;
mod learner;
mod muon;
mod optimiser;

pub use average::{Ema, Growing, HalfLife, PowerAverage};
pub use fit::{Fit, Fitting, Snapshot};
pub use learner::{Gradient, Learner, LearningStep, StepReport};
