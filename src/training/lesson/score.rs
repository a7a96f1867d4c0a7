use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::perceiver::Perceiver;
use super::teacher::Teacher;
use super::{Lesson, moments};
use crate::images::{DataRange, ImageSet};
use crate::model::{Denoiser, Learned, Preconditioned, Preconditioning, ScoreModel};
use crate::network::Network;
use crate::network::layers::Init;
use crate::objective::{Features, Loss, MicroBatch, Models, References, Step};
use crate::ops::{read, upload};
use crate::picture::{Grid, Picture};
use crate::rng::Noise;
use crate::run::Run;
use crate::sampler::Sampler;
use crate::sde::{AnySde, Watch};
use crate::training::mirrored::unlike_mirrored;
use crate::training::{Batches, Course, TrainConfig, Trainer};
use crate::weights::{Accuracy, Architecture, FORMAT, ModelCard, ModelFile, Training};
use crate::{Error, Result};

/// What a run learns from its data before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// The diffusion, its ends measured.
    pub sde: AnySde,
    /// What black and white are inside the model.
    pub range: DataRange,
    /// Standard deviation of the data in the model's units.
    pub sigma_data: f64,
    /// Its mean.
    pub data_mean: f64,
    /// The network's scaling.
    pub preconditioning: Preconditioning,
    /// `[c, h, w]`.
    pub shape: [usize; 3],
}

impl Problem {
    /// Measures mean and deviation of the data, and what the configuration leaves open of the diffusion, which may take a while.
    ///
    /// # Errors
    /// What `watch` returns.
    pub fn measure(config: &TrainConfig, images: &ImageSet, watch: &mut Watch<'_>) -> Result<Self> {
        let range = config.sde.range();
        let sde = config.sde.measured(images, watch)?;
        let [data_mean, sigma_data] = moments(images, range);
        let preconditioning = config.preconditioning.measured(sigma_data, range);
        Ok(Self { sde, range, sigma_data, data_mean, preconditioning, shape: images.shape() })
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sde, range: DataRange { low, high }, sigma_data, data_mean, .. } = self;
        write!(
            f,
            "pixels from {low} to {high} have mean {data_mean:.3} and standard deviation {sigma_data:.3}; {}, noise up to {:.1}",
            sde.title(),
            sde.sigma(1.0)
        )
    }
}

/// A score network and what it is trained by.
#[derive(Debug, Clone)]
pub struct ScoreLesson {
    config: TrainConfig,
    problem: Problem,
    dataset: String,
    licence: String,
    class_names: Vec<String>,
    teacher: Option<Teacher>,
    features: Option<Perceiver>,
}

/// Values that the references of a step have in all: a gibibyte, of which a step holds some copies.
const MOST_REFERENCE_VALUES: usize = 1 << 28;

/// Images in a sample grid.
const SAMPLES: usize = 36;

impl ScoreLesson {
    /// The lesson of `config` on `images`.
    ///
    /// # Errors
    /// [`Error::Config`] for a value out of range, or images that the network cannot take.
    pub fn new(config: &TrainConfig, images: &ImageSet) -> Result<Self> {
        Self::knowing(config, images, None, &mut |_| Ok(()))
    }

    /// The same where the problem may be known from a checkpoint. If not, it is measured, and `watch` told how far.
    ///
    /// # Errors
    /// As [`new`](Self::new), and what `watch` returns.
    pub fn knowing(
        config: &TrainConfig,
        images: &ImageSet,
        problem: Option<Problem>,
        watch: &mut Watch<'_>,
    ) -> Result<Self> {
        config.validate()?;
        let [channels, height, width] = images.shape();
        if images.is_empty() || ![1, 3].contains(&channels) || height.max(width) > 1024 {
            let problem = format!("has {} images of {channels}x{height}x{width}", images.len());
            let fix = "use images of 1 or 3 channels and at most 1024 pixels a side, one at least";
            return Err(Error::config(format!("the data set {}", images.name), problem, fix));
        }
        config.network.validate_for(height, width)?;
        let (wanted, known) = (config.network.classes(), images.n_classes().unwrap_or(0));
        if wanted > 0 && !(1..=wanted).contains(&known) {
            let problem = format!("= {wanted}, but the data set {} has {known}", images.name);
            return Err(Error::config("network.classes", problem, format!("use {known}")));
        }
        let values = images.stride();
        let (references, most) = (config.objective.references(), MOST_REFERENCE_VALUES / values);
        if references > most {
            let problem = format!("of {values} values each do not fit into memory with the rest");
            let fix = format!("use {most} or fewer");
            return Err(Error::config(format!("objective.references = {references}"), problem, fix));
        }
        if config.flip
            && let Some(warning) = unlike_mirrored(images)
        {
            log::warn!("{warning}");
        }
        let problem = match problem {
            Some(known) => known,
            None => Problem::measure(config, images, watch)?,
        };
        let teacher =
            config.teacher.as_ref().map(|name| Teacher::open(name, &problem, wanted)).transpose()?;
        let features = config.features.as_ref().map(|name| Perceiver::open(name, &problem)).transpose()?;
        Ok(Self {
            config: config.clone(),
            problem,
            teacher,
            features,
            dataset: images.name.clone(),
            licence: images.licence.clone(),
            class_names: if wanted > 0 { images.class_names.clone() } else { Vec::new() },
        })
    }

