//! The laboratory: points of the plane whose density and score are known, to learn them, to sample them, and to measure how
//! well that went.
//!
//! Nothing here is particular to the plane but the world: objectives, networks, diffusions, samplers and likelihood are those
//! of images, a point being an image of one pixel and two channels. [`lessons`] has what is to be learned from it.

pub mod lessons;
mod letters;
pub mod measure;
mod paths;
mod square;
mod world;

pub use paths::{Densities, Leap, RoundTrip};
pub use square::Square;
pub use world::{Mode, World};

use burn::tensor::Device;
use half::f16;
use serde::{Deserialize, Serialize};

use crate::images::DataRange;
use crate::learning::{Fit, Fitting};
use crate::model::{Denoiser, PreconditioningChoice, ScoreModel};
use crate::network::MlpConfig;
use crate::objective::{Dsm, Loss, Objective};
use crate::ops::read;
use crate::rng::Noise;
use crate::run::{self, Run};
use crate::sampler::Sampler;
use crate::sde::{AnySde, VeSde};
use crate::toy::{self, GaussianMixture};
use crate::{Error, Result};

/// A point of the plane.
pub type Point = [f64; 2];

/// Everything that an experiment is made from: the same numbers give the same pictures everywhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Setup {
    /// Where the points come from.
    pub world: World,
    /// The forward diffusion.
    pub sde: AnySde,
    /// How it is sampled.
    pub sampler: Sampler,
    /// Half the side of the square around the origin that is shown, and in which Langevin dynamics begins.
    pub half: f64,
    /// Points that are drawn.
    pub count: usize,
    /// What the network is trained by.
    pub objective: Objective,
    /// The network.
    pub network: MlpConfig,
    /// How its output is scaled.
    pub preconditioning: PreconditioningChoice,
    /// Steps of the training.
    pub steps: usize,
    /// Points of a step.
    pub batch: usize,
    /// Learning rate of the first step; it falls to zero along a half cosine.
    pub learning_rate: f64,
    /// Seed of everything.
    pub seed: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            world: World::default(),
            sde: VeSde { sigma_min: 0.05, sigma_max: 20.0, ..VeSde::default() }.into(),
            sampler: Sampler::Heun(Default::default()),
            half: 8.0,
            count: 1000,
            objective: Dsm::default().into(),
            // Where the noise level takes its full width, a step of training takes twice as long and learns no more.
            network: MlpConfig { noise: 32, ..MlpConfig::default() },
            preconditioning: PreconditioningChoice::Edm,
            steps: 2000,
            batch: 256,
            learning_rate: 2e-3,
            seed: 0,
        }
    }
}

impl Setup {
    /// Whether what is learned by this is learned by `other` as well: they differ in what is drawn, if at all.
    pub fn learns_like(&self, other: &Self) -> bool {
        let Self { sampler, half, count, .. } = self.clone();
        *self == Self { sampler, half, count, ..other.clone() }
    }

    /// Refuses what makes no experiment.
    ///
    /// # Errors
    /// [`Error::Config`] names the field and what it may be.
    pub fn check(&self) -> Result<()> {
        let require = |field: &str, value: String, fine: bool, fix: &str| match fine {
            true => Ok(()),
            false => Err(Error::config(format!("{field} = {value}"), "is not allowed", fix)),
        };
        let Self { half, count, steps, batch, learning_rate, .. } = *self;
        require("half", half.to_string(), (0.1..=1000.0).contains(&half), "use 0.1 to 1000")?;
        require("count", count.to_string(), (1..=1_000_000).contains(&count), "use 1 to 1000000")?;
        require("steps", steps.to_string(), (1..=1_000_000).contains(&steps), "use 1 to 1000000")?;
        require("batch", batch.to_string(), (1..=65_536).contains(&batch), "use 1 to 65536")?;
        let fine = learning_rate > 0.0 && learning_rate <= 1.0;
        require("learning_rate", learning_rate.to_string(), fine, "use more than 0, at most 1")?;
        self.world.check()?;
        self.sde.check()?;
        self.objective.check()
    }
}

/// An experiment on a device.
#[derive(Debug)]
pub struct Lab {
    /// What it is made from.
    pub setup: Setup,
    /// The world with its density and score.
    pub truth: GaussianMixture,
    device: Device,
}

impl Lab {
    /// The experiment of `setup`.
    ///
    /// # Errors
    /// Those of [`Setup::check`].
    pub fn new(setup: Setup, device: &Device) -> Result<Self> {
        setup.check()?;
        let truth = setup.world.mixture()?;
        Ok(Self { setup, truth, device: device.clone() })
    }

    /// The world's own score as a model.
    pub fn true_model(&self) -> ScoreModel {
        self.model(Box::new(self.truth.clone()))
    }

