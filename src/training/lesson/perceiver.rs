use std::sync::OnceLock;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::score::Problem;
use crate::images::DataRange;
use crate::network::Classifier;
use crate::objective::Features;
use crate::weights::{Architecture, shipped};
use crate::{Error, Result};

/// A classifier by whose features images are compared.
#[derive(Debug, Clone)]
pub struct Perceiver {
    /// In main memory.
    classifier: Classifier,
    /// Where the student is, once that is known.
    there: OnceLock<Classifier>,
    range: DataRange,
}

impl Perceiver {
    /// The classifier of that name for images of `problem`.
    pub fn open(name: &str, problem: &Problem) -> Result<Self> {
        let refused =
            |problem: String, fix: String| Err(Error::config(format!("features = {name}"), problem, fix));
        let file = shipped::open(name)?;
        if !matches!(file.card.architecture, Architecture::Classifier { .. }) {
            return refused("is no classifier".into(), "name a classifier, such as mnist-classifier".into());
        }
        let [channels, wanted] = [file.card.channels, problem.shape[0]];
        if channels != wanted {
            let of = |n| if n == 1 { "grey" } else { "colour" };
            return refused(format!("knows {} images", of(channels)), format!("use one of {}", of(wanted)));
        }
        let classifier = file.classifier(&Device::flex())?;
        Ok(Self { classifier, there: OnceLock::new(), range: problem.range })
    }

    /// On `device`, that of every step.
    pub fn on(&self, device: &Device) -> Perceiving<'_> {
        let there = || self.classifier.clone().to_device(&device.clone().without_autodiff());
        Perceiving { classifier: self.there.get_or_init(there), range: self.range }
    }
}

/// A [`Perceiver`] on a device.
pub struct Perceiving<'a> {
    classifier: &'a Classifier,
    range: DataRange,
}

impl Features for Perceiving<'_> {
    fn layers(&self, x: Tensor<4>) -> Vec<Tensor<4>> {
        self.classifier.layers(self.range.decode(x)).into()
    }
}
