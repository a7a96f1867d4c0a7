//! The training step: what changes from one step to the next, and how.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::batches::{Batches, NOISE, TIMES};
use super::config::{PreconditioningChoice, SdeChoice, TrainConfig};
use super::optimiser::{Adam, update_average};
use crate::images::ImageSet;
use crate::model::{DataRange, Preconditioned, Preconditioning, ScoreModel};
use crate::network::layers::{Dropout, Init};
use crate::network::{Context, UNet};
use crate::ops::AdamStep;
use crate::rng::{Domain, Noise};
use crate::schedule;
use crate::sde::{AnySde, VeSde};
use crate::weights::ModelFile;
use crate::{Error, Result};

/// What a run learns from its data before the first step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Problem {
    /// The diffusion, its ends measured.
    pub sde: AnySde,
    /// What black and white are inside the model.
    pub range: DataRange,
    /// Standard deviation of the data in the model's units.
    pub sigma_data: f64,
    /// The network's scaling.
    pub preconditioning: Preconditioning,
    /// `[c, h, w]`.
    pub shape: [usize; 3],
}

/// Images that technique 1 compares: enough for the maximum, few enough for some seconds.
const COMPARED: usize = 8192;

impl Problem {
    /// Measures `sigma_data` and, where the configuration leaves it open, `sigma_max`.
    pub fn measure(config: &TrainConfig, images: &ImageSet) -> Self {
        let range = match config.sde {
            SdeChoice::Ve { .. } => DataRange::UNIT,
            SdeChoice::Vp(_) | SdeChoice::SubVp(_) | SdeChoice::Edm(_) => DataRange::CENTRED,
        };
        let unit = (range.high - range.low) / 255.0;
        let n = images.pixels.len() as f64;
        let mean = images.pixels.iter().map(|p| f64::from(*p)).sum::<f64>() / n;
        let variance = images.pixels.iter().map(|p| (f64::from(*p) - mean).powi(2)).sum::<f64>() / n;
        let sigma_data = (variance.sqrt() * unit).max(1e-3);
        let sde = match config.sde {
            SdeChoice::Vp(vp) => AnySde::Vp(vp),
            SdeChoice::SubVp(sub_vp) => AnySde::SubVp(sub_vp),
            SdeChoice::Edm(edm) => AnySde::Edm(edm),
            SdeChoice::Ve { sigma_min, sigma_max } if sigma_max > 0.0 => {
                AnySde::Ve(VeSde { sigma_min, sigma_max })
            }
            SdeChoice::Ve { sigma_min, .. } => {
                let step = images.len().div_ceil(COMPARED);
                let some: Vec<f32> = (0..images.len())
                    .step_by(step)
                    .flat_map(|i| images.image(i))
                    .map(|p| (f64::from(*p) * unit) as f32)
                    .collect();
                let sigma_max = schedule::largest_distance(&some, images.stride()).max(2.0 * sigma_min);
                AnySde::Ve(VeSde { sigma_min, sigma_max })
            }
        };
        let preconditioning = match config.preconditioning {
            PreconditioningChoice::Edm => Preconditioning::Edm { sigma_data },
            PreconditioningChoice::Eps => Preconditioning::Eps,
        };
        Self { sde, range, sigma_data, preconditioning, shape: images.shape() }
    }
}

/// Everything that a step changes.
pub struct Trainer {
    config: TrainConfig,
    problem: Problem,
    model: Preconditioned,
    average: UNet,
    adam: Adam<UNet>,
    step: usize,
    device: Device,
}

/// What one step tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The batch's mean loss.
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub gradient_norm: f64,
}

impl Trainer {
    /// The state before the first step. `device` is the plain one; autodiff is added here.
    pub fn new(config: &TrainConfig, problem: Problem, device: &Device) -> Self {
        let autodiff = device.clone().autodiff();
        let channels = problem.shape[0];
        let network = UNet::new(&config.network, channels, channels, &mut Init::new(config.seed, &autodiff));
        let average = network.valid();
        let model = Preconditioned::new(network, problem.preconditioning, problem.sde);
        let (config, adam) = (config.clone(), Adam::new(&average));
        Self { config, problem, model, average, adam, step: 0, device: device.clone() }
    }

    /// Starts from the weights of a model file instead of random ones (fine-tuning). A file without classes may
    /// start a network that has some: they then make no difference until it has learned them.
    ///
    /// # Errors
    /// [`Error::Weights`] if they are the weights of another network.
    pub fn start_from(&mut self, file: ModelFile) -> Result<()> {
        let network = file.with_classes(self.config.network.classes).fill(self.model.network().clone())?;
        self.average = network.valid();
        *self.model.network_mut() = network;
        Ok(())
    }

    /// Steps done so far.
    pub fn step_count(&self) -> usize {
        self.step
    }

