//! Scorefield
pub mod cancel;
#[cfg(not(target_family = "wasm"))]
pub mod cli;
pub mod data;
pub mod device;
pub mod error;
#[cfg(not(target_family = "wasm"))]
pub mod files;
pub mod interpolate;
pub mod model;
pub mod network;
pub mod objective;
pub mod ops;
pub mod picture;
pub mod rng;
pub mod sampler;
pub mod schedule;
pub mod sde;
pub mod training;
pub mod weights;
pub use error::{Error, Result};
