//! A small noise-conditional classifier: the judge of generated digits, and later their guide.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::layers::{Conv, Embedding, Init, Linear, NormSilu, ResBlock, TimeMlp, TimeWidths, space_to_depth};
use crate::{Error, Result};

/// Architecture of a [`Classifier`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifierConfig {
    /// Channels of the highest resolution; a multiple of 4.
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
    /// Width of the feature vector that the Fréchet distance compares.
    pub features: usize,
}

impl Default for ClassifierConfig {
    fn default() -> Self {
        Self { channels: 32, classes: 10, features: 64 }
    }
}

impl ClassifierConfig {
    /// Checks every size.
    ///
    /// # Errors
    /// [`Error::Config`] names the field and its allowed range.
    pub fn validate(&self) -> Result<()> {
        let fields = [("channels", self.channels, 4, 512), ("classes", self.classes, 2, 1000)];
        for (what, value, low, high) in fields.into_iter().chain([("features", self.features, 2, 2048)]) {
            if !(low..=high).contains(&value) {
                let problem = format!("= {value} is out of range");
                return Err(Error::config(
                    format!("classifier.{what}"),
                    problem,
                    format!("choose {low} to {high}"),
                ));
            }
        }
        if !self.channels.is_multiple_of(4) {
            return Err(Error::config(
                "classifier.channels",
                "is not a multiple of 4",
                "choose a multiple of 4",
            ));
        }
        Ok(())
    }

    /// Names and shapes of the large weights; see [`super::UNetConfig::main_weights`].
    pub fn main_weights(&self) -> Vec<(String, [usize; 2])> {
        let width = 2 * self.channels;
        vec![
            ("low.conv2.weight".into(), [9 * width, width]),
            ("features.weight".into(), [width, self.features]),
            ("classes.weight".into(), [self.features, self.classes]),
        ]
    }
}

/// Classifies images that carry Gaussian noise of a known level; level 0 is a clean image.
#[derive(Module, Debug)]
pub struct Classifier {
    time: TimeMlp,
    stem: Conv,
    high: ResBlock,
    down: Conv,
    low: ResBlock,
    norm: NormSilu,
    features: Linear,
    classes: Linear,
}

/// Side of the patches that the stem turns into channels.
const PATCH: usize = 2;

/// What a [`Classifier`] says of a batch.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Features before the last layer, `[b, features]`.
    pub features: Tensor<2>,
    /// Unnormalised log-probabilities, `[b, classes]`.
    pub logits: Tensor<2>,
}

impl Classifier {
    /// Builds the network for images of `c_in` channels.
    pub fn new(config: &ClassifierConfig, c_in: usize, init: &mut Init) -> Self {
        let c = config.channels;
        let mut time = TimeWidths::default();
        Self {
            stem: Conv::new(c_in * PATCH * PATCH, c, 3, 1, 1.0, init),
            high: ResBlock::new(c, c, &mut time, init),
            down: Conv::new(c, 2 * c, 3, 2, 1.0, init),
            low: ResBlock::new(2 * c, 2 * c, &mut time, init),
            time: TimeMlp::new(c, 0, Embedding::Fourier { scale: 1.0 }, &time, init),
            norm: NormSilu::new(2 * c, init),
            features: Linear::new(2 * c, config.features, init),
            classes: Linear::new(config.features, config.classes, init),
        }
    }

    /// Judges `x` `[b, c, h, w]`, pixel values in `[0, 1]` plus noise of `sigma` (one for the batch or
    /// one per image).
    pub fn forward(&self, x: Tensor<4>, sigma: &[f64]) -> Verdict {
        let c_noise = crate::model::each(sigma, |s| (s + 1e-3).ln() / 4.0);
        let c_in = crate::model::each(sigma, |s| 2.0 / (0.25 + s * s).sqrt());
        let [b, _, h, w] = x.dims();
        let x = crate::ops::scale(x - 0.5, &c_in);
        let x = x.pad((0, w % PATCH, 0, h % PATCH), 0.0);
        let time = self.time.forward(&c_noise, &[], &x.device());
        let x = self.high.forward(self.stem.forward(space_to_depth(x, PATCH)), &time, None);
        let x = self.norm.forward(self.low.forward(self.down.forward(x), &time, None));
        let [_, h, w, c] = x.dims();
        let pooled = x.reshape([b, h * w, c]).mean_dim(1).reshape([b, c]);
        let features = burn::tensor::activation::silu(self.features.forward(pooled));
        Verdict { logits: self.classes.forward(features.clone()), features }
    }
}
