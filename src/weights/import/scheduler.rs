//! `scheduler_config.json` of `diffusers`: which diffusion a network was trained for, and what its output means.

use serde::{Deserialize, Serialize};

use super::Trained;
use crate::images::DataRange;
use crate::model::Preconditioning;
use crate::sde::{Betas, DdpmSde, EdmSde, VeSde, VpSde};
use crate::{Error, Result};

/// What of a scheduler's configuration says how the network was trained; how it samples is of no interest here.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Scheduler {
    /// The scheduler's class.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// Levels of a discrete chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_train_timesteps: Option<usize>,
    /// `linear`, `scaled_linear` or `squaredcos_cap_v2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_schedule: Option<String>,
    /// The first variance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_start: Option<f64>,
    /// The last variance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_end: Option<f64>,
    /// Variances given one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_betas: Option<serde_json::Value>,
    /// Whether the last level was made pure noise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rescale_betas_zero_snr: bool,
    /// `epsilon`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction_type: Option<String>,
    /// The rate of a continuous chain at its ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_min: Option<f64>,
    /// See `beta_min`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_max: Option<f64>,
    /// Smallest noise level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma_min: Option<f64>,
    /// Largest noise level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma_max: Option<f64>,
    /// Deviation of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma_data: Option<f64>,
}

/// Schedulers of DDPM's chain: they differ in how they sample.
const DISCRETE: [&str; 11] = [
    "DDPMScheduler",
    "DDIMScheduler",
    "PNDMScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
];

impl Scheduler {
    /// Diffusion and scaling of a network with this scheduler.
    ///
    /// # Errors
    /// [`Error::Config`] for a scheduler, or a choice of it, that is not known here.
    pub fn trained(&self) -> Result<Trained> {
        let trained = match self.class_name.as_str() {
            "ScoreSdeVeScheduler" => {
                let usual = VeSde::default();
                let (low, high) =
                    (self.sigma_min.unwrap_or(usual.sigma_min), self.sigma_max.unwrap_or(1348.0));
                let sde = VeSde { sigma_min: low, sigma_max: high, ..usual }.into();
                Trained { sde, preconditioning: Preconditioning::Eps, range: DataRange::UNIT }
            }
            "ScoreSdeVpScheduler" => {
                let usual = VpSde::default();
                let beta_min = self.beta_min.unwrap_or(usual.beta_min);
                let sde = VpSde { beta_min, beta_max: self.beta_max.unwrap_or(usual.beta_max) }.into();
                Trained { sde, preconditioning: Preconditioning::Eps, range: DataRange::CENTRED }
            }
            "CMStochasticIterativeScheduler" => {
                let usual = EdmSde::default();
                let (low, high) =
                    (self.sigma_min.unwrap_or(usual.sigma_min), self.sigma_max.unwrap_or(usual.sigma_max));
                let sde = EdmSde { sigma_min: low, sigma_max: high }.into();
                let sigma_data = self.sigma_data.unwrap_or(0.5);
                let preconditioning = Preconditioning::Consistency { sigma_data };
                Trained { sde, preconditioning, range: DataRange::CENTRED }
            }
            name if DISCRETE.contains(&name) => {
                let sde = self.chain()?.into();
                Trained { sde, preconditioning: Preconditioning::Eps, range: DataRange::CENTRED }
            }
            other => {
                let known = ["ScoreSdeVeScheduler", "ScoreSdeVpScheduler", "CMStochasticIterativeScheduler"];
                let known = [&DISCRETE[..], &known].concat().join(", ");
                return Err(Error::config(
                    "the scheduler",
                    format!("{other} is unknown"),
                    format!("use {known}"),
                ));
            }
        };
        trained.sde.check()?;
        Ok(trained)
    }

    /// DDPM's discrete chain.
    fn chain(&self) -> Result<DdpmSde> {
        let refuse = |what: &str, value: &str, fix: &str| {
            Err(Error::config(format!("the scheduler's {what}"), format!("= {value} is not known here"), fix))
        };
        match self.prediction_type.as_deref() {
            None | Some("epsilon") => {}
            Some(other) => return refuse("prediction_type", other, "use a network that predicts epsilon"),
        }
        if self.trained_betas.as_ref().is_some_and(|betas| !betas.is_null()) {
            return refuse("trained_betas", "a list", "use a beta_schedule");
        }
        if self.rescale_betas_zero_snr {
            return refuse("rescale_betas_zero_snr", "true", "use a network that was trained without");
        }
        let schedule = match self.beta_schedule.as_deref() {
            None | Some("linear") => Betas::Linear,
            Some("scaled_linear") => Betas::ScaledLinear,
            Some("squaredcos_cap_v2") => Betas::Cosine,
            Some(other) => {
                return refuse("beta_schedule", other, "use linear, scaled_linear or squaredcos_cap_v2");
            }
        };
        let usual = DdpmSde::default();
        let levels = self.num_train_timesteps.unwrap_or(usual.levels);
        let beta_start = self.beta_start.unwrap_or(usual.beta_start);
        let beta_end = self.beta_end.unwrap_or(usual.beta_end);
        // The jump to a cosine's last level serves no sampler.
        let part = if schedule == Betas::Cosine { 1.0 - 1.0 / levels.max(2) as f64 } else { 1.0 };
        Ok(DdpmSde { schedule, beta_start, beta_end, levels, part })
    }
}