    /// A denoiser as a model of this world: "pixel values" from 0 to 1 are the square that is shown.
    pub fn model(&self, denoiser: Box<dyn Denoiser>) -> ScoreModel {
        ScoreModel::new(denoiser, self.setup.sde, self.range(), [2, 1, 1], &self.device)
    }

    fn range(&self) -> DataRange {
        DataRange { low: -self.setup.half, high: self.setup.half }
    }

    /// The training of a network on points of this world.
    pub fn fit(&self) -> Fit {
        let Setup {
            ref objective, ref network, sde, preconditioning, steps, batch, learning_rate, seed, ..
        } = self.setup;
        Fit {
            objective: *objective,
            network: network.clone().into(),
            sde,
            preconditioning,
            sigma_data: self.truth.deviation(),
            shape: [2, 1, 1],
            steps,
            batch,
            learning_rate,
            seed,
        }
    }

    /// A network that has been trained on this world from the first step to the last, and the loss of each.
    ///
    /// # Errors
    /// Those of [`Fit::run_on`].
    pub async fn learned(&self) -> Result<(ScoreModel, Vec<f64>)> {
        let (fitting, losses) = self.fit().fitted_on(&self.truth, &self.device).await?;
        Ok((self.so_far(&fitting), losses))
    }

    /// The training before its first step.
    ///
    /// # Errors
    /// Those of [`Fit::begin`].
    pub fn begin(&self) -> Result<Fitting> {
        self.fit().begin(&self.device, vec![])
    }

    /// What a training has learned so far, as a model of this world.
    pub fn so_far(&self, fitting: &Fitting) -> ScoreModel {
        let mut model = fitting.model();
        model.range = self.range();
        model
    }

    /// The weights of a network that has been trained to the end, in half precision, as the page shows them to those who do
    /// not want to wait.
    ///
    /// # Errors
    /// Those of [`Fit::run_on`].
    pub async fn learned_bytes(&self) -> Result<Vec<u8>> {
        let (fitting, _) = self.fit().fitted_on(&self.truth, &self.device).await?;
        let weights = fitting.weights().await?;
        Ok(weights.into_iter().flat_map(|weight| f16::from_f32(weight).to_le_bytes()).collect())
    }

    /// The training that ended with these weights.
    ///
    /// # Errors
    /// [`Error::Weights`] for those of another network.
    pub fn remembered(&self, bytes: &[u8]) -> Result<Fitting> {
        let mut fitting = self.begin()?;
        let weights: Vec<f32> =
            bytes.as_chunks().0.iter().map(|pair| f16::from_le_bytes(*pair).to_f32()).collect();
        fitting.remember(&weights)?;
        Ok(fitting)
    }

    /// Points that the setup's sampler draws from a model, and the NFE.
    ///
    /// # Errors
    /// Those of [`Sampler::sample`].
    pub async fn draw(&self, model: &ScoreModel, run: &mut Run<'_>) -> Result<(Vec<Point>, usize)> {
        self.draw_by(&self.setup.sampler, model, run).await
    }

    /// Points that a sampler draws from a model, from the same noise as every other one, and the NFE.
    ///
    /// # Errors
    /// Those of [`Sampler::sample`].
    pub async fn draw_by(
        &self,
        sampler: &Sampler,
        model: &ScoreModel,
        run: &mut Run<'_>,
    ) -> Result<(Vec<Point>, usize)> {
        let noise = Noise::new(self.setup.seed);
        let solution = sampler.sample(model, &noise, self.setup.count, run).await?;
        Ok((self.points(&read(solution.images).await?), solution.nfe))
    }

    /// The square in which points with noise `sigma` are seen: the more noise, the larger, so that all of it is seen.
    pub fn seen(&self, sigma: f64, places: usize) -> Square {
        let half = self.setup.half;
        Square { half: half / run::contrast(sigma, half), places }
    }

    /// Points of the world with noise `sigma`, of draws of their own.
    pub fn noisy(&self, sigma: f64, count: usize) -> Vec<Point> {
        toy::points(&self.truth.sample(&Noise::new(self.setup.seed + 1), count, sigma))
    }

    /// Points of the world itself.
    pub fn exact(&self) -> Vec<Point> {
        self.noisy(0.0, self.setup.count)
    }

    /// Points as values of the square, 0 to 1.
    pub fn values(&self, points: &[Point]) -> Vec<f32> {
        points.as_flattened().iter().map(|x| (0.5 + 0.5 * x / self.setup.half) as f32).collect()
    }

    /// Points from the values of the square, 0 to 1.
    pub fn points(&self, values: &[f32]) -> Vec<Point> {
        let half = self.setup.half;
        values.chunks_exact(2).map(|x| [x[0], x[1]].map(|v| half * (2.0 * f64::from(v) - 1.0))).collect()
    }
}
