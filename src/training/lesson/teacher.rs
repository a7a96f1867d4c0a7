use std::sync::OnceLock;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::score::Problem;
use crate::model::{Denoiser, Learned, Preconditioned};
use crate::network::Context;
use crate::weights::{Architecture, ModelCard, shipped};
use crate::{Error, Result};

/// A finished model that a student learns from.
#[derive(Debug, Clone)]
pub struct Teacher {
    /// In main memory.
    model: Preconditioned,
    /// Where the student is, once that is known.
    there: OnceLock<Preconditioned>,
}

impl Teacher {
    /// The score model of that name for a student of `problem`.
    pub fn open(name: &str, problem: &Problem, classes: usize) -> Result<Self> {
        let file = shipped::open(name)?;
        let refused =
            |problem: String, fix: String| Err(Error::config(format!("teacher = {name}"), problem, fix));
        let ModelCard { ref architecture, range, channels, height, width, .. } = file.card;
        let (Architecture::Score { network, preconditioning }, Some(sde)) = (architecture, file.card.sde)
        else {
            return refused("is a classifier".into(), "name a score model".into());
        };
        if preconditioning.learned() != Learned::Score {
            return refused(format!("gives {}", preconditioning.learned()), "name a score model".into());
        }
        if [channels, height, width] != problem.shape || range != problem.range {
            let [c, h, w] = problem.shape;
            return refused(
                format!(
                    "makes images of {channels}x{height}x{width} between {} and {}",
                    range.low, range.high
                ),
                format!("use one for {c}x{h}x{w} between {} and {}", problem.range.low, problem.range.high),
            );
        }
        if network.classes() < classes {
            return refused(
                format!("knows {} classes", network.classes()),
                format!("use one that knows {classes}"),
            );
        }
        // A tenth more is what rounding and measuring differ by; there is nothing to see beyond.
        let [most, known] = [problem.sde, sde].map(|sde| sde.sigma(1.0));
        if most > 1.1 * known {
            return refused(
                format!("knows noise up to {known:.3}"),
                format!("use one that knows {most:.3}, or less noise"),
            );
        }
        let model = file.load(&Device::flex())?.denoiser().clone();
        Ok(Self { model, there: OnceLock::new() })
    }

    /// Told the classes of a step; `device` is that of every step.
    pub fn told<'a>(&'a self, labels: &'a [Option<usize>], device: &Device) -> Told<'a> {
        let model = self.there.get_or_init(|| {
            let Preconditioned { preconditioning, sde, .. } = self.model;
            let network = self.model.network().clone().to_device(&device.clone().without_autodiff());
            Preconditioned::new(network, preconditioning, sde)
        });
        Told { model, labels }
    }
}

/// A model that is told the classes of a step.
pub struct Told<'a> {
    model: &'a Preconditioned,
    labels: &'a [Option<usize>],
}

impl Denoiser for Told<'_> {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        self.model.forward(x, sigma, Context { labels: self.labels, ..Context::default() })
    }
}
