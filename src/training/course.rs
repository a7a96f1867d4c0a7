use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::{ClassifierTraining, TrainConfig};
use crate::data::DataSource;
use crate::kind::Tagged;
use crate::learning::{Ema, PowerAverage};
use crate::{Error, Result};

/// Everything that decides a training run, whatever is trained.
///
/// Saved beside its results as `config.toml`; the same file given to `--config` repeats the run bit for bit on the same
/// device. In it `lesson = "classifier"` marks a classifier; a score network needs no mark.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a run has one course")]
pub enum Course {
    /// A score network.
    Score(TrainConfig),
    /// The classifier that judges samples.
    Classifier(ClassifierTraining),
}

/// How a run proceeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    /// Name of the model.
    pub name: String,
    /// Model whose weights to start from.
    pub init: Option<String>,
    /// Optimiser steps in all.
    pub steps: usize,
    /// Images per step.
    pub batch: usize,
    /// Parts in which its gradient is computed.
    pub micro_batches: usize,
    /// Seed of the initial weights, the data order and all noise.
    pub seed: u64,
    /// Mirror half of the images.
    pub flip: bool,
    /// Probability of each kind of augmentation.
    pub augment: f64,
    /// Largest global norm of the gradient.
    pub clip: f64,
    /// What Adam adds to the root of the second moment.
    pub adam_epsilon: f64,
    /// Whether Adam is RAdam.
    pub rectified: bool,
    /// Whether matrices are moved by Muon.
    pub muon: bool,
    /// The moving average of the weights.
    pub ema: Ema,
    /// Relative lengths of further ones.
    pub averages: Vec<f64>,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// Steps between pictures; 0 draws none.
    pub sample_every: usize,
}

/// What every run lets its user change.
#[derive(Debug)]
pub struct Basics<'a> {
    /// Name of the model.
    pub name: &'a mut String,
    /// Model whose weights to start from.
    pub init: &'a mut Option<String>,
    /// Optimiser steps in all.
    pub steps: &'a mut usize,
    /// Images per step.
    pub batch: &'a mut usize,
    /// Parts in which its gradient is computed.
    pub micro_batches: &'a mut usize,
    /// Seed.
    pub seed: &'a mut u64,
    /// The images.
    pub data: &'a mut DataSource,
}

/// Refuses a batch that cannot be cut into so many equal parts.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config).
pub(super) fn check_micro_batches(count: usize, batch: usize) -> Result<()> {
    match count > 0 && batch.is_multiple_of(count) {
        true => Ok(()),
        false => {
            let problem = format!("= {count} does not divide batch = {batch}");
            Err(Error::config("micro_batches", problem, "use a divisor of it, 1 for the whole batch at once"))
        }
    }
}

/// Whether a batch is not cut: that is not written down.
pub(super) fn is_whole(micro_batches: &usize) -> bool {
    *micro_batches == 1
}

impl Pace {
    /// The further averages; lengths that none has were refused.
    pub fn powers(&self) -> Vec<PowerAverage> {
        self.averages.iter().filter_map(|length| PowerAverage::of_length(*length).ok()).collect()
    }
}

macro_rules! basics {
    ($config:expr) => {{
        let config = $config;
        Basics {
            name: &mut config.name,
            init: &mut config.init,
            steps: &mut config.steps,
            batch: &mut config.batch,
            micro_batches: &mut config.micro_batches,
            seed: &mut config.seed,
            data: &mut config.data,
        }
    }};
}

impl Course {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) names the field and what it may be.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Score(config) => config.validate(),
            Self::Classifier(config) => config.validate(),
        }
    }

    /// How the run proceeds.
    pub fn pace(&self) -> Pace {
        match self {
            Self::Score(config) => config.pace(),
            Self::Classifier(config) => config.pace(),
        }
    }

    /// The learning rate of `step`, counted from 0.
    pub fn learning_rate_at(&self, step: usize) -> f64 {
        match self {
            Self::Score(config) => config.learning_rate_at(step),
            Self::Classifier(config) => config.learning_rate_at(step),
        }
    }

    /// What every run lets its user change.
    pub fn basics(&mut self) -> Basics<'_> {
        match self {
            Self::Score(config) => basics!(config),
            Self::Classifier(config) => basics!(config),
        }
    }

    /// Whether `other` trains the same model on the same images, so that it may go on from a checkpoint of this one.
    pub fn goes_on(&self, other: &Self) -> bool {
        let data = |data: &DataSource| DataSource { data_dir: None, ..data.clone() };
        match (self, other) {
            (Self::Score(a), Self::Score(b)) => {
                let fixed = |c: &TrainConfig| {
                    (c.name.clone(), c.network.clone(), c.sde, c.preconditioning, data(&c.data), c.seed)
                };
                // Momentum is Muon's sum or Adam's mean, twenty times as large or not.
                fixed(a) == fixed(b) && a.averages == b.averages && a.muon == b.muon
            }
            (Self::Classifier(a), Self::Classifier(b)) => {
                let fixed =
                    |c: &ClassifierTraining| (c.name.clone(), c.network.clone(), data(&c.data), c.seed);
                fixed(a) == fixed(b)
            }
            _ => false,
        }
    }
}

impl From<TrainConfig> for Course {
    fn from(config: TrainConfig) -> Self {
        Self::Score(config)
    }
}

impl From<ClassifierTraining> for Course {
    fn from(config: ClassifierTraining) -> Self {
        Self::Classifier(config)
    }
}

const TAG: &str = "lesson";
const SCORE: &str = "score";
const CLASSIFIER: &str = "classifier";

impl Serialize for Course {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Marked<'a> {
            lesson: &'static str,
            #[serde(flatten)]
            config: &'a ClassifierTraining,
        }
        match self {
            Self::Score(config) => config.serialize(serializer),
            Self::Classifier(config) => Marked { lesson: CLASSIFIER, config }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Course {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let table = Tagged::read(deserializer, TAG, SCORE)?;
        match table.kind.as_str() {
            SCORE => table.into_fields().map(Self::Score),
            CLASSIFIER => table.into_fields().map(Self::Classifier),
            _ => Err(table.unknown(&[SCORE, CLASSIFIER])),
        }
    }
}
