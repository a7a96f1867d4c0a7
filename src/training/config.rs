//! Everything that decides the training of a score network, as one typed value.

use serde::{Deserialize, Serialize};

use super::course::{check_micro_batches, is_whole};
use super::{Pace, presets};
use crate::data::{DataSource, Dataset};
use crate::learning::{Ema, PowerAverage};
use crate::model::{Learned, PreconditioningChoice};
use crate::network::NetworkConfig;
use crate::objective::{Loss, Metric, Objective};
use crate::ops::ADAM_EPSILON;
use crate::sde::{AnySde, VpSde};
use crate::{Error, Result};

/// The training run of a score network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Name of the model: file name and command-line name.
    pub name: String,
    /// Model whose weights to start from, a shipped name or a file of the same network; random without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// Model that is learned from, a shipped name or a file, where the objective has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<String>,
    /// Classifier by whose features images are compared, a shipped name or a file, where the objective's metric is
    /// `features`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<String>,
    /// Optimiser steps in all.
    pub steps: usize,
    /// Images per step.
    pub batch: usize,
    /// Equal parts in which the gradient of a batch is computed, one after another, which takes less memory, or by several
    /// processes: the result depends on this number by rounding, not on that of the processes.
    #[serde(skip_serializing_if = "is_whole")]
    pub micro_batches: usize,
    /// Peak learning rate. Adam (betas 0.9 and 0.999) wants about a tenth of what Muon does; it is 1e-3 in a file that does
    /// not say.
    #[serde(default = "of_adam")]
    pub learning_rate: f64,
    /// Learning rate of the last step as a share of the peak; it falls along a half cosine. 1 keeps
    /// it constant, as in the papers.
    pub final_rate: f64,
    /// Steps over which the learning rate rises from zero.
    pub warmup: usize,
    /// Largest global norm of the gradient; larger ones are scaled down to it.
    pub clip: f64,
    /// What Adam adds to the root of the second moment; NCSNv2 has 1e-3 for FFHQ.
    pub adam_epsilon: f64,
    /// Whether Adam is RAdam (Liu et al. 2020), as consistency models are trained.
    pub rectified: bool,
    /// Whether the matrices that layers multiply by are moved by Muon (Jordan et al. 2024) at the same learning rate, and only
    /// the other weights by Adam. A file that does not say is of a version that knew Adam alone.
    #[serde(default)]
    pub muon: bool,
    /// The exponential moving average of the weights, which is the model that is kept: its rate, or its half-life as
    /// `{ images = 500000 }`.
    pub ema: Ema,
    /// Further averages, by their relative lengths: they are saved with each checkpoint, and `scorefield average` makes one
    /// of any length of them. Two are enough, 0.05 and 0.1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub averages: Vec<f64>,
    /// Share of activations zeroed in each residual block.
    pub dropout: f64,
    /// Share of the images whose class is kept from a network with classes, so that it also learns images of
    /// any class (Ho and Salimans 2021).
    pub label_dropout: f64,
    /// Seed of the initial weights, the data order and all noise.
    pub seed: u64,
    /// Mirror half of the images (not for digits).
    pub flip: bool,
    /// Probability of each kind of augmentation that does not leak, 0.12 to 0.15 in Karras et al. (2022): for sets of few images,
    /// and a network with `moves`.
    #[serde(skip_serializing_if = "is_none")]
    pub augment: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// Steps between sample grids; 0 draws none.
    pub sample_every: usize,
    /// The images.
    pub data: DataSource,
    /// The forward diffusion; what is open in it is measured from the images.
    pub sde: AnySde,
    /// How the network is scaled: `edm`, or `eps` as in DDPM and NCSN++.
    pub preconditioning: PreconditioningChoice,
    /// The loss.
    pub objective: Objective,
    /// The network.
    pub network: NetworkConfig,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            name: "mnist-vp".into(),
            init: None,
            teacher: None,
            features: None,
            steps: 12_000,
            batch: 64,
            micro_batches: 1,
            learning_rate: 1e-2,
            final_rate: 0.05,
            warmup: 300,
            clip: 1.0,
            adam_epsilon: ADAM_EPSILON,
            rectified: false,
            muon: true,
            ema: 0.999.into(),
            averages: vec![],
            dropout: 0.0,
            label_dropout: 0.1,
            seed: 0,
            flip: false,
            augment: 0.0,
            checkpoint_every: 500,
            sample_every: 1000,
            data: DataSource::new(Dataset::Mnist),
            sde: VpSde::default().into(),
            preconditioning: PreconditioningChoice::Edm,
            objective: Objective::default(),
            network: presets::usual_network(),
        }
    }
}

