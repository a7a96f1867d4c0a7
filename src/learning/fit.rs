//! Training on samples that are drawn for each step, without files: for figures, and where what is learned can be compared
//! with the truth.

use burn::module::Module;
use burn::tensor::Device;

use super::average::PowerAverage;
use super::learner::{Learner, LearningStep};
use crate::Result;
use crate::images::DataRange;
use crate::model::{Denoiser, Preconditioned, PreconditioningChoice, ScoreModel};
use crate::network::layers::Init;
use crate::network::{Network, NetworkConfig};
use crate::objective::{Loss, MicroBatch, Models, Objective, Step};
use crate::ops::{ADAM_EPSILON, read, upload};
use crate::rng::{Domain, Noise};
use crate::sde::AnySde;
use crate::toy::GaussianMixture;

/// The training of a score network on samples in the model's units.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The loss.
    pub objective: Objective,
    /// The network; a point of `d` dimensions is an image of one pixel and `d` channels.
    pub network: NetworkConfig,
    /// The forward diffusion.
    pub sde: AnySde,
    /// How the network is scaled.
    pub preconditioning: PreconditioningChoice,
    /// Standard deviation of the samples.
    pub sigma_data: f64,
    /// `[c, h, w]` of a sample.
    pub shape: [usize; 3],
    /// Steps in all.
    pub steps: usize,
    /// Samples of a step.
    pub batch: usize,
    /// Learning rate of the first step; it falls to zero along a half cosine.
    pub learning_rate: f64,
    /// Seed of the weights and all noise.
    pub seed: u64,
}

/// What a training was on its way.
#[derive(Debug)]
pub struct Snapshot {
    /// Steps done.
    pub step: usize,
    /// The weights as they were, and those of the averages that were asked for.
    pub models: Vec<ScoreModel>,
}

impl Fit {
    /// Trains on what `draw` gives for each step, `[batch, c, h, w]`. Returns the averaged weights as a model, and the loss
    /// of every step.
    ///
    /// # Errors
    /// [`Error::NonFinite`](crate::Error::NonFinite) if the loss grows without bound, and those of the settings and of `draw`.
    pub async fn run(
        &self,
        draw: impl FnMut(usize) -> Result<Vec<f32>>,
        device: &Device,
    ) -> Result<(ScoreModel, Vec<f64>)> {
        let (model, losses, _) = self.run_watched(draw, device, vec![], self.steps + 1).await?;
        Ok((model, losses))
    }

    /// [`Self::run`] with further averages, and what they and the weights are after every so many steps.
    ///
    /// # Errors
    /// As there.
    pub async fn run_watched(
        &self,
        mut draw: impl FnMut(usize) -> Result<Vec<f32>>,
        device: &Device,
        averages: Vec<PowerAverage>,
        every: usize,
    ) -> Result<(ScoreModel, Vec<f64>, Vec<Snapshot>)> {
        let mut fitting = self.begin(device, averages)?;
        let (mut losses, mut snapshots) = (Vec::with_capacity(self.steps), vec![]);
        for index in 0..self.steps {
            losses.push(fitting.step(&draw(index)?, None).await?);
            if (index + 1).is_multiple_of(every) {
                let learner = &fitting.learner;
                let networks = [learner.module().valid()].into_iter().chain(learner.powers());
                let models = networks.map(|network| fitting.model_of(&network)).collect();
                snapshots.push(Snapshot { step: index + 1, models });
            }
        }
        Ok((fitting.model(), losses, snapshots))
    }

    /// The state before the first step, with further averages of the weights.
    ///
    /// # Errors
    /// Those of the settings.
    pub fn begin(&self, device: &Device, averages: Vec<PowerAverage>) -> Result<Fitting> {
        self.objective.check()?;
        self.network.validate()?;
        let [c, ..] = self.shape;
        let network =
            Network::new(&self.network, c, c, &mut Init::new(self.seed, &device.clone().autodiff()));
        let learner = Learner::new(network, device).keeping(averages);
        Ok(Fitting { fit: self.clone(), learner, device: device.clone() })
    }

    /// [`Self::run`] on points of `mixture`, new ones for each step; it is the teacher too, where the objective has one.
    ///
    /// # Errors
    /// As there.
    pub async fn run_on(&self, mixture: &GaussianMixture, device: &Device) -> Result<(ScoreModel, Vec<f64>)> {
        let (fitting, losses) = self.fitted_on(mixture, device).await?;
        Ok((fitting.model(), losses))
    }

