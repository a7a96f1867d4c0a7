//! The machinery of kernels: from a shader's template to a launch, and what is remembered between launches.
//!
//! An op knows its shader, its uniform and its workgroups; how they reach a device is known here alone. A program without
//! code for GPUs (the feature `gpu`) is made with [`absent`] in the place of the launches.

#[cfg(not(feature = "gpu"))]
mod absent;
mod adapter;
#[cfg(feature = "gpu")]
mod dispatch;
mod pace;
#[cfg(feature = "gpu")]
mod replay;
#[cfg(feature = "gpu")]
mod scratch;
#[cfg(feature = "gpu")]
mod template;
pub mod wgsl;

#[cfg(not(feature = "gpu"))]
use absent as way;
#[cfg(feature = "gpu")]
use dispatch as way;

#[cfg(not(feature = "gpu"))]
pub use absent::Replay;
pub use adapter::{Adapter, Cut};
pub use pace::{at_once, at_pace, set_pace};
#[cfg(feature = "gpu")]
pub use replay::Replay;
