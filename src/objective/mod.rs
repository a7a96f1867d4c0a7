//! Training objectives, one file each.
//!
//! What a score network is trained by is one of the family [`Objective`], in a file a table whose `kind` names it. All
//! of them are given the same: the [`Models`] that take part and the images and random numbers of one [`Step`]. To add
//! one: a file with a type that implements [`Loss`] and its serde defaults, its `mod` line, and a line in the
//! `objectives!` list. [`Recognition`] is apart: it trains a classifier.

mod consistency;
mod consistency_distillation;
mod consistency_training;
mod ddpm_bound;
mod ddpm_simple;
mod denoise;
mod dsm;
mod dsm_annealed;
mod dsm_one;
mod features;
mod ism;
mod levels;
mod likelihood;
mod micro_batch;
mod recognition;
mod references;
mod sliced;
mod ssm;
mod ssm_annealed;
mod ssm_vr;
mod step;

pub use consistency::{Metric, Solver, Target};
pub use consistency_training::{Levels, rising};
pub use dsm::{TimeDistribution, Weighting};
pub use features::Features;
pub use micro_batch::MicroBatch;
pub use recognition::Recognition;
pub use references::References;
pub use step::Step;

use burn::tensor::Tensor;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};

use crate::kind::Tagged;
use crate::model::{Denoiser, Learned, Preconditioned};
use crate::{Error, Result};

/// The objective of that name, with its default settings.
impl std::str::FromStr for Objective {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::all().into_iter().find(|objective| objective.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::all().iter().map(Self::name).collect();
            let fix = format!("use one of {}", known.join(", "));
            Error::config("objective", format!("`{name}` is not known"), fix)
        })
    }
}

/// The models that take part in a training step.
#[derive(Clone, Copy)]
pub struct Models<'a> {
    /// The one that learns: gradients are recorded for its weights, also through the gradient of a loss for its input.
    pub student: &'a Preconditioned,
    /// The moving average of its weights, off the tape: what a student may be compared with.
    pub average: &'a Preconditioned,
    /// A finished model that it learns from, off the tape, where the run has one.
    pub teacher: Option<&'a dyn Denoiser>,
    /// What sees how different two images look, off the tape, where the objective compares them so.
    pub features: Option<&'a dyn Features>,
}

/// How wrong a model is, as a number whose gradient improves it.
pub trait Loss {
    /// The loss of each sample of a step, `[b]`, averaged over pixels.
    ///
    /// All its random numbers are those of `step`; a second evaluation may ask for the same dropout masks again
    /// ([`Step::masks`]).
    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1>;

    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// [`Error::Config`] names the field and what it may be.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// What a model is after it.
    fn learns(&self) -> Learned {
        Learned::Score
    }

    /// Whether it learns from a finished model.
    fn has_teacher(&self) -> bool {
        false
    }

    /// How it measures how far two images are apart, where that can be chosen.
    fn metric(&mut self) -> Option<&mut Metric> {
        None
    }

    /// The noise level that it learns, where that is a single one.
    fn sigma(&mut self) -> Option<&mut f64> {
        None
    }

    /// The number of its noise levels, where it has a ladder of them.
    fn levels(&mut self) -> Option<&mut usize> {
        None
    }

    /// How many images it wants to compare each of a step with.
    fn references(&self) -> usize {
        0
    }
}

/// Refuses the `value` of a field unless it is `fine`.
fn require(field: &str, value: impl std::fmt::Display, fine: bool, fix: &str) -> Result<()> {
    match fine {
        true => Ok(()),
        false => Err(Error::config(format!("objective.{field} = {value}"), "is not allowed", fix)),
    }
}

