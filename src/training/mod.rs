//! Training: a step that runs anywhere, and around it a native run with files, progress and resume.

mod batches;
mod config;
mod optimiser;
mod trainer;

#[cfg(not(target_family = "wasm"))]
pub mod checkpoint;
#[cfg(not(target_family = "wasm"))]
pub mod classifier;
#[cfg(not(target_family = "wasm"))]
pub mod report;
#[cfg(not(target_family = "wasm"))]
pub mod run;

pub use batches::Batches;
pub use config::{PRESETS, PreconditioningChoice, SdeChoice, TrainConfig};
pub use trainer::{Problem, StepReport, Trainer};
