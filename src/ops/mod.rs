//! Operations that burn does not fuse, each with a plain-burn twin.
//!
//! The twin is the oracle of the tests and the path of every device without a kernel of its own.
//! To add one: a file here, its WGSL of the same stem in `shaders/` if it has one, and a parity test.

mod adam;
mod attention;
mod bytes;
mod combine;
mod conv;
mod elu;
mod error_norm;
mod gather;
mod gradient;
mod group_norm;
mod host;
mod instance_norm;
mod interpolate;
mod joined;
mod langevin;
mod launch;
mod move_average;
mod multiply_adds;
pub mod noise;
mod pool;
mod posterior;
mod resample;
mod silu;
mod time;
mod transfer;
mod value;

pub use adam::{AdamStep, EPSILON as ADAM_EPSILON, adam, adam_plain, sum_of_squares};
pub use attention::{
    attention, attention_added, attention_added_plain, attention_plain, attention_tangent,
    attention_tangent_plain,
};
pub use bytes::Bins;
pub use combine::{combine, combine_plain, dot, per_sample, scale, sum};
pub use conv::{
    Filter, Pass, Then, conv, conv_input_gradient, conv_normalised, conv_normalised_plain, conv_plain,
    upsample,
};
pub use elu::{elu, elu_plain};
pub use error_norm::{error_norm, error_norm_plain};
pub use gather::{gather, gather_plain};
pub use group_norm::{
    EPSILON as GROUP_NORM_EPSILON, Norm, group_norm, group_norm_plain, group_norm_silu,
    group_norm_silu_plain, shift_norm_silu_gradient,
};
pub(crate) use host::for_each;
pub use host::gemm;
pub use instance_norm::{InstanceNorm, instance_norm, instance_norm_plain};
pub use interpolate::interpolate;
pub use joined::Joined;
pub use langevin::{StepSize, langevin, langevin_plain};
pub use launch::wgsl::{Program, launches, programs, reads_half, runs_on as takes_wgsl};
pub use launch::{Adapter, Cut, Replay, at_once, at_pace, set_pace};
pub use move_average::move_average;
pub use multiply_adds::multiply_adds;
pub use pool::Pool;
pub use posterior::{Pull, posterior};
pub use resample::{Resample, Taps, smooth};
pub(crate) use silu::silu_slope;
pub use silu::{add_rows, silu, silu_plain, silu_tangent, silu_tangent_plain};
pub use time::{Dense, linear, time_mlp, time_mlp_plain};
pub use transfer::{each, read, upload};
pub use value::{Dual, Value};

#[cfg(feature = "cpu")]
use burn::backend::DispatchDevice;
use burn::tensor::{Device, Tensor};

/// Whether tensors of `device` live in main memory under burn-flex, with or without autodiff.
#[cfg(feature = "cpu")]
pub fn is_flex(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}

/// No tensor does in a program without code for the CPU.
#[cfg(not(feature = "cpu"))]
pub fn is_flex(_: &Device) -> bool {
    false
}

/// Whether `device` is a graphics card, which may be reset for a dispatch that takes long; a software adapter is not.
pub fn is_hardware(device: &Device) -> bool {
    takes_wgsl(device) && Adapter::current().is_hardware()
}

/// Whether gradients are recorded of what is made of `x`: never in a program that does not learn, which then has no code
/// for it.
fn is_recorded<const D: usize>(x: &Tensor<D>) -> bool {
    cfg!(feature = "learn") && x.is_autodiff()
}

/// Whether an op that has no kernel for its tensors takes our own code for main memory.
///
/// In the page always: its other device, WebGPU, has kernels for every network's convolutions and matrix
/// products. burn's own for GPUs are then called by nothing, and a third of the program is not downloaded.
fn uses_flex(device: &Device) -> bool {
    cfg!(target_family = "wasm") || is_flex(device)
}
