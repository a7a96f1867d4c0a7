//! Training of the classifier that judges digits: one loop, no checkpoints, since it takes minutes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::batches::{Batches, NOISE, TIMES};
use super::optimiser::Adam;
use super::run;
use crate::cancel::CancelToken;
use crate::data::{DataSource, Dataset};
use crate::device::Opened;
use crate::images::ImageSet;
use crate::model::DataRange;
use crate::network::layers::Init;
use crate::network::{Classifier, ClassifierConfig};
use crate::objective::Recognition;
use crate::ops::AdamStep;
use crate::rng::{Domain, Noise, Philox};
use crate::sampler::read;
use crate::weights::{self, Accuracy, Architecture, FORMAT, ModelCard, Precision};
use crate::{Error, Result, files};

/// Draw of the training domain that moves the images.
const SHIFT: u32 = 4;

/// Noise levels at which the accuracy is measured; 0 is the clean image.
const MEASURED: [f64; 5] = [0.0, 0.25, 0.5, 1.0, 2.0];

/// A classifier's training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifierTraining {
    /// Name of the model: file name and command-line name.
    pub name: String,
    /// Optimiser steps in all.
    pub steps: usize,
    /// Images per step.
    pub batch: usize,
    /// Peak learning rate of Adam; it falls linearly to zero.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises from zero.
    pub warmup: usize,
    /// Largest global norm of the gradient; larger ones are scaled down to it.
    pub clip: f64,
    /// Every image is moved by up to so many pixels in each direction.
    pub shift: usize,
    /// Seed of the initial weights, the data order and all noise.
    pub seed: u64,
    /// The images.
    pub data: DataSource,
    /// The loss.
    pub objective: Recognition,
    /// The network.
    pub network: ClassifierConfig,
}

impl Default for ClassifierTraining {
    fn default() -> Self {
        Self {
            name: "mnist-classifier".into(),
            steps: 3000,
            batch: 128,
            learning_rate: 3e-3,
            warmup: 100,
            clip: 1.0,
            shift: 2,
            seed: 0,
            data: DataSource::new(Dataset::Mnist),
            objective: Recognition::default(),
            network: ClassifierConfig::default(),
        }
    }
}