    /// The state that [`Self::run_on`] ends in.
    ///
    /// # Errors
    /// As there.
    pub async fn fitted_on(&self, mixture: &GaussianMixture, device: &Device) -> Result<(Fitting, Vec<f64>)> {
        let (mut fitting, mut losses) = (self.begin(device, vec![])?, Vec::with_capacity(self.steps));
        while !fitting.has_ended() {
            losses.push(fitting.step_on(mixture, mixture).await?);
        }
        Ok((fitting, losses))
    }

    /// The points of `mixture` for a step.
    pub fn points(&self, mixture: &GaussianMixture, step: usize) -> Vec<f32> {
        let noise = Noise::new(self.seed).domain(Domain::Data).at((step * self.batch) as u32);
        mixture.sample(&noise, self.batch, 0.0).into_iter().map(|value| value as f32).collect()
    }

    fn preconditioned(&self, network: &Network) -> Preconditioned {
        Preconditioned::new(
            network.clone(),
            self.preconditioning.measured(self.sigma_data, DataRange::CENTRED),
            self.sde,
        )
    }
}

/// A training that is under way.
pub struct Fitting {
    fit: Fit,
    learner: Learner<Network>,
    device: Device,
}

impl std::fmt::Debug for Fitting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fitting")
            .field("fit", &self.fit)
            .field("steps", &self.steps())
            .finish_non_exhaustive()
    }
}

impl Fitting {
    /// Steps done.
    pub fn steps(&self) -> usize {
        self.learner.steps()
    }

    /// Whether the plan has come to its end.
    pub fn has_ended(&self) -> bool {
        self.steps() >= self.fit.steps
    }

    /// [`Self::step`] on new points of `mixture`, those of [`Fit::points`].
    ///
    /// # Errors
    /// As there.
    pub async fn step_on(&mut self, mixture: &GaussianMixture, teacher: &dyn Denoiser) -> Result<f64> {
        let points = self.fit.points(mixture, self.steps());
        self.step(&points, Some(teacher)).await
    }

    /// One step on `x0` `[batch, c, h, w]`, and its loss. After the last step of the plan the learning rate is zero.
    ///
    /// # Errors
    /// [`Error::NonFinite`](crate::Error::NonFinite) if the loss grows without bound.
    pub async fn step(&mut self, x0: &[f32], teacher: Option<&dyn Denoiser>) -> Result<f64> {
        let Self { fit, learner, device } = self;
        let ([c, h, w], index) = (fit.shape, learner.steps());
        let step = Step {
            index,
            of: fit.steps,
            part: MicroBatch::whole(fit.batch),
            x0: upload(x0, [fit.batch, c, h, w], &device.clone().autodiff()),
            labels: &[],
            moved: &[],
            references: None,
            sigma_data: fit.sigma_data,
            dropout: 0.0,
            seed: fit.seed,
        };
        let loss = {
            let [student, average] =
                [learner.module(), &learner.average()].map(|network| fit.preconditioned(network));
            let models = Models { student: &student, average: &average, teacher, features: None };
            fit.objective.loss(models, &step)
        };
        let progress = (index as f64 / fit.steps as f64).min(1.0);
        let rate = fit.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        let step =
            LearningStep { rate, clip: CLIP, epsilon: ADAM_EPSILON, rectified: false, muon: false, ema: EMA };
        Ok(learner.learn(loss, step).await?.loss)
    }

    /// The averaged weights, as [`Self::remember`] takes them.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the read-back fails.
    pub async fn weights(&self) -> Result<Vec<f32>> {
        read(self.learner.row()).await
    }

    /// Takes the weights of a training of the same plan that has come to its end for its own.
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) for those of another network.
    pub fn remember(&mut self, weights: &[f32]) -> Result<()> {
        self.learner.start_from_row(weights, self.fit.steps)
    }

    /// What has been learned so far: the averaged weights.
    pub fn model(&self) -> ScoreModel {
        self.model_of(&self.learner.average())
    }

    /// The same as a denoiser, off the tape: a teacher for another training.
    pub fn denoiser(&self) -> Preconditioned {
        self.fit.preconditioned(&self.learner.average())
    }

    fn model_of(&self, network: &Network) -> ScoreModel {
        let Fit { sde, shape, objective, .. } = &self.fit;
        let denoiser = Box::new(self.fit.preconditioned(network));
        ScoreModel::new(denoiser, *sde, DataRange::UNIT, *shape, &self.device)
            .having_learned(objective.learns())
    }
}

/// Largest norm of the gradient.
const CLIP: f64 = 10.0;

/// What the average of the weights keeps of itself: short runs want a short one.
const EMA: f64 = 0.99;
