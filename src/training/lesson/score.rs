use std::sync::OnceLock;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Lesson, moments};
use crate::images::{DataRange, ImageSet};
use crate::model::{Denoiser, Learned, Preconditioned, Preconditioning, ScoreModel};
use crate::network::layers::Init;
use crate::network::{Context, Network};
use crate::objective::{Loss, Models, Step};
use crate::ops::{read, upload};
use crate::picture::{Grid, Picture};
use crate::rng::Noise;
use crate::run::Run;
use crate::sampler::Sampler;
use crate::sde::{AnySde, Watch};
use crate::training::{Batches, Course, TrainConfig, Trainer};
use crate::weights::{Accuracy, Architecture, FORMAT, ModelCard, ModelFile, Training, shipped};
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
        let preconditioning = config.preconditioning.measured(sigma_data);
        Ok(Self { sde, range, sigma_data, data_mean, preconditioning, shape: images.shape() })
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
}

/// A finished model that a student learns from.
#[derive(Debug, Clone)]
struct Teacher {
    /// In main memory.
    model: Preconditioned,
    /// Where the student is, once that is known.
    there: OnceLock<Preconditioned>,
}

impl Teacher {
    /// The score model of that name for a student of `problem`.
    fn open(name: &str, problem: &Problem, classes: usize) -> Result<Self> {
        let file = shipped::open(name)?;
        let refused =
            |problem: String, fix: String| Err(Error::config(format!("teacher = {name}"), problem, fix));
        let ModelCard { ref architecture, range, channels, height, width, .. } = file.card;
        let (Architecture::Score { network, preconditioning }, Some(sde)) = (architecture, file.card.sde)
        else {
            return refused("is a classifier".into(), "name a score model".into());
        };
        if preconditioning.learned() != Learned::Score {
            return refused(format!("gives {}", preconditioning.learned()), "name a score model".into());
        }
        if [channels, height, width] != problem.shape || range != problem.range {
            let [c, h, w] = problem.shape;
            return refused(
                format!(
                    "makes images of {channels}x{height}x{width} between {} and {}",
                    range.low, range.high
                ),
                format!("use one for {c}x{h}x{w} between {} and {}", problem.range.low, problem.range.high),
            );
        }
        if network.classes() < classes {
            return refused(
                format!("knows {} classes", network.classes()),
                format!("use one that knows {classes}"),
            );
        }
        // A tenth more is what rounding and measuring differ by; there is nothing to see beyond.
        let [most, known] = [problem.sde, sde].map(|sde| sde.sigma(1.0));
        if most > 1.1 * known {
            return refused(
                format!("knows noise up to {known:.3}"),
                format!("use one that knows {most:.3}, or less noise"),
            );
        }
        let model = file.load(&Device::flex())?.denoiser().clone();
        Ok(Self { model, there: OnceLock::new() })
    }

    /// On `device`, the one of every step.
    fn on(&self, device: &Device) -> &Preconditioned {
        self.there.get_or_init(|| {
            let Preconditioned { preconditioning, sde, .. } = self.model;
            let network = self.model.network().clone().to_device(&device.clone().without_autodiff());
            Preconditioned::new(network, preconditioning, sde)
        })
    }
}

/// A model that is told the classes of a step.
struct Told<'a> {
    model: &'a Preconditioned,
    labels: &'a [Option<usize>],
}

impl Denoiser for Told<'_> {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        self.model.forward(x, sigma, Context { labels: self.labels, dropout: None })
    }
}

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
        let problem = match problem {
            Some(known) => known,
            None => Problem::measure(config, images, watch)?,
        };
        let teacher =
            config.teacher.as_ref().map(|name| Teacher::open(name, &problem, wanted)).transpose()?;
        Ok(Self {
            config: config.clone(),
            problem,
            teacher,
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

    /// `network` as a model to sample from.
    fn score_model(&self, network: &Network, device: &Device) -> ScoreModel {
        let Problem { sde, range, shape, preconditioning, data_mean, .. } = self.problem;
        ScoreModel::new(Box::new(self.preconditioned(network)), sde, range, shape, device)
            .having_learned(preconditioning.learned())
            .of_mean(data_mean)
    }
}

impl Trainer<ScoreLesson> {
    /// The averaged weights as a model to sample from.
    pub fn score_model(&self) -> ScoreModel {
        self.lesson().score_model(self.average(), self.device())
    }
}

impl Lesson for ScoreLesson {
    type Module = Network;

    fn course(&self) -> Course {
        self.config.clone().into()
    }

    fn module(&self, device: &Device) -> Network {
        let [channels, ..] = self.problem.shape;
        Network::new(&self.config.network, channels, channels, &mut Init::new(self.config.seed, device))
    }

    /// A file without classes may start a network that has some: they then make no difference until it has learned
    /// them.
    fn fill(&self, file: ModelFile, network: Network) -> Result<Network> {
        file.with_classes(self.config.network.classes()).fill(network)
    }

    fn loss(
        &self,
        [student, average]: [&Network; 2],
        batches: &mut Batches<'_>,
        index: usize,
        device: &Device,
    ) -> Tensor<1> {
        let (config, [c, h, w]) = (&self.config, self.problem.shape);
        let pixels = upload(&batches.pixels(index), [config.batch, c, h, w], device);
        let labels = batches.labels(index, config.network.classes(), config.label_dropout);
        let [student, average] = [student, average].map(|network| self.preconditioned(network));
        let step = Step {
            index,
            of: config.steps,
            x0: self.problem.range.encode(pixels),
            labels: &labels,
            sigma_data: self.problem.sigma_data,
            dropout: config.dropout,
            seed: config.seed,
        };
        let teacher =
            self.teacher.as_ref().map(|teacher| Told { model: teacher.on(device), labels: &labels });
        let teacher = teacher.as_ref().map(|teacher| teacher as &dyn Denoiser);
        config.objective.loss(Models { student: &student, average: &average, teacher }, &step)
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
                Learned::Score => format!("{}, {}", self.config.data.dataset.title(), sde.title()),
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
