//! Samplers: from the prior's noise to data, one file per method.
//!
//! All of them walk the same way: a state `[n, c, h, w]`, times from 1 down to the diffusion's
//! `sampling_eps`, noise that is a function of (seed, sample, draw), and after every step a report to
//! the caller, who can show a preview or cancel. To add one: a file with a type that implements
//! [`Method`] and its serde defaults, and one line in the `samplers!` list below.

mod ald;
mod ancestral;
mod chain;
mod ddim;
mod dpmpp_2m;
mod euler;
mod euler_maruyama;
mod heun;
mod langevin;
mod ode;
mod options;
mod pc;
mod predictor;
mod reverse_diffusion;
mod run;

pub use ald::AnnealedLangevin;
pub use ancestral::{Ancestral, Variance};
pub use ddim::Ddim;
pub use dpmpp_2m::{DpmSolver2M, NoiseGrid};
pub use euler::Euler;
pub use euler_maruyama::EulerMaruyama;
pub use heun::Heun;
pub use langevin::Langevin;
pub use ode::{ProbabilityFlow, Tolerance, decode, encode};
pub(crate) use ode::{flow, solve};
pub use options::{Choice, OptionInfo, OptionKind, SamplerInfo};
pub use pc::{Corrector, Predictor, PredictorCorrector};
pub use predictor::LastStep;
pub use reverse_diffusion::ReverseDiffusion;
pub(crate) use run::read;
pub use run::{Event, Preview, Run};

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::model::ScoreModel;
use crate::rng::Noise;
use crate::{Error, Result};
use chain::Chain;

/// A way to walk from noise to data.
pub trait Method: Serialize {
    /// What people are shown: title, one sentence, and the options with their ranges.
    const INFO: SamplerInfo;

    /// The NFE of a run with these options, or `None` if it depends on the samples.
    fn evaluations(&self) -> Option<usize>;

    /// The same method with the options that make the best of at most `nfe` evaluations, or `None` if it needs
    /// more. An adaptive method aims at that many.
    fn within(self, nfe: usize) -> Option<Self>
    where
        Self: Sized;

    /// Refuses options that are allowed each but make no sense together.
    ///
    /// # Errors
    /// [`Error::Config`] says why and what to change.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Walks `chain` from the prior to data and returns the samples in the model's units.
    fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> impl Future<Output = Result<Tensor<4>>>;
}

/// What a sampler returns.
#[derive(Debug, Clone)]
pub struct Solution {
    /// Samples `[n, c, h, w]` as pixel values: `[0, 1]` up to the sampler's error, not clipped.
    pub images: Tensor<4>,
    /// Network evaluations that each sample cost, counted.
    pub nfe: usize,
}

macro_rules! samplers {
    ($($name:literal => $variant:ident),+ $(,)?) => {
        /// Any sampler with its options; as JSON `{"name": "pc", "n_steps": 100}`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name")]
        pub enum Sampler { $(
            #[doc = concat!("`", $name, "`")]
            #[serde(rename = $name)]
            $variant($variant)
        ),+ }

        impl Sampler {
            /// All samplers with their default options, in the order in which they are shown.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$variant($variant::default())),+]
            }

            /// Name, title and options.
            pub fn info(&self) -> SamplerInfo {
                match self { $(Self::$variant(_) => <$variant as Method>::INFO),+ }
            }

            /// The NFE of a run with these options, or `None` if it depends on the samples (adaptive steps).
            pub fn evaluations(&self) -> Option<usize> {
                match self { $(Self::$variant(method) => method.evaluations()),+ }
            }

            /// The same sampler with the options that make the best of at most `nfe` evaluations (the
            /// adaptive `ode` aims at about so many), or `None` if it needs more.
            pub fn within(&self, nfe: usize) -> Option<Self> {
                let chosen = match self { $(Self::$variant(method) => Self::$variant(method.clone().within(nfe)?)),+ };
                options::validate(&chosen).is_ok().then_some(chosen)
            }

            fn check(&self) -> Result<()> {
                match self { $(Self::$variant(method) => method.check()),+ }
            }

            async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
                match self { $(Self::$variant(method) => method.walk(chain, run).await),+ }
            }
        }
    };
}

samplers! {
    "ald" => AnnealedLangevin,
    "pc" => PredictorCorrector,
    "ode" => ProbabilityFlow,
    "heun" => Heun,
    "dpmpp_2m" => DpmSolver2M,
    "ddim" => Ddim,
    "euler" => Euler,
    "ancestral" => Ancestral,
    "reverse_diffusion" => ReverseDiffusion,
    "euler_maruyama" => EulerMaruyama,
    "langevin" => Langevin,
}

impl Sampler {
    /// The sampler of that name with default options.
    ///
    /// # Errors
    /// [`Error::Config`] lists the names that exist.
    pub fn named(name: &str) -> Result<Self> {
        Self::all().into_iter().find(|sampler| sampler.info().name == name).ok_or_else(|| {
            let names: Vec<&str> = Self::all().iter().map(|sampler| sampler.info().name).collect();
            Error::config(
                "sampler",
                format!("`{name}` is not known"),
                format!("use one of {}", names.join(", ")),
            )
        })
    }

    /// The sampler of that name with some options set; the others keep their defaults.
    ///
    /// # Errors
    /// [`Error::Config`] names an unknown sampler or option, a value outside its range, or values that do not fit
    /// each other.
    pub fn with_options(name: &str, options: &serde_json::Map<String, serde_json::Value>) -> Result<Self> {
        options::build(&Self::named(name)?, options)
    }

    /// Draws `n` samples of `noise`'s seed, starting at its first index.
    ///
    /// Sample `k` does not depend on `n` or on its neighbours. The same seed on the same device gives the
    /// same bits; on another device the same picture up to rounding. Cost: [`Solution::nfe`], counted.
    ///
    /// # Errors
    /// [`Error::Cancelled`] on request, [`Error::NonFinite`] if the samples are not finite,
    /// [`Error::Config`] for options out of range.
    pub async fn sample(
        &self,
        model: &ScoreModel,
        noise: &Noise,
        n: usize,
        run: &mut Run<'_>,
    ) -> Result<Solution> {
        options::validate(self)?;
        let before = model.nfe();
        run.first_nfe = before;
        let x = self.walk(&mut Chain::new(model, *noise, n), run).await?;
        Ok(Solution { images: run::finished(model, x, run.last_step).await?, nfe: model.nfe() - before })
    }
}
