//! Samplers: from the prior's noise to data, one file per method.
//!
//! All of them walk the same way: a state `[n, c, h, w]`, times from 1 down to the diffusion's
//! `sampling_eps`, noise that is a function of (seed, sample, draw), and after every step a report to
//! the caller, who can show a preview or cancel. To add one: a file with a type that implements
//! [`Method`] and its serde defaults, its `mod` line, and a line in the `samplers!` list below. The tests take what it
//! [claims](Method::claims) from there and hold it to that.

mod ald;
mod ancestral;
mod chain;
mod claims;
mod ddim;
mod dpmpp_2m;
mod euler;
mod euler_maruyama;
mod heun;
mod langevin;
mod multistep;
mod ode;
mod options;
mod pc;
mod predictor;
mod reverse_diffusion;

pub use ald::StepRule;
pub use ancestral::Variance;
pub use claims::{Claim, Order};
pub use dpmpp_2m::NoiseGrid;
pub use options::{Choice, OptionInfo, OptionKind, SamplerInfo};
pub use pc::{Corrector, Predictor};
pub use predictor::LastStep;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{Learned, ScoreModel};
use crate::rng::Noise;
use crate::run::{self, Run, Solution};
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

    /// What it promises, for its default options and for others that change what is promised.
    fn claims() -> Vec<Claim<Self>>
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

