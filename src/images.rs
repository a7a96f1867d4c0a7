//! What images are, whoever made them.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The values that black and white pixels have inside a model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRange {
    /// Black.
    pub low: f64,
    /// White.
    pub high: f64,
}

impl DataRange {
    /// `[0, 1]`, what the papers use with VE.
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };
    /// `[-1, 1]`, what the papers use with VP.
    pub const CENTRED: Self = Self { low: -1.0, high: 1.0 };

    /// From pixel values in `[0, 1]` to the model's units.
    pub fn encode<const D: usize>(&self, pixels: Tensor<D>) -> Tensor<D> {
        pixels * (self.high - self.low) + self.low
    }

    /// From the model's units to pixel values, not clipped.
    pub fn decode<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        (x - self.low) / (self.high - self.low)
    }
}
