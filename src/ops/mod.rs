//! Operations that burn does not fuse, each with a plain-burn twin.
//!
//! The twin is the oracle of the tests and the path of every device without a kernel of its own.
//! To add one: a file here, its WGSL of the same stem in `shaders/` if it has one, and a parity test.

mod conv;
mod cpu;
mod group_norm;
pub mod noise;

pub use conv::{conv, conv_plain};
pub use cpu::gemm;
pub use group_norm::{EPSILON as GROUP_NORM_EPSILON, group_norm, group_norm_silu};
pub use noise::takes_wgsl;

use burn::backend::DispatchDevice;
use burn::tensor::Device;

/// Whether tensors of `device` live in main memory under burn-flex, with or without autodiff.
pub fn is_flex(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}
