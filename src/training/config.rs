//! Everything that decides a training run, as one typed value.

use serde::{Deserialize, Serialize};

use crate::data::{DataSource, Dataset};
use crate::network::UNetConfig;
use crate::objective::Dsm;
use crate::sde::{EdmSde, SubVpSde, VpSde};
use crate::{Error, Result};

/// A training run. Saved beside its results as `config.toml`; the same file given to `--config`
/// repeats the run bit for bit on the same device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Name of the model: file name and command-line name.
    pub name: String,
    /// Model whose weights to start from, a shipped name or a file of the same network; random without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// Optimiser steps in all.
    pub steps: usize,
    /// Images per step.
    pub batch: usize,
    /// Peak learning rate of Adam (betas 0.9 and 0.999, epsilon 1e-8).
    pub learning_rate: f64,
    /// Learning rate of the last step as a share of the peak; it falls along a half cosine. 1 keeps
    /// it constant, as in the papers.
    pub final_rate: f64,
    /// Steps over which the learning rate rises from zero.
    pub warmup: usize,
    /// Largest global norm of the gradient; larger ones are scaled down to it.
    pub clip: f64,
    /// Rate of the exponential moving average of the weights, which is the model that is kept; early
    /// on `(1 + step)/(10 + step)` if that is smaller.
    pub ema: f64,
    /// Share of activations zeroed in each residual block.
    pub dropout: f64,
    /// Share of the images whose class is kept from a network with classes, so that it also learns images of
    /// any class (Ho and Salimans 2021).
    pub label_dropout: f64,
    /// Seed of the initial weights, the data order and all noise.
    pub seed: u64,
    /// Mirror half of the images (not for digits).
    pub flip: bool,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// Steps between sample grids; 0 draws none.
    pub sample_every: usize,
    /// The images.
    pub data: DataSource,
    /// The forward diffusion.
    pub sde: SdeChoice,
    /// How the network is scaled: `edm`, or `eps` as in DDPM and NCSN++.
    pub preconditioning: PreconditioningChoice,
    /// The loss.
    pub objective: Dsm,
    /// The network.
    pub network: UNetConfig,
}

/// A diffusion whose open ends are filled in from the data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SdeChoice {
    /// Variance exploding, on data in `[0, 1]`.
    Ve {
        /// Smallest noise level.
        sigma_min: f64,
        /// Largest noise level; 0 measures the largest distance between two training images
        /// (NCSNv2's technique 1).
        sigma_max: f64,
    },
    /// Variance preserving, on data in `[-1, 1]`.
    Vp(VpSde),
    /// Sub-variance preserving, on data in `[-1, 1]`.
    SubVp(SubVpSde),
    /// Karras et al.'s, on data in `[-1, 1]`.
    Edm(EdmSde),
}

/// The scaling of the network; its constants come from the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreconditioningChoice {
    /// Karras et al. 2022.
    Edm,
    /// DDPM and NCSN++.
    Eps,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            name: "mnist-vp".into(),
            init: None,
            steps: 12_000,
            batch: 64,
            learning_rate: 1e-3,
            final_rate: 0.05,
            warmup: 300,
            clip: 1.0,
            ema: 0.999,
            dropout: 0.0,
            label_dropout: 0.1,
            seed: 0,
            flip: false,
            checkpoint_every: 500,
            sample_every: 1000,
            data: DataSource::new(Dataset::Mnist),
            sde: SdeChoice::Vp(VpSde::default()),
            preconditioning: PreconditioningChoice::Edm,
            objective: Dsm::default(),
            network: UNetConfig { blocks: 2, attention_levels: vec![1], ..UNetConfig::default() },
        }
    }
}

/// Names of the presets, in the order of the help text.
pub const PRESETS: [&str; 7] =
    ["mnist-class-vp", "mnist-ve", "mnist-vp", "fashion-mnist-vp", "emoji-vp", "cifar10-vp", "celeba-ve"];

