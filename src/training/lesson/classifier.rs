//! The classifier that judges digits.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Lesson, Problem, moments};
use crate::data::{DataSource, Dataset};
use crate::dequantise::Dequantisation;
use crate::images::{DataRange, ImageSet};
use crate::network::layers::Init;
use crate::network::{Classifier, ClassifierConfig};
use crate::objective::{MicroBatch, Recognition};
use crate::ops::{ADAM_EPSILON, read, upload};
use crate::picture::Picture;
use crate::rng::draws::training::{NOISE, SHIFT, TIMES};
use crate::rng::{Domain, Noise, Philox};
use crate::training::config::check_name;
use crate::training::course::{check_micro_batches, is_whole};
use crate::training::{Batches, Course, Pace};
use crate::weights::{Accuracy, Architecture, FORMAT, ModelCard, Training};
use crate::{Error, Result};

/// Noise levels at which the accuracy is measured; 0 is the clean image.
const MEASURED: [f64; 5] = [0.0, 0.25, 0.5, 1.0, 2.0];

/// The training run of a classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifierTraining {
    /// Name of the model: file name and command-line name.
    pub name: String,
    /// Model whose weights to start from, a shipped name or a file of the same network; random without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// Optimiser steps in all.
    pub steps: usize,
    /// Images per step.
    pub batch: usize,
    /// Equal parts in which the gradient of a batch is computed, one after another, which takes less memory, or by several
    /// processes: the result depends on this number by rounding, not on that of the processes.
    #[serde(skip_serializing_if = "is_whole")]
    pub micro_batches: usize,
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
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
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
            init: None,
            steps: 3000,
            batch: 128,
            micro_batches: 1,
            learning_rate: 3e-3,
            warmup: 100,
            clip: 1.0,
            shift: 2,
            seed: 0,
            checkpoint_every: 500,
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
        check_name(&self.name)?;
        let rules = [
            ("steps", (1..u32::MAX as usize).contains(&self.steps), "use 1 to 4294967294"),
            ("batch", (1..=65_536).contains(&self.batch), "use 1 to 65536"),
            ("checkpoint_every", self.checkpoint_every > 0, "use 1 or more"),
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
        check_micro_batches(self.micro_batches, self.batch)?;
        self.data.validate()?;
        self.network.validate()
    }

    /// How the run proceeds: without mirrored images, and the weights are kept as they are.
    pub(in crate::training) fn pace(&self) -> Pace {
        Pace {
            name: self.name.clone(),
            init: self.init.clone(),
            steps: self.steps,
            batch: self.batch,
            micro_batches: self.micro_batches,
            seed: self.seed,
            flip: false,
            augment: 0.0,
            clip: self.clip,
            adam_epsilon: ADAM_EPSILON,
            rectified: false,
            muon: false,
            ema: 0.0.into(),
            averages: vec![],
            checkpoint_every: self.checkpoint_every,
            sample_every: 0,
        }
    }

    /// The learning rate of `step`, counted from 0: up linearly, then down linearly.
    pub(in crate::training) fn learning_rate_at(&self, step: usize) -> f64 {
        let warmup = ((step + 1) as f64 / self.warmup.max(1) as f64).min(1.0);
        self.learning_rate * warmup * (1.0 - step as f64 / self.steps as f64)
    }
}

/// A classifier, its images, and those that examine it.
#[derive(Debug, Clone)]
pub struct ClassifierLesson<'a> {
    config: ClassifierTraining,
    images: &'a ImageSet,
    test_images: &'a ImageSet,
}

impl<'a> ClassifierLesson<'a> {
    /// The lesson of `config` on `images`, examined by `test_images`; both need labels.
    ///
    /// # Errors
    /// [`Error::Config`] for a value out of range, images without labels, or tests of another size.
    pub fn new(config: &ClassifierTraining, images: &'a ImageSet, test_images: &'a ImageSet) -> Result<Self> {
        config.validate()?;
        for set in [images, test_images] {
            check_labels(set, config.network.classes)?;
        }
        if images.shape() != test_images.shape() {
            let problem = format!("are {:?}, the training images {:?}", test_images.shape(), images.shape());
            return Err(Error::config("the test images", problem, "use the same size for both"));
        }
        Ok(Self { config: config.clone(), images, test_images })
    }
}