impl TrainConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Config`] names the field and what it may be.
    pub fn validate(&self) -> Result<()> {
        let check = |what: &str, ok: bool, value: String, fix: &str| match ok {
            true => Ok(()),
            false => Err(Error::config(format!("{what} = {value}"), "is not allowed", fix)),
        };
        check_name(&self.name)?;
        for (what, value) in
            [("steps", self.steps), ("batch", self.batch), ("checkpoint_every", self.checkpoint_every)]
        {
            check(what, value > 0, value.to_string(), "use 1 or more")?;
        }
        check("batch", self.batch <= 65_536, self.batch.to_string(), "use 65536 or less")?;
        check("steps", self.steps < u32::MAX as usize, self.steps.to_string(), "use less than 4294967295")?;
        check_micro_batches(self.micro_batches, self.batch)?;
        let positive = |v: f64| v.is_finite() && v > 0.0;
        for (what, value) in
            [("learning_rate", self.learning_rate), ("clip", self.clip), ("adam_epsilon", self.adam_epsilon)]
        {
            check(what, positive(value), value.to_string(), "use a positive number")?;
        }
        let fine = (0.0..1.0).contains(&self.dropout);
        check("dropout", fine, self.dropout.to_string(), "use 0 or more and less than 1")?;
        self.ema.check()?;
        self.averages.iter().try_for_each(|length| PowerAverage::of_length(*length).map(drop))?;
        let share = self.label_dropout;
        check("label_dropout", (0.0..=1.0).contains(&share), share.to_string(), "use 0 to 1")?;
        check(
            "final_rate",
            (0.0..=1.0).contains(&self.final_rate),
            self.final_rate.to_string(),
            "use 0 to 1",
        )?;
        check("augment", (0.0..=1.0).contains(&self.augment), self.augment.to_string(), "use 0 to 1")?;
        if self.augment > 0.0 && !self.network.knows_moves() {
            let problem = "needs a network that is told how images were moved";
            return Err(Error::config("augment", problem, "set `moves = true` under [network], a unet"));
        }
        if self.augment > 0.0 && self.preconditioning == PreconditioningChoice::Bytes {
            let problem =
                "does not go with preconditioning = \"bytes\": pixels of a turned image are no bytes";
            return Err(Error::config("augment", problem, "leave out one of the two"));
        }
        if self.augment > 0.0 && self.teacher.is_some() {
            let problem = "does not go with a teacher, which has seen no moved images";
            return Err(Error::config("augment", problem, "leave out one of the two"));
        }
        self.sde.check()?;
        self.objective.check()?;
        self.check_what_is_learned()?;
        self.data.validate()?;
        self.network.validate()
    }

    /// That scaling and teacher are those of the objective.
    fn check_what_is_learned(&self) -> Result<()> {
        let (objective, learns) = (self.objective.name(), self.objective.learns());
        let fits = self.preconditioning.measured(1.0, self.sde.range()).learned() == learns;
        if !fits {
            let problem = format!("does not fit the objective {objective}, which gives {learns}");
            let fix = match learns {
                Learned::Consistency => "use \"consistency\"",
                Learned::Score => "use \"edm\", \"eps\" or \"score\"",
            };
            return Err(Error::config("preconditioning", problem, fix));
        }
        match (self.objective.has_teacher(), &self.teacher) {
            (true, None) => Err(Error::config(
                "teacher",
                format!("is missing, from which the objective {objective} learns"),
                "name a score model, a shipped one or a file",
            )),
            (false, Some(name)) => Err(Error::config(
                format!("teacher = {name}"),
                format!("has nothing to say in the objective {objective}"),
                "leave it out, or use the objective consistency_distillation",
            )),
            _ => Ok(()),
        }?;
        let mut objective = self.objective;
        match (objective.metric() == Some(&mut Metric::Features {}), &self.features) {
            (true, None) => Err(Error::config(
                "features",
                "is missing, by which the objective's metric compares images".to_owned(),
                "name a classifier, a shipped one or a file",
            )),
            (false, Some(name)) => Err(Error::config(
                format!("features = {name}"),
                "is not what the objective's metric compares images by".to_owned(),
                "leave it out, or use a consistency objective with the metric features",
            )),
            _ => Ok(()),
        }
    }

    /// How the run proceeds.
    pub(super) fn pace(&self) -> Pace {
        Pace {
            name: self.name.clone(),
            init: self.init.clone(),
            steps: self.steps,
            batch: self.batch,
            micro_batches: self.micro_batches,
            seed: self.seed,
            flip: self.flip,
            augment: self.augment,
            clip: self.clip,
            adam_epsilon: self.adam_epsilon,
            rectified: self.rectified,
            muon: self.muon,
            ema: self.ema,
            averages: self.averages.clone(),
            checkpoint_every: self.checkpoint_every,
            sample_every: self.sample_every,
        }
    }

    /// The learning rate of `step`, counted from 0: a linear warm-up that starts above zero, then a
    /// half cosine down to `final_rate`.
    pub fn learning_rate_at(&self, step: usize) -> f64 {
        let warmup = ((step + 1) as f64 / self.warmup.max(1) as f64).min(1.0);
        let progress = (step as f64 / self.steps as f64).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        self.learning_rate * warmup * (self.final_rate + (1.0 - self.final_rate) * cosine)
    }
}

/// The learning rate of files that do not say one.
fn of_adam() -> f64 {
    1e-3
}

/// Whether a share is that of nothing.
fn is_none(share: &f64) -> bool {
    *share == 0.0
}

/// Refuses a name that could not be a file's.
pub(super) fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match (1..=64).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain) {
        true => Ok(()),
        false => Err(Error::config(
            format!("name = `{name}`"),
            "is not allowed",
            "use up to 64 letters, digits, dots, dashes and underscores",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learning_rate_warms_up_and_decays() {
        let config = TrainConfig::default();
        assert!(config.learning_rate_at(0) > 0.0);
        assert!(config.learning_rate_at(0) < 0.01 * config.learning_rate);
        assert!((config.learning_rate_at(300) - config.learning_rate).abs() < 0.01 * config.learning_rate);
        let last = config.learning_rate_at(config.steps);
        assert!((last - config.final_rate * config.learning_rate).abs() < 1e-12);
    }

    #[test]
    fn bad_values_are_named() {
        for (bad, field) in [
            (TrainConfig { batch: 0, ..TrainConfig::default() }, "batch"),
            (TrainConfig { learning_rate: f64::NAN, ..TrainConfig::default() }, "learning_rate"),
            (TrainConfig { ema: 1.0.into(), ..TrainConfig::default() }, "ema"),
            (TrainConfig { name: "../up".into(), ..TrainConfig::default() }, "name"),
        ] {
            let message = bad.validate().unwrap_err().to_string();
            assert!(message.contains(field), "{message}");
        }
    }
}