    /// What was measured of the data.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    fn preconditioned(&self, network: &Network) -> Preconditioned {
        Preconditioned::new(network.clone(), self.problem.preconditioning, self.problem.sde)
    }

    /// What the images of step `index` are compared with, if with anything.
    fn references(&self, batches: &Batches<'_>, index: usize, device: &Device) -> Option<References> {
        let (n, [c, h, w]) = (self.config.objective.references(), self.problem.shape);
        if n == 0 {
            return None;
        }
        let (pixels, classes) = batches.references(index, n);
        let images = self.problem.range.encode(upload(&pixels, [n, c, h, w], device));
        Some(References::new(images, classes))
    }

    /// `network` as a model to sample from.
    fn score_model(&self, network: &Network, device: &Device) -> ScoreModel {
        let Problem { sde, range, shape, preconditioning, data_mean, .. } = self.problem;
        ScoreModel::new(Box::new(self.preconditioned(network)), sde, range, shape, device)
            .having_learned(preconditioning.learned())
            .of_mean(data_mean)
            .dequantised_by(preconditioning.dequantisation())
    }
}

impl Trainer<ScoreLesson> {
    /// The averaged weights as a model to sample from.
    pub fn score_model(&self) -> ScoreModel {
        self.lesson().score_model(&self.average(), self.device())
    }
}

impl Lesson for ScoreLesson {
    type Module = Network;

    fn course(&self) -> Course {
        self.config.clone().into()
    }

    fn module(&self, device: &Device) -> Network {
        let [channels, ..] = self.problem.shape;
        let [c_in, c_out] = self.problem.preconditioning.channels(channels);
        Network::new(&self.config.network, c_in, c_out, &mut Init::new(self.config.seed, device))
    }

    /// A file without classes, or of a network that is not told of moves, may start one that is: they then make no difference until
    /// it has learned them.
    fn fill(&self, file: ModelFile, network: Network) -> Result<Network> {
        file.learning(&self.config.network).fill(network)
    }

    fn loss(
        &self,
        [student, average]: [&Network; 2],
        batches: &mut Batches<'_>,
        index: usize,
        part: MicroBatch,
        device: &Device,
    ) -> Tensor<1> {
        let (config, [c, h, w]) = (&self.config, self.problem.shape);
        let pixels = upload(
            &batches.pixels(index, part, self.problem.preconditioning.dequantisation()),
            [part.len, c, h, w],
            device,
        );
        let labels = batches.labels(index, part, config.network.classes(), config.label_dropout);
        let moved = batches.moved(index, part);
        let references = self.references(batches, index, device);
        let [student, average] = [student, average].map(|network| self.preconditioned(network));
        let step = Step {
            index,
            of: config.steps,
            part,
            x0: self.problem.range.encode(pixels),
            labels: &labels,
            moved: &moved,
            references: references.as_ref(),
            sigma_data: self.problem.sigma_data,
            dropout: config.dropout,
            seed: config.seed,
        };
        let teacher = self.teacher.as_ref().map(|teacher| teacher.told(&labels, device));
        let teacher = teacher.as_ref().map(|teacher| teacher as &dyn Denoiser);
        let features = self.features.as_ref().map(|features| features.on(device));
        let features = features.as_ref().map(|features| features as &dyn Features);
        config.objective.loss(Models { student: &student, average: &average, teacher, features }, &step)
    }

    fn measured(&self) -> Option<&Problem> {
        Some(&self.problem)
    }

    fn card(&self, training: Training) -> ModelCard {
        let Problem { sde, range, sigma_data, data_mean, preconditioning, shape } = self.problem;
        let [channels, height, width] = shape;
        ModelCard {
            format: FORMAT,
            name: self.config.name.clone(),
            title: match preconditioning.learned() {
                Learned::Score => match preconditioning {
                    Preconditioning::Bytes { .. } => {
                        format!("{}, for likelihoods", self.config.data.dataset.title())
                    }
                    _ => format!("{}, {}", self.config.data.dataset.title(), sde.title()),
                },
                Learned::Consistency => format!("{}, consistency function", self.config.data.dataset.title()),
            },
            architecture: Architecture::Score { network: self.config.network.clone(), preconditioning },
            sde: Some(sde),
            range,
            sigma_data,
            data_mean,
            channels,
            height,
            width,
            dataset: self.dataset.clone(),
            dataset_licence: self.licence.clone(),
            class_names: self.class_names.clone(),
            training,
            published: None,
            quality: vec![],
            accuracy: vec![],
        }
    }

    /// A grid of samples, of the same seed every time so that one can watch it improve.
    async fn picture(&self, network: &Network, device: &Device) -> Result<Option<Picture>> {
        let model = self.score_model(network, device);
        let Some(sampler) = Sampler::usual_for(model.learned) else { return Ok(None) };
        let noise = Noise::new(self.config.seed);
        let solution = sampler.sample(&model, &noise, SAMPLES, &mut Run::default()).await?;
        let shape = solution.images.dims();
        let images = read(solution.images).await?;
        let scale = Grid::scale_for(shape[2].max(shape[3]));
        Grid { scale, ..Grid::default() }.draw(&images, shape).map(Some)
    }

    /// By `evaluate`, which needs a judge.
    async fn examine(&self, _: &Network, _: &Device) -> Result<Vec<Accuracy>> {
        Ok(vec![])
    }
}