macro_rules! samplers {
    ($($name:literal => $module:ident::$variant:ident),+ $(,)?) => {
        $(pub use $module::$variant;)+

        /// Any sampler with its options; as JSON `{"name": "pc", "n_steps": 100}`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name")]
        pub enum Sampler { $(
            #[doc = concat!("`", $name, "`")]
            #[serde(rename = $name)]
            $variant($variant)
        ),+ }

        $(impl $variant {
            /// This method with some options set; the others keep their defaults.
            ///
            /// # Errors
            /// As [`Sampler::with_options`].
            pub fn with_options(given: &Map<String, Value>) -> Result<Self> {
                match options::build(&Sampler::$variant(Self::default()), given)? {
                    Sampler::$variant(method) => Ok(method),
                    other => Err(Error::config("sampler", format!("became {other:?}"), "report this as a bug")),
                }
            }
        })+

        impl Sampler {
            /// All samplers with their default options, in the order in which they are shown.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$variant($variant::default())),+]
            }

            /// What all samplers promise.
            pub fn claims() -> Vec<Claim<Self>> {
                let mut claims = Vec::new();
                $(claims.extend($variant::claims().into_iter().map(|claim| claim.map(Self::$variant)));)+
                claims
            }

            /// Name, title, need and options.
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
    "ald" => ald::AnnealedLangevin,
    "pc" => pc::PredictorCorrector,
    "ode" => ode::ProbabilityFlow,
    "heun" => heun::Heun,
    "dpmpp_2m" => dpmpp_2m::DpmSolver2M,
    "ddim" => ddim::Ddim,
    "euler" => euler::Euler,
    "ancestral" => ancestral::Ancestral,
    "reverse_diffusion" => reverse_diffusion::ReverseDiffusion,
    "euler_maruyama" => euler_maruyama::EulerMaruyama,
    "langevin" => langevin::Langevin,
    "multistep" => multistep::Multistep,
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

    /// The samplers for a model that has learned this, in the order in which they are shown.
    pub fn fitting(learned: Learned) -> Vec<Self> {
        Self::all().into_iter().filter(|sampler| sampler.info().needs == learned).collect()
    }

    /// The sampler where nothing is said: Heun's for a score, else the first that fits.
    pub fn usual_for(learned: Learned) -> Option<Self> {
        let mut fitting = Self::fitting(learned);
        let usual = fitting.iter().position(|sampler| sampler.info().name == Heun::INFO.name).unwrap_or(0);
        (usual < fitting.len()).then(|| fitting.swap_remove(usual))
    }

    /// Refuses a model that has learned something else than this sampler needs.
    ///
    /// # Errors
    /// [`Error::Config`] names the samplers that fit.
    pub fn check_fits(&self, learned: Learned) -> Result<()> {
        let SamplerInfo { name, needs, .. } = self.info();
        if needs == learned {
            return Ok(());
        }
        let fitting: Vec<&str> = Self::fitting(learned).iter().map(|sampler| sampler.info().name).collect();
        let fix = match fitting.is_empty() {
            true => "choose another model".into(),
            false => format!("use {}", fitting.join(", ")),
        };
        let problem = format!("needs {needs}, but the model has learned {learned}");
        Err(Error::config(format!("the sampler {name}"), problem, fix))
    }

    /// The sampler of that name with some options set; the others keep their defaults.
    ///
    /// # Errors
    /// [`Error::Config`] names an unknown sampler or option, a value outside its range, or values that do not fit
    /// each other.
    pub fn with_options(name: &str, options: &Map<String, Value>) -> Result<Self> {
        options::build(&Self::named(name)?, options)
    }

    /// Draws `n` samples of `noise`'s seed, starting at its first index.
    ///
    /// Sample `k` does not depend on `n` or on its neighbours. The same seed on the same device gives the
    /// same bits; on another device the same picture up to rounding. Cost: [`Solution::nfe`], counted.
    ///
    /// # Errors
    /// [`Error::Cancelled`] on request, [`Error::NonFinite`] if the samples are not finite,
    /// [`Error::Config`] for options out of range, or a model that has learned something else than is needed.
    pub async fn sample(
        &self,
        model: &ScoreModel,
        noise: &Noise,
        n: usize,
        run: &mut Run<'_>,
    ) -> Result<Solution> {
        self.lead(Chain::new(model, *noise, n), run).await
    }

    /// Draws images from noise that is given, standard normals `[n, c, h, w]`: first that of the prior, then what the
    /// steps add, in their order. So another program's images are drawn again.
    ///
    /// # Errors
    /// As [`sample`](Self::sample), and [`Error::Config`] if more noise is needed, or a tensor has another shape.
    pub async fn sample_from(
        &self,
        model: &ScoreModel,
        noises: Vec<Tensor<4>>,
        run: &mut Run<'_>,
    ) -> Result<Solution> {
        self.lead(Chain::given(model, noises)?, run).await
    }

    async fn lead(&self, mut chain: Chain<'_>, run: &mut Run<'_>) -> Result<Solution> {
        let model = chain.model;
        options::validate(self)?;
        self.check_fits(model.learned)?;
        let before = model.nfe();
        run.first_nfe = before;
        let x = self.walk(&mut chain, run).await?;
        chain.finish()?;
        Ok(Solution { images: run::finished(model, x, run.last_step).await?, nfe: model.nfe() - before })
    }
}

// What CONTRIBUTING.md gives to copy stays a sampler that works.
#[cfg(test)]
#[path = "../../docs/skeletons/sampler.rs"]
mod skeleton;

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::skeleton::Midpoint;
    use super::*;
    use crate::images::DataRange;
    use crate::sde::VeSde;
    use crate::toy::GaussianMixture;

    /// Of a Gaussian of variance .3, 512 samples: five standard errors are .094.
    #[test]
    fn the_skeleton_draws_a_gaussian() {
        let gaussian = GaussianMixture::new(&[1.0], &[vec![0.0]], &[vec![vec![0.3]]]).unwrap();
        let (sde, device) = (VeSde::default().into(), Device::flex());
        let model = ScoreModel::new(Box::new(gaussian), sde, DataRange::UNIT, [1, 1, 1], &device);
        let method = Midpoint::default();
        let mut chain = Chain::new(&model, Noise::new(1), 512);
        let x = pollster::block_on(method.walk(&mut chain, &mut Run::default())).unwrap();
        assert_eq!(Some(model.nfe()), method.evaluations());
        let x: Vec<f32> = x.into_data().try_to_vec().unwrap();
        let variance = x.iter().map(|x| x * x).sum::<f32>() / 512.0;
        assert!((variance - 0.3).abs() < 0.094, "{variance}");
    }

    #[test]
    fn a_model_that_has_learned_something_else_is_refused() {
        let all = [Learned::Score, Learned::Consistency];
        for (given, other) in [(all[0], all[1]), (all[1], all[0])] {
            for sampler in Sampler::fitting(given) {
                sampler.check_fits(given).unwrap();
                let message = sampler.check_fits(other).unwrap_err().to_string();
                assert!(
                    message.contains(&format!("needs {given}, but the model has learned {other}")),
                    "{message}"
                );
            }
        }
        assert_eq!(
            all.map(|given| Sampler::fitting(given).len()).iter().sum::<usize>(),
            Sampler::all().len()
        );
        assert_eq!(Sampler::usual_for(Learned::Score), Some(Sampler::Heun(Heun::default())));
        assert_eq!(Sampler::usual_for(Learned::Consistency), Some(Sampler::Multistep(Multistep::default())));
    }
}