macro_rules! objectives {
    (usual: $usual:literal, $($(#[$doc:meta])* $name:literal => $module:ident::$variant:ident),+ $(,)?) => {
        $(pub use $module::$variant;)+

        /// What a score network is trained by: in a file a table whose `kind` names it, `dsm` if it names none.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize)]
        #[serde(tag = "kind")]
        pub enum Objective { $($(#[$doc])* #[serde(rename = $name)] $variant($variant)),+ }

        impl Objective {
            /// Every objective, with its default settings.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$variant(Default::default())),+]
            }

            /// Those after which a model gives a score.
            pub fn of_scores() -> impl Iterator<Item = Self> {
                Self::all().into_iter().filter(|objective| objective.learns() == Learned::Score)
            }

            /// Its name in files and on the command line.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),+ }
            }
        }

        impl Loss for Objective {
            fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
                match self { $(Self::$variant(objective) => objective.loss(models, step)),+ }
            }

            fn check(&self) -> Result<()> {
                match self { $(Self::$variant(objective) => objective.check()),+ }
            }

            fn learns(&self) -> Learned {
                match self { $(Self::$variant(objective) => objective.learns()),+ }
            }

            fn has_teacher(&self) -> bool {
                match self { $(Self::$variant(objective) => objective.has_teacher()),+ }
            }

            fn metric(&mut self) -> Option<&mut Metric> {
                match self { $(Self::$variant(objective) => objective.metric()),+ }
            }

            fn sigma(&mut self) -> Option<&mut f64> {
                match self { $(Self::$variant(objective) => objective.sigma()),+ }
            }

            fn levels(&mut self) -> Option<&mut usize> {
                match self { $(Self::$variant(objective) => objective.levels()),+ }
            }

            fn references(&self) -> usize {
                match self { $(Self::$variant(objective) => objective.references()),+ }
            }
        }

        impl<'de> Deserialize<'de> for Objective {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                let table = Tagged::read(deserializer, "kind", $usual)?;
                match table.kind.clone().as_str() {
                    $($name => table.into_fields().map(Self::$variant),)+
                    _ => Err(table.unknown(&[$($name),+])),
                }
            }
        }

        $(impl From<$variant> for Objective {
            fn from(objective: $variant) -> Self {
                Self::$variant(objective)
            }
        })+
    };
}

objectives! {
    usual: "dsm",
    /// Denoising score matching at continuous noise levels.
    "dsm" => dsm::Dsm,
    /// Denoising score matching at one noise level.
    "dsm_one" => dsm_one::DsmOne,
    /// Denoising score matching at a ladder of noise levels (NCSN).
    "dsm_annealed" => dsm_annealed::DsmAnnealed,
    /// The likelihood weighting, importance-sampled.
    "likelihood" => likelihood::Likelihood,
    /// DDPM's simplified objective.
    "ddpm_simple" => ddpm_simple::DdpmSimple,
    /// DDPM's variational bound.
    "ddpm_bound" => ddpm_bound::DdpmBound,
    /// Implicit score matching.
    "ism" => ism::Ism,
    /// Sliced score matching.
    "ssm" => ssm::Ssm,
    /// Sliced score matching with reduced variance.
    "ssm_vr" => ssm_vr::SsmVr,
    /// Sliced score matching at a ladder of noise levels.
    "ssm_annealed" => ssm_annealed::SsmAnnealed,
    /// A consistency function from images.
    "consistency_training" => consistency_training::ConsistencyTraining,
    /// A consistency function from a score model, the teacher.
    "consistency_distillation" => consistency_distillation::ConsistencyDistillation,
}

impl Default for Objective {
    fn default() -> Self {
        Dsm::default().into()
    }
}

// What CONTRIBUTING.md gives to copy stays an objective that works.
#[cfg(test)]
#[path = "../../docs/skeletons/objective.rs"]
mod skeleton;

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::skeleton::HuberDenoising;
    use super::*;
    use crate::model::Preconditioning;
    use crate::network::layers::Init;
    use crate::network::{Network, NetworkConfig};
    use crate::sde::VpSde;

    #[test]
    fn the_skeleton_gives_a_loss_for_each_image() {
        let device = Device::flex();
        let network = Network::new(&NetworkConfig::default(), 1, 1, &mut Init::new(0, &device));
        let model =
            Preconditioned::new(network, Preconditioning::Edm { sigma_data: 0.5 }, VpSde::default().into());
        let x0 = Tensor::ones([3, 1, 8, 8], &device);
        let part = MicroBatch::whole(3);
        let step = Step {
            index: 0,
            of: 1,
            part,
            x0,
            labels: &[],
            moved: &[],
            references: None,
            sigma_data: 0.5,
            dropout: 0.0,
            seed: 0,
        };
        let models = Models { student: &model, average: &model, teacher: None, features: None };
        let loss: Vec<f32> = HuberDenoising::default().loss(models, &step).into_data().try_to_vec().unwrap();
        assert!(loss.len() == 3 && loss.iter().all(|loss| *loss > 0.0), "{loss:?}");
    }
}
