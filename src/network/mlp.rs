//! A multilayer perceptron, for points: the network of every figure in the plane.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::family::{Architecture, ScoreNetwork};
use super::layers::{Context, Conv, Dropout, Embedding, Init, TimeMlp, TimeSizes, TimeWidths};
use crate::ops::Value;
use crate::{Error, Result};

/// Sizes of a multilayer perceptron for points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Units of a layer; a multiple of 4.
    pub width: usize,
    /// Hidden layers.
    pub layers: usize,
    /// Units of the two layers that the noise level passes before it reaches the others; a multiple of 4.
    pub noise: usize,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self { width: 128, layers: 3, noise: 128 }
    }
}

impl Architecture for MlpConfig {
    fn validate(&self) -> Result<()> {
        let Self { width, layers, noise } = *self;
        let fine = |units: usize| (4..=4096).contains(&units) && units.is_multiple_of(4);
        match fine(width) && fine(noise) && (1..=32).contains(&layers) {
            true => Ok(()),
            false => Err(Error::config(
                format!("network.width, layers, noise = {width}, {layers}, {noise}"),
                "is not allowed",
                "use multiples of 4 up to 4096 for width and noise, and 1 to 32 layers",
            )),
        }
    }

    fn validate_for(&self, _: usize, _: usize) -> Result<()> {
        self.validate()
    }

    fn heaviest(&self, height: usize, width: usize) -> f64 {
        (2 * height * width * self.width * self.width) as f64
    }

    fn main_weights(&self) -> Vec<(String, [usize; 2])> {
        (0..self.layers).map(|layer| (format!("layers.{layer}.weight"), [self.width; 2])).collect()
    }

    fn largest_output(&self, height: usize, width: usize) -> u64 {
        (self.width * height * width) as u64
    }

    fn classes(&self) -> usize {
        0
    }

    fn learn_classes(&mut self, _: usize) -> Option<&'static str> {
        None
    }
}

/// Dense layers with SiLU between them, each of which is told the noise level by a shift of its units.
///
/// A point of `d` dimensions is an image of one pixel and `d` channels. Of a larger image every pixel is taken for a
/// point.
#[derive(Module, Debug)]
pub struct Mlp {
    time: TimeMlp,
    stem: Conv,
    layers: Vec<Conv>,
    head: Conv,
    width: usize,
}

/// Features that say the noise level.
const FEATURES: usize = 32;

impl ScoreNetwork for Mlp {
    type Config = MlpConfig;

    fn new(config: &MlpConfig, c_in: usize, c_out: usize, init: &mut Init) -> Self {
        let mut widths = TimeWidths::default();
        widths.reserve((config.layers + 1) * config.width);
        let dense = |from, to, scale, init: &mut Init| Conv::new(from, to, 1, 1, scale, init);
        let sizes = TimeSizes { features: FEATURES, hidden: config.noise, ..TimeSizes::default() };
        Self {
            stem: dense(c_in, config.width, 1.0, init),
            layers: (0..config.layers).map(|_| dense(config.width, config.width, 1.0, init)).collect(),
            head: dense(config.width, c_out, 0.0, init),
            time: TimeMlp::with(sizes, Embedding::Fourier { scale: 1.0 }, &widths, init),
            width: config.width,
        }
    }

    fn features(&self, c_noise: &[f64], context: Context<'_>) -> TensorData {
        self.time.features(c_noise, context)
    }

    fn forward_features(&self, x: Value, features: Tensor<2>, dropout: Option<&Dropout>) -> Value {
        let ([b, _, h, w], time) = (x.dims(), self.time.forward(features));
        let told = |x: Value, layer: usize| {
            x.add_rows(time.clone().narrow(1, layer * self.width, self.width)).silu()
        };
        // All points as the pixels of one image: one matrix product.
        let points = |x: Tensor<4>| {
            let [_, c, ..] = x.dims();
            x.permute([0, 2, 3, 1]).reshape([1, b, h * w, c])
        };
        let first = told(self.stem.forward(x.linear(points)), 0);
        let last = self.layers.iter().enumerate().fold(first, |x, (i, layer)| {
            let x = match dropout {
                Some(dropout) => dropout.apply(x),
                None => x,
            };
            told(layer.forward(x), i + 1)
        });
        self.head.forward(last).linear(|y| {
            let [.., c] = y.dims();
            y.reshape([b, h, w, c]).permute([0, 3, 1, 2])
        })
    }

    fn is_autodiff(&self) -> bool {
        self.stem.filter().weight.is_autodiff()
    }
}
