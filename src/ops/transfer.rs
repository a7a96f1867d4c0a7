//! Numbers between the host and a device.

use burn::tensor::{Device, Tensor};

use crate::{Error, Result};

/// `f` of every value: how a quantity of each noise level becomes another one.
pub fn each(values: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
    values.iter().map(|v| f(*v)).collect()
}

/// `values` as a tensor of this shape on `device`.
///
/// # Panics
/// If the shape does not hold as many values.
pub fn upload<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::<1>::from_floats(values, device).reshape(shape)
}

/// Reads a tensor back. The only way this crate looks at values while it works, since wasm cannot block.
///
/// # Errors
/// [`Error::Device`] if the device is lost.
pub async fn read<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>> {
    let lost = |problem: String| Error::device("in use", problem, "reload, or choose the CPU");
    let data = x.into_data_async().await.map_err(|e| lost(format!("did not return its result ({e})")))?;
    data.try_to_vec().map_err(|e| lost(format!("returned values of another type ({e:?})")))
}
