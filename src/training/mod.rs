//! Training: a step, and around it a run with files, progress and resume.
//!
//! One loop for everything that is trained. What differs, from the module to the card, is a [`Lesson`]; what a user
//! sets is a [`Course`], and [`presets`] are those that have a name.

mod average;
mod batches;
mod config;
mod course;
mod fit;
mod learner;
mod lesson;
mod optimiser;
mod trainer;

pub mod presets;
pub mod run;

pub use average::{Ema, Growing, HalfLife, PowerAverage};
pub use batches::Batches;
pub use config::TrainConfig;
pub use course::{Basics, Course, Pace};
pub use fit::{Fit, Fitting, Snapshot};
pub use learner::StepReport;
pub use lesson::{ClassifierLesson, ClassifierTraining, Lesson, Problem, ScoreLesson};
pub use trainer::Trainer;
