//! The machinery of kernels: from a shader's template to a launch, and what is remembered between launches.
//!
//! An op knows its shader, its uniform and its workgroups; how they reach a device is known here alone.

mod adapter;
mod pace;
mod replay;
mod scratch;
mod template;
pub mod wgsl;

pub use adapter::{Adapter, Cut};
pub use pace::{at_once, at_pace, set_pace};
pub use replay::Replay;