impl TrainConfig {
    /// The preset of that name.
    ///
    /// # Errors
    /// [`Error::Config`] lists the names that exist.
    pub fn preset(name: &str) -> Result<Self> {
        let base = Self { name: name.into(), ..Self::default() };
        let ve = SdeChoice::Ve { sigma_min: 0.01, sigma_max: 0.0 };
        // Size and pace of Score-SDE's DDPM++.
        let photographs = |dataset, attention_level| Self {
            data: DataSource::new(dataset),
            network: UNetConfig {
                channels: 128,
                multipliers: vec![1, 2, 2, 2],
                blocks: 4,
                attention_levels: vec![attention_level],
                patch: 1,
                ..UNetConfig::default()
            },
            steps: 1_300_000,
            batch: 128,
            learning_rate: 2e-4,
            final_rate: 1.0,
            warmup: 5000,
            dropout: 0.1,
            flip: true,
            ..base.clone()
        };
        match name {
            "mnist-vp" => Ok(base),
            "mnist-class-vp" => Ok(Self {
                label_dropout: 0.2,
                network: UNetConfig { classes: 10, ..base.network.clone() },
                ..base
            }),
            "mnist-ve" => Ok(Self { sde: ve, ..base }),
            "fashion-mnist-vp" => {
                Ok(Self { flip: true, data: DataSource::new(Dataset::FashionMnist), ..base })
            }
            "emoji-vp" => Ok(Self {
                steps: 10_000,
                data: DataSource {
                    data_dir: Some("noto-emoji".into()),
                    name: Some("noto-emoji".into()),
                    licence: Some("Apache-2.0 (images), Google Noto Emoji".into()),
                    ..DataSource::new(Dataset::Npz)
                },
                network: UNetConfig { multipliers: vec![1, 2, 2], ..base.network.clone() },
                ..base
            }),
            "cifar10-vp" => Ok(Self { ema: 0.9999, ..photographs(Dataset::Cifar10, 1) }),
            "celeba-ve" => Ok(Self { sde: ve, ..photographs(Dataset::Celeba, 2) }),
            _ => {
                let fix = format!("use one of {}", PRESETS.join(", "));
                Err(Error::config("preset", format!("`{name}` is not known"), fix))
            }
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Config`] names the field and what it may be.
    pub fn validate(&self) -> Result<()> {
        let check = |what: &str, ok: bool, value: String, fix: &str| match ok {
            true => Ok(()),
            false => Err(Error::config(format!("{what} = {value}"), "is not allowed", fix)),
        };
        let name = &self.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let named = !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.chars().all(plain);
        check(
            "name",
            named,
            format!("`{name}`"),
            "use up to 64 letters, digits, dots, dashes and underscores",
        )?;
        for (what, value) in
            [("steps", self.steps), ("batch", self.batch), ("checkpoint_every", self.checkpoint_every)]
        {
            check(what, value > 0, value.to_string(), "use 1 or more")?;
        }
        check("batch", self.batch <= 65_536, self.batch.to_string(), "use 65536 or less")?;
        check("steps", self.steps < u32::MAX as usize, self.steps.to_string(), "use less than 4294967295")?;
        let positive = |v: f64| v.is_finite() && v > 0.0;
        for (what, value) in [("learning_rate", self.learning_rate), ("clip", self.clip)] {
            check(what, positive(value), value.to_string(), "use a positive number")?;
        }
        for (what, value) in [("dropout", self.dropout), ("ema", self.ema)] {
            check(what, (0.0..1.0).contains(&value), value.to_string(), "use 0 or more and less than 1")?;
        }
        let share = self.label_dropout;
        check("label_dropout", (0.0..=1.0).contains(&share), share.to_string(), "use 0 to 1")?;
        check(
            "final_rate",
            (0.0..=1.0).contains(&self.final_rate),
            self.final_rate.to_string(),
            "use 0 to 1",
        )?;
        match self.sde {
            SdeChoice::Ve { sigma_min, sigma_max } => {
                let ok = positive(sigma_min)
                    && (sigma_max == 0.0 || sigma_max > sigma_min)
                    && sigma_max.is_finite();
                let fix = "use 0 < sigma_min < sigma_max, or sigma_max = 0 to measure it";
                check("sde.sigma_min, sigma_max", ok, format!("{sigma_min}, {sigma_max}"), fix)?;
            }
            SdeChoice::Vp(VpSde { beta_min, beta_max })
            | SdeChoice::SubVp(SubVpSde { beta_min, beta_max }) => {
                let ok = positive(beta_min) && beta_max > beta_min && beta_max.is_finite();
                let fix = "use 0 < beta_min < beta_max";
                check("sde.beta_min, beta_max", ok, format!("{beta_min}, {beta_max}"), fix)?;
            }
            SdeChoice::Edm(EdmSde { sigma_min, sigma_max }) => {
                let ok = positive(sigma_min) && sigma_max > sigma_min && sigma_max.is_finite();
                let fix = "use 0 < sigma_min < sigma_max";
                check("sde.sigma_min, sigma_max", ok, format!("{sigma_min}, {sigma_max}"), fix)?;
            }
        }
        self.data.validate()?;
        self.network.validate()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_survives_its_file() {
        for name in PRESETS {
            let config = TrainConfig::preset(name).unwrap();
            config.validate().unwrap();
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<TrainConfig>(&text).unwrap(), config);
        }
        assert!(TrainConfig::preset("mnits").unwrap_err().to_string().contains("mnist-ve"));
    }

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
            (TrainConfig { ema: 1.0, ..TrainConfig::default() }, "ema"),
            (TrainConfig { name: "../up".into(), ..TrainConfig::default() }, "name"),
        ] {
            let message = bad.validate().unwrap_err().to_string();
            assert!(message.contains(field), "{message}");
        }
    }
}