impl ClassifierTraining {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Config`] names the field and what it may be.
    pub fn validate(&self) -> Result<()> {
        let Recognition { clean, mean, std } = self.objective;
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let named = (1..=64).contains(&self.name.len())
            && !self.name.starts_with('.')
            && self.name.chars().all(plain);
        let rules = [
            ("name", named, "use up to 64 letters, digits, dots, dashes and underscores"),
            ("steps", (1..u32::MAX as usize).contains(&self.steps), "use 1 to 4294967294"),
            ("batch", (1..=65_536).contains(&self.batch), "use 1 to 65536"),
            ("learning_rate", positive(self.learning_rate), "use a positive number"),
            ("clip", positive(self.clip), "use a positive number"),
            ("objective.clean", (0.0..=1.0).contains(&clean), "use 0 to 1"),
            ("objective.mean", (-10.0..=10.0).contains(&mean), "use -10 to 10"),
            ("objective.std", (0.0..=5.0).contains(&std), "use 0 to 5"),
        ];
        for (field, allowed, fix) in rules {
            if !allowed {
                return Err(Error::config(field, "has a value that is not allowed", fix));
            }
        }
        self.data.validate()?;
        self.network.validate()
    }

    /// The learning rate of `step`, counted from 0: up linearly, then down linearly.
    fn learning_rate_at(&self, step: usize) -> f64 {
        let warmup = ((step + 1) as f64 / self.warmup.max(1) as f64).min(1.0);
        self.learning_rate * warmup * (1.0 - step as f64 / self.steps as f64)
    }
}

/// What a finished run tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The model file.
    pub model: PathBuf,
    /// Share of right answers on the test images, at rising noise levels; the first is clean.
    pub accuracy: Vec<Accuracy>,
}

/// Trains a classifier on `images` and measures it on `test_images`; both need labels.
///
/// Writes `config.toml` and the model (f16) into `folder`, the model when all steps are done.
///
/// # Errors
/// [`Error::Config`] for a value out of range or images without labels, [`Error::NonFinite`] if the
/// loss becomes so, [`Error::Cancelled`] on request, and what files can say.
pub async fn train_classifier(
    config: &ClassifierTraining,
    images: &ImageSet,
    test_images: &ImageSet,
    opened: &Opened,
    folder: &Path,
    cancel: &CancelToken,
) -> Result<Report> {
    config.validate()?;
    for set in [images, test_images] {
        check_labels(set, config.network.classes)?;
    }
    if images.shape() != test_images.shape() {
        let problem = format!("are {:?}, the training images {:?}", test_images.shape(), images.shape());
        return Err(Error::config("the test images", problem, "use the same size for both"));
    }
    std::fs::create_dir_all(folder)
        .map_err(|e| Error::io(folder, e, "choose a folder that can be written with --out"))?;
    let text = toml::to_string(config)
        .map_err(|e| Error::config("config", e.to_string(), "report this as a bug"))?;
    files::write_atomic(folder.join("config.toml"), |file| file.write_all(text.as_bytes()))?;

    let started = Instant::now();
    let classifier = fit(config, images, &opened.device, cancel).await?;
    let seconds = started.elapsed().as_secs_f64();
    let mut accuracy = Vec::new();
    for sigma in MEASURED {
        let correct = share_correct(&classifier, test_images, sigma, &opened.device).await?;
        accuracy.push(Accuracy { sigma, correct });
    }

    let card = card(
        config,
        images,
        run::training(
            "scorefield train --preset mnist-classifier",
            config.steps,
            config.batch,
            seconds,
            opened,
        ),
        accuracy.clone(),
    );
    let bytes = weights::to_bytes(&classifier, &card, Precision::F16)?;
    let model = folder.join(format!("{}.safetensors", config.name));
    files::write_atomic(&model, |file| file.write_all(&bytes))?;
    Ok(Report { model, accuracy })
}

fn check_labels(images: &ImageSet, classes: usize) -> Result<()> {
    let problem = match images.n_classes() {
        None => "has no labels".into(),
        Some(_) if images.is_empty() => "is empty".into(),
        Some(found) if found > classes => format!("has {found} classes, the network {classes}"),
        Some(_) => return Ok(()),
    };
    Err(Error::config(
        format!("the data set {}", images.name),
        problem,
        "use a labelled set and network.classes to fit",
    ))
}

/// The training loop. One read-back per step.
async fn fit(
    config: &ClassifierTraining,
    images: &ImageSet,
    device: &Device,
    cancel: &CancelToken,
) -> Result<Classifier> {
    let (b, [c, h, w]) = (config.batch, images.shape());
    let classes = config.network.classes;
    let labels = images.labels.as_deref().unwrap_or_default();
    let autodiff = device.clone().autodiff();
    let upload = |values: Vec<f32>| Tensor::<1>::from_floats(values.as_slice(), &autodiff);
    let mut model = Classifier::new(&config.network, c, &mut Init::new(config.seed, &autodiff));
    let mut adam = Adam::new(&model);
    let mut batches = Batches::new(images, config.seed, b, false);
    let bar = run::progress_bar(config.steps, 0);
    let mut average = None;

    for step in 0..config.steps {
        let noise = Noise::new(config.seed).domain(Domain::Training).at(step as u32);
        let mut levels = noise.stream(TIMES);
        let normal: Vec<f64> = (0..b).map(|_| levels.normal()).collect();
        let sigma = config.objective.sigmas(&normal);
        let mut pixels = batches.pixels(step);
        shift(&mut pixels, [h, w], c, config.shift, noise.stream(SHIFT));
        let mut one_hot = vec![0.0; b * classes];
        for (row, index) in one_hot.chunks_exact_mut(classes).zip(batches.indices(step)) {
            row[usize::from(labels[index])] = 1.0;
        }

        let x0 = upload(pixels).reshape([b, c, h, w]);
        let z = upload(noise.normal(NOISE, 1, b * c * h * w)).reshape([b, c, h, w]);
        let loss = config.objective.loss(&model, x0, z, upload(one_hot).reshape([b, classes]), &sigma).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let rate = config.learning_rate_at(step);
        let norm_sq = adam.step(&mut model, gradients, AdamStep { rate, step: step + 1, clip: config.clip });

        let numbers = read(Tensor::cat(vec![loss.inner().reshape([1]), norm_sq.reshape([1])], 0)).await?;
        if !numbers.iter().all(|v| v.is_finite()) {
            let fix = "lower learning_rate or clip and start again".into();
            return Err(Error::NonFinite { what: "the training loss".into(), step, fix });
        }
        let smooth = average.map_or(numbers[0], |average: f32| 0.98 * average + 0.02 * numbers[0]);
        average = Some(smooth);
        bar.set_message(format!("loss {smooth:.4}"));
        bar.inc(1);
        if cancel.is_cancelled() {
            bar.abandon();
            return Err(Error::Cancelled { step: step + 1 });
        }
    }
    bar.finish();
    Ok(model.valid())
}

/// Moves every image `[c, h, w]` of `pixels` by a random offset of up to `most` in each direction; what
/// comes in is black.
fn shift(pixels: &mut [f32], [height, width]: [usize; 2], channels: usize, most: usize, mut random: Philox) {
    let mut moved = vec![0.0; height * width];
    for image in pixels.chunks_exact_mut(channels * height * width) {
        let [dy, dx] = [random.below(2 * most + 1), random.below(2 * most + 1)];
        for plane in image.chunks_exact_mut(height * width) {
            for (i, to) in moved.iter_mut().enumerate() {
                // Wraps below zero to a number that is out of range, like those beyond the far edge.
                let (y, x) = ((i / width + dy).wrapping_sub(most), (i % width + dx).wrapping_sub(most));
                *to = if y < height && x < width { plane[y * width + x] } else { 0.0 };
            }
            plane.copy_from_slice(&moved);
        }
    }
}

/// The share of `images` that `classifier` names correctly under noise of standard deviation `sigma`.
async fn share_correct(
    classifier: &Classifier,
    images: &ImageSet,
    sigma: f64,
    device: &Device,
) -> Result<f64> {
    const BATCH: usize = 250;
    let [c, h, w] = images.shape();
    let noise = Noise::new(0).domain(Domain::Probe);
    let labels = images.labels.as_deref().unwrap_or_default();
    let mut correct = 0;
    for first in (0..images.len()).step_by(BATCH) {
        let n = BATCH.min(images.len() - first);
        let mut pixels = noise.at(first as u32).normal(0, n, images.stride());
        let bytes = &images.pixels[first * images.stride()..];
        for (pixel, byte) in pixels.iter_mut().zip(bytes) {
            *pixel = *pixel * sigma as f32 + f32::from(*byte) / 255.0;
        }
        let x = Tensor::<1>::from_floats(pixels.as_slice(), device).reshape([n, c, h, w]);
        let logits = read(classifier.forward(x, &[sigma]).logits).await?;
        let named = logits.chunks_exact(logits.len() / n).map(largest);
        correct +=
            named.zip(&labels[first..]).filter(|(named, label)| *named == usize::from(**label)).count();
    }
    Ok(correct as f64 / images.len() as f64)
}

/// The index of the largest value.
fn largest(values: &[f32]) -> usize {
    (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or(0)
}

fn card(
    config: &ClassifierTraining,
    images: &ImageSet,
    training: weights::Training,
    accuracy: Vec<Accuracy>,
) -> ModelCard {
    let [channels, height, width] = images.shape();
    ModelCard {
        format: FORMAT,
        name: config.name.clone(),
        title: format!("Classifier of {}, clean or noisy", images.name),
        architecture: Architecture::Classifier { config: config.network.clone() },
        sde: None,
        range: DataRange::UNIT,
        sigma_data: deviation(images),
        channels,
        height,
        width,
        dataset: images.name.clone(),
        dataset_licence: images.licence.clone(),
        training,
        quality: vec![],
        accuracy,
    }
}

/// Standard deviation of all pixel values, on the scale of `[0, 1]`.
fn deviation(images: &ImageSet) -> f64 {
    let mean_of = |f: &dyn Fn(f64) -> f64| {
        images.pixels.iter().map(|byte| f(f64::from(*byte) / 255.0)).sum::<f64>() / images.pixels.len() as f64
    };
    let mean = mean_of(&|x| x);
    mean_of(&|x| (x - mean).powi(2)).sqrt().max(1e-3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic;

    fn tiny() -> ClassifierTraining {
        let network = ClassifierConfig { channels: 8, features: 8, ..ClassifierConfig::default() };
        ClassifierTraining { steps: 2, batch: 8, network, ..ClassifierTraining::default() }
    }

    fn train(
        config: &ClassifierTraining,
        images: &ImageSet,
        folder: &Path,
        cancel: &CancelToken,
    ) -> Result<Report> {
        let opened = Opened::cpu("");
        pollster::block_on(train_classifier(config, images, images, &opened, folder, cancel))
    }

    #[test]
    fn the_same_configuration_gives_the_same_weights() {
        let images = synthetic::digits_like(40, 28, 0);
        let weights = [(); 2].map(|()| {
            let device = Device::flex();
            let model = pollster::block_on(fit(&tiny(), &images, &device, &CancelToken::default())).unwrap();
            model.forward(Tensor::ones([1, 1, 28, 28], &device), &[0.5]).logits.into_data()
        });
        assert_eq!(weights[0], weights[1]);
    }

    #[test]
    fn a_run_leaves_a_model_that_can_be_opened_and_its_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let report =
            train(&tiny(), &synthetic::digits_like(40, 28, 0), folder.path(), &CancelToken::default())
                .unwrap();
        assert_eq!(report.accuracy.len(), MEASURED.len());
        let file = weights::ModelFile::parse("c", &std::fs::read(&report.model).unwrap()).unwrap();
        assert_eq!((file.card.accuracy.clone(), file.card.sde), (report.accuracy, None));
        file.classifier(&Device::flex()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
        assert_eq!(toml::from_str::<ClassifierTraining>(&text).unwrap(), tiny());
    }

    #[test]
    fn a_stopped_run_leaves_no_model() {
        let folder = tempfile::tempdir().unwrap();
        let cancel = CancelToken::default();
        cancel.cancel();
        let error = train(&tiny(), &synthetic::digits_like(40, 28, 0), folder.path(), &cancel).unwrap_err();
        assert!(matches!(error, Error::Cancelled { step: 1 }), "{error}");
        assert!(!folder.path().join("mnist-classifier.safetensors").exists());
    }

    #[test]
    fn what_cannot_be_learned_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let images = synthetic::digits_like(40, 28, 0);
        let unlabelled = ImageSet { labels: None, ..images.clone() };
        let two = ClassifierTraining { network: ClassifierConfig { classes: 2, ..tiny().network }, ..tiny() };
        for (config, images, word) in [
            (tiny(), &unlabelled, "no labels"),
            (two, &images, "10 classes"),
            (ClassifierTraining { batch: 0, ..tiny() }, &images, "batch"),
            (ClassifierTraining { learning_rate: f64::NAN, ..tiny() }, &images, "learning_rate"),
            (ClassifierTraining { name: "../up".into(), ..tiny() }, &images, "name"),
        ] {
            let message =
                train(&config, images, folder.path(), &CancelToken::default()).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn shifting_moves_whole_images_and_brings_in_black() {
        let image: Vec<f32> = (1..=12).map(|v| v as f32).collect();
        let mut seen = std::collections::HashSet::new();
        for draw in 0..200 {
            let mut moved = image.clone();
            shift(&mut moved, [3, 4], 1, 1, Noise::new(0).stream(draw));
            let (dy, dx) = (-1..=1_isize)
                .flat_map(|dy| (-1..=1_isize).map(move |dx| (dy, dx)))
                .find(|(dy, dx)| {
                    moved.iter().enumerate().all(|(i, value)| {
                        let (y, x) = ((i / 4) as isize + dy, (i % 4) as isize + dx);
                        let inside = (0..3).contains(&y) && (0..4).contains(&x);
                        *value == if inside { image[(y * 4 + x) as usize] } else { 0.0 }
                    })
                })
                .unwrap_or_else(|| panic!("{moved:?}"));
            seen.insert((dy, dx));
        }
        assert_eq!(seen.len(), 9, "all directions occur");
        let mut still = image.clone();
        shift(&mut still, [3, 4], 1, 0, Noise::new(0).stream(0));
        assert_eq!(still, image);
    }
}