impl Lesson for ClassifierLesson<'_> {
    type Module = Classifier;

    fn course(&self) -> Course {
        self.config.clone().into()
    }

    fn module(&self, device: &Device) -> Classifier {
        Classifier::new(&self.config.network, self.images.channels, &mut Init::new(self.config.seed, device))
    }

    fn loss(
        &self,
        [classifier, _]: [&Classifier; 2],
        batches: &mut Batches<'_>,
        index: usize,
        part: MicroBatch,
        device: &Device,
    ) -> Tensor<1> {
        let (config, b, [c, h, w]) = (&self.config, part.len, self.images.shape());
        let noise = Noise::new(config.seed).domain(Domain::Training).at(index as u32);
        let mut levels = noise.stream(TIMES);
        let normal: Vec<f64> = (0..part.of).map(|_| levels.normal()).collect();
        let sigma = &config.objective.sigmas(&normal)[part.images()];
        let mut pixels = batches.pixels(index, part, Dequantisation::Uniform);
        let random = noise.stream(SHIFT).resume(SHIFT_WORDS * part.first as u64);
        shift(&mut pixels, [h, w], c, config.shift, random);
        let labels = self.images.labels.as_deref().unwrap_or_default();
        let classes = config.network.classes;
        let mut one_hot = vec![0.0; b * classes];
        for (row, index) in one_hot.chunks_exact_mut(classes).zip(batches.indices(index, part)) {
            row[usize::from(labels[index])] = 1.0;
        }
        let x0 = upload(&pixels, [b, c, h, w], device);
        let z = upload(&noise.normal_within(NOISE, part.values(c * h * w)), [b, c, h, w], device);
        config.objective.loss(classifier, x0, z, upload(&one_hot, [b, classes], device), sigma)
    }

    /// Nothing that its loss depends on.
    fn measured(&self) -> Option<&Problem> {
        None
    }

    fn card(&self, training: Training) -> ModelCard {
        let [channels, height, width] = self.images.shape();
        let [data_mean, sigma_data] = moments(self.images, DataRange::UNIT);
        ModelCard {
            format: FORMAT,
            name: self.config.name.clone(),
            title: format!("Classifier of {}, clean or noisy", self.images.name),
            architecture: Architecture::Classifier { config: self.config.network.clone() },
            sde: None,
            range: DataRange::UNIT,
            sigma_data,
            data_mean,
            channels,
            height,
            width,
            dataset: self.images.name.clone(),
            dataset_licence: self.images.licence.clone(),
            class_names: self.images.class_names.clone(),
            training,
            published: None,
            quality: vec![],
            accuracy: vec![],
        }
    }

    async fn picture(&self, _: &Classifier, _: &Device) -> Result<Option<Picture>> {
        Ok(None)
    }

    /// Share of right answers on the test images, at rising noise levels; the first is clean.
    async fn examine(&self, classifier: &Classifier, device: &Device) -> Result<Vec<Accuracy>> {
        let mut accuracy = Vec::new();
        for sigma in MEASURED {
            let correct = share_correct(classifier, self.test_images, sigma, device).await?;
            accuracy.push(Accuracy { sigma, correct });
        }
        Ok(accuracy)
    }
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

/// Random words that the move of one image takes.
const SHIFT_WORDS: u64 = 4;

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
    let noise = Noise::new(0).domain(Domain::Judging);
    let labels = images.labels.as_deref().unwrap_or_default();
    let mut correct = 0;
    for first in (0..images.len()).step_by(BATCH) {
        let n = BATCH.min(images.len() - first);
        let mut pixels = noise.at(first as u32).normal(0, n, images.stride());
        let bytes = &images.pixels[first * images.stride()..];
        for (pixel, byte) in pixels.iter_mut().zip(bytes) {
            *pixel = *pixel * sigma as f32 + f32::from(*byte) / 255.0;
        }
        let x = upload(&pixels, [n, c, h, w], device);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic;

    fn tiny() -> ClassifierTraining {
        let network = ClassifierConfig { channels: 8, features: 8, ..ClassifierConfig::default() };
        ClassifierTraining { steps: 2, batch: 8, network, ..ClassifierTraining::default() }
    }

    #[test]
    fn what_cannot_be_learned_is_refused() {
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
            let message = ClassifierLesson::new(&config, images, images).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
        let message =
            ClassifierLesson::new(&tiny(), &images, &images.clone().padded(32)).unwrap_err().to_string();
        assert!(message.contains("same size"), "{message}");
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
