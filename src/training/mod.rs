//! Training: a step, and around it a run with files, progress and resume.

mod batches;
mod config;
mod optimiser;
mod trainer;

pub mod checkpoint;
pub mod classifier;
pub mod report;
pub mod run;

pub use batches::Batches;
pub use config::{PRESETS, PreconditioningChoice, SdeChoice, TrainConfig};
pub use trainer::{Problem, StepReport, Trainer};