    /// What the run measured of its data.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The averaged weights, which are the model that is kept.
    pub fn average(&self) -> &UNet {
        &self.average
    }

    /// The averaged weights as a model to sample from.
    pub fn score_model(&self) -> ScoreModel {
        let Problem { sde, range, shape, preconditioning, .. } = self.problem;
        let denoiser = Preconditioned::new(self.average.clone(), preconditioning, sde);
        ScoreModel::new(Box::new(denoiser), sde, range, shape, &self.device)
    }

    /// One step of Adam on the next batch, then the moving average. One read-back.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the loss or the gradient is not finite; the state is then unusable, and
    /// the last checkpoint is the place to go back to.
    pub async fn step(&mut self, batches: &mut Batches<'_>) -> Result<StepReport> {
        let step = self.step;
        let Problem { sde, range, sigma_data, shape: [c, h, w], .. } = self.problem;
        let b = self.config.batch;
        let autodiff = self.device.clone().autodiff();
        let upload =
            |values: Vec<f32>| Tensor::<1>::from_floats(values.as_slice(), &autodiff).reshape([b, c, h, w]);
        let noise = Noise::new(self.config.seed).domain(Domain::Training).at(step as u32);
        let (uniform, normal) = {
            let mut stream = noise.stream(TIMES);
            let uniform: Vec<f64> = (0..b).map(|_| stream.uniform()).collect();
            (uniform, (0..b).map(|_| stream.normal()).collect::<Vec<f64>>())
        };
        let t = self.config.objective.times(&*sde, sigma_data, &uniform, &normal);
        let x0 = range.encode(upload(batches.pixels(step)));
        let z = upload(noise.normal(NOISE, 1, b * c * h * w));
        let dropout = Dropout::new(self.config.dropout, self.config.seed, step as u32);

        let labels = batches.labels(step, self.config.network.classes, self.config.label_dropout);
        let context = Context { labels: &labels, dropout: Some(&dropout) };
        let loss = self.config.objective.loss(&self.model, sigma_data, x0, z, &t, context).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), self.model.network());
        let (rate, clip) = (self.config.learning_rate_at(step), self.config.clip);
        let adam = AdamStep { rate, step: step + 1, clip };
        let norm_sq = self.adam.step(self.model.network_mut(), gradients, adam);
        let ema = self.config.ema.min((1 + step) as f64 / (10 + step) as f64);
        update_average(&mut self.average, self.model.network(), ema);
        self.step += 1;

        let numbers = Tensor::cat(vec![loss.inner().reshape([1]), norm_sq.reshape([1])], 0);
        let read = numbers.into_data_async().await.map(|data| data.try_to_vec::<f32>());
        let Ok(Ok(numbers)) = read else {
            return Err(Error::device(
                "in use",
                "did not return the loss",
                "check the GPU, then train with --resume",
            ));
        };
        if !numbers.iter().all(|v| v.is_finite()) {
            return Err(Error::NonFinite {
                what: "the training loss".into(),
                step,
                fix: "lower learning_rate or clip and resume from the last checkpoint".into(),
            });
        }
        Ok(StepReport { loss: f64::from(numbers[0]), gradient_norm: f64::from(numbers[1]).sqrt() })
    }

    /// The parts that a checkpoint holds: raw weights, averaged weights, both moments of Adam.
    pub(super) fn to_parts(&self) -> Result<[Vec<u8>; 4]> {
        let failed = |e: String| Error::weights("checkpoint", e, "report this as a bug");
        let record = |network: &UNet| {
            let bytes = network.clone().into_record().into_bytes();
            bytes.map(|bytes| bytes.to_vec()).map_err(|e| failed(e.to_string()))
        };
        let [first, second] = &self.adam.moments;
        Ok([record(&self.model.network().valid())?, record(&self.average)?, record(first)?, record(second)?])
    }

    /// Puts back what [`Self::to_parts`] took, at `step`.
    pub(super) fn load_parts(
        &mut self,
        step: usize,
        [raw, average, first, second]: [Vec<u8>; 4],
    ) -> Result<()> {
        use burn::store::ModuleRecord;
        use burn::tensor::Bytes;

        let damaged =
            |e: String| Error::weights("checkpoint", e, "remove it, or start again without --resume");
        let load = |network: &mut UNet, bytes: Vec<u8>| {
            let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes));
            let record = record.map_err(|e| damaged(e.to_string()))?;
            *network = network.clone().try_load_record(record).map_err(|e| damaged(e.to_string()))?;
            Ok(())
        };
        load(self.model.network_mut(), raw)?;
        load(&mut self.average, average)?;
        let [first_moment, second_moment] = &mut self.adam.moments;
        load(first_moment, first)?;
        load(second_moment, second)?;
        self.step = step;
        Ok(())
    }
}
