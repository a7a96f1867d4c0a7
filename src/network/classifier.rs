//! A small noise-conditional classifier: the judge of generated digits, and later their guide.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use super::layers::{
    Context, Conv, Embedding, Init, Linear, NormSilu, ResBlock, TimeMlp, TimeWidths, depth_to_space, fill_up,
    space_to_depth,
};
use crate::ops::{each, silu, silu_slope};
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

    /// Names and shapes of the large weights; see [`super::Architecture::main_weights`].
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
        let pass = self.pass(x, sigma);
        Verdict { logits: self.classes.forward(pass.features.clone()), features: pass.features }
    }

    /// What its convolutions make of clean images `[b, c, h, w]` of pixel values in `[0, 1]`, from the first to the last,
    /// `[b, h, w, channels]` each.
    pub fn layers(&self, x: Tensor<4>) -> [Tensor<4>; 4] {
        let Pass { stem, high, down, low, .. } = self.pass(x, &[0.0]);
        [stem, high, down, low]
    }

    /// The gradient `[b, c, h, w]` of `log p(class | x)` for `x`, as [`Self::forward`] judges it.
    ///
    /// Written out by hand, so that a page without autodiff has it too.
    pub fn log_p_gradient(&self, x: Tensor<4>, sigma: &[f64], class: usize) -> Tensor<4> {
        let [b, c, h, w] = x.dims();
        let pass = self.pass(x, sigma);
        let logits = self.classes.forward(pass.features);
        let [_, classes] = logits.dims();
        let wanted: Vec<f32> = (0..classes).map(|i| if i == class { 1.0 } else { 0.0 }).collect();
        let wanted = Tensor::<1>::from_floats(wanted.as_slice(), &logits.device()).unsqueeze();
        let d_logits = softmax(logits, 1).neg() + wanted;

        let slope = silu_slope(pass.before_features);
        let d_pooled = self.features.gradient(self.classes.gradient(d_logits) * slope);
        let [_, low_h, low_w, channels] = pass.low.dims();
        let d_normed = (d_pooled / (low_h * low_w) as f64).reshape([b, 1, 1, channels]);
        let d_normed = d_normed.repeat(&[1, low_h, low_w, 1]);
        let no_shift = Tensor::zeros([1, channels], &d_normed.device());
        let d_low = self.norm.gradient(&pass.low, &no_shift, d_normed);
        let d_down = self.low.gradient(&pass.down, &pass.time, d_low);
        let d_high = self.down.gradient(&pass.high, d_down);
        let d_stem = self.high.gradient(&pass.stem, &pass.time, d_high);
        let d_input = depth_to_space(self.stem.gradient(&pass.input, d_stem), PATCH);
        crate::ops::scale(d_input.slice([0..b, 0..c, 0..h, 0..w]), &input_scale(sigma))
    }

    /// All layers up to the features.
    fn pass(&self, x: Tensor<4>, sigma: &[f64]) -> Pass {
        let c_noise = each(sigma, |s| (s + 1e-3).ln() / 4.0);
        let x = crate::ops::scale(x - 0.5, &input_scale(sigma));
        let features = Tensor::from_data(self.time.features(&c_noise, Context::default()), &x.device());
        let time = self.time.forward(features);
        let input = space_to_depth(fill_up(x, PATCH), PATCH);
        let stem = self.stem.forward(input.clone().into());
        let high = self.high.forward(stem.clone(), &time, None);
        let down = self.down.forward(high.clone());
        let low = self.low.forward(down.clone(), &time, None);
        let normed = Tensor::from(self.norm.forward(low.clone()));
        let [b, h, w, c] = normed.dims();
        let pooled = normed.reshape([b, h * w, c]).mean_dim(1).reshape([b, c]);
        let before_features = self.features.forward(pooled);
        let features = silu(before_features.clone());
        let [stem, high, down, low] = [stem, high, down, low].map(Tensor::from);
        Pass { time, input, stem, high, down, low, before_features, features }
    }
}

/// What brings an image with noise of each `sigma` to unit variance.
fn input_scale(sigma: &[f64]) -> Vec<f64> {
    each(sigma, |s| 2.0 / (0.25 + s * s).sqrt())
}

/// What the layers of a [`Classifier`] have made of a batch.
struct Pass {
    time: Tensor<2>,
    input: Tensor<4>,
    stem: Tensor<4>,
    high: Tensor<4>,
    down: Tensor<4>,
    low: Tensor<4>,
    before_features: Tensor<2>,
    features: Tensor<2>,
}
