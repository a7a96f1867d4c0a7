//! Training on images: a run with files, progress and resume around the steps of [`learning`](crate::learning).
//!
//! One loop for everything that is trained. What differs, from the module to the card, is a [`Lesson`]; what a user
//! sets is a [`Course`], and [`presets`] are those that have a name.

mod augment;
mod batches;
mod config;
mod course;
mod lesson;
mod mirrored;
mod trainer;

pub mod presets;
pub mod run;

pub use batches::Batches;
pub use config::TrainConfig;
pub use course::{Basics, Course, Pace};
pub use lesson::{ClassifierLesson, ClassifierTraining, Lesson, Problem, ScoreLesson};
pub use trainer::Trainer;
