//! How good samples are: a classifier of the same data looks at them.
//!
//! Three numbers, none of which is enough alone. The share that is *recognised* falls with bad images;
//! the *entropy of the class histogram* falls when a sampler forgets classes; the *Fréchet distance* of
//! the classifier's features rises with either and with a lack of variety inside a class. The last one
//! depends on the classifier and on the number of samples, so it means something only beside the same
//! number for as many real images. Samples are addressed by index, so parts of an evaluation can be
//! drawn on different machines.

mod frechet;
mod table;
mod verdicts;

pub use frechet::Gaussian;
pub use table::markdown;
pub use verdicts::{Verdicts, judge};

use burn::tensor::{Device, Tensor};

use crate::data::ImageSet;
use crate::model::ScoreModel;
use crate::network::Classifier;
use crate::rng::Noise;
use crate::sampler::{Run, Sampler, read};
use crate::weights::{ModelFile, Quality};
use crate::{Error, Result};

/// Which samples an evaluation draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// How many, 2 or more.
    pub count: usize,
    /// How many at a time; this changes the speed, not the samples.
    pub batch: usize,
    /// Their seed; they are its samples 0 to `count - 1`.
    pub seed: u64,
}

/// A classifier and what it sees in real images.
#[derive(Debug)]
pub struct Judge {
    classifier: Classifier,
    shape: [usize; 3],
    device: Device,
    reference: Gaussian,
}

impl Judge {
    /// Puts the classifier of `file` on `device` and shows it the `reference` images, usually a test set.
    ///
    /// # Errors
    /// [`Error::Weights`] if `file` is not a classifier, [`Error::Config`] if it is one of other images.
    pub async fn new(file: ModelFile, reference: &ImageSet, device: &Device) -> Result<Self> {
        let shape = [file.card.channels, file.card.height, file.card.width];
        let classifier = file.classifier(device)?;
        same_shape("the reference images", reference.shape(), shape)?;
        let features = judge(&classifier, pixels(reference, device)).await?;
        Ok(Self { classifier, shape, device: device.clone(), reference: features.gaussian()? })
    }

    /// What the classifier says of `images`, `[n, c, h, w]` in `[0, 1]`, row by row.
    ///
    /// # Errors
    /// As [`judge`].
    ///
    /// # Panics
    /// If `images` is not a whole number of images of the classifier's size.
    pub async fn verdicts(&self, images: &[f32]) -> Result<Verdicts> {
        let [c, h, w] = self.shape;
        let images =
            Tensor::<1>::from_floats(images, &self.device).reshape([images.len() / (c * h * w), c, h, w]);
        judge(&self.classifier, images).await
    }

    /// The numbers of `verdicts` under the name `sampler`.
    ///
    /// # Errors
    /// [`Error::Config`] for fewer than two images.
    pub fn quality(&self, sampler: impl Into<String>, nfe: usize, verdicts: &Verdicts) -> Result<Quality> {
        Ok(Quality {
            sampler: sampler.into(),
            nfe,
            count: verdicts.len(),
            recognised: verdicts.recognised(),
            class_entropy: verdicts.class_entropy(),
            frechet: verdicts.gaussian()?.distance(&self.reference),
        })
    }

    /// The same numbers for real images: the yardstick of [`Judge::evaluate`] for as many samples.
    ///
    /// # Errors
    /// [`Error::Config`] if they have another shape than the reference, or are fewer than two.
    pub async fn real(&self, images: &ImageSet) -> Result<Quality> {
        same_shape(&images.name, images.shape(), self.shape)?;
        let verdicts = judge(&self.classifier, pixels(images, &self.device)).await?;
        self.quality("real images", 0, &verdicts)
    }

    /// Draws samples of `model` and judges them. NFE is counted, as the mean over batches.
    ///
    /// # Errors
    /// [`Error::Config`] if the model makes images of another shape or `draw` asks for too few, and
    /// whatever [`Sampler::sample`] can say.
    pub async fn evaluate(
        &self,
        model: &ScoreModel,
        sampler: &Sampler,
        draw: Draw,
        run: &mut Run<'_>,
    ) -> Result<Quality> {
        same_shape("the model's images", model.shape, self.shape)?;
        if draw.count < 2 || draw.batch == 0 {
            let problem = format!("{} in batches of {} cannot be judged", draw.count, draw.batch);
            return Err(Error::config("samples", problem, "draw at least 2, in batches of at least 1"));
        }
        let mut verdicts = Verdicts::default();
        let mut evaluations = 0;
        for first in (0..draw.count).step_by(draw.batch) {
            let n = draw.batch.min(draw.count - first);
            let noise = Noise::new(draw.seed).at(first as u32);
            let solution = sampler.sample(model, &noise, n, run).await?;
            evaluations += n * solution.nfe;
            verdicts.extend(self.verdicts(&read(solution.images).await?).await?);
        }
        let nfe = (evaluations as f64 / draw.count as f64).round() as usize;
        self.quality(describe(sampler), nfe, &verdicts)
    }
}

/// A sampler as in a table: its name and every option that it was run with.
pub fn describe(sampler: &Sampler) -> String {
    let fields = serde_json::to_value(sampler).unwrap_or_default();
    let info = sampler.info();
    let options = info.options.iter().map(|option| match &fields[option.name] {
        serde_json::Value::String(choice) => format!(" {}={choice}", option.name),
        number => format!(" {}={number}", option.name),
    });
    options.fold(info.name.into(), |text, option| text + &option)
}

/// All pixels of a set, `[n, c, h, w]` in `[0, 1]`.
fn pixels(images: &ImageSet, device: &Device) -> Tensor<4> {
    let [c, h, w] = images.shape();
    let pixels: Vec<f32> = images.pixels.iter().map(|byte| f32::from(*byte) / 255.0).collect();
    Tensor::<1>::from_floats(pixels.as_slice(), device).reshape([images.len(), c, h, w])
}

fn same_shape(what: &str, found: [usize; 3], expected: [usize; 3]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let problem = format!("are {found:?} (channels, rows, columns), the classifier's {expected:?}");
    Err(Error::config(what, problem, "use a classifier and images of the same data set"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic;
    use crate::model::{DataRange, Denoiser};
    use crate::network::ClassifierConfig;
    use crate::network::layers::Init;
    use crate::sde::{AnySde, VpSde};
    use crate::training::classifier::{ClassifierTraining, train_classifier};

    #[test]
    fn a_sampler_is_described_with_all_its_options() {
        let text = describe(&Sampler::named("heun").unwrap());
        assert!(text.starts_with("heun n_steps=") && text.contains(" rho="), "{text}");
        let text = describe(&Sampler::named("ancestral").unwrap());
        assert!(text.contains(" variance=beta_tilde"), "{text}");
    }

    /// Always sees the same image, whatever the noise.
    struct Constant;

    impl Denoiser for Constant {
        fn denoise(&self, x: Tensor<4>, _: &[f64]) -> Tensor<4> {
            x.zeros_like()
        }
    }

    async fn judge_of_synthetic_digits(folder: &std::path::Path) -> Judge {
        let device = crate::device::Opened::cpu("");
        let (images, test_images) = (synthetic::digits_like(200, 28, 0), synthetic::digits_like(100, 28, 1));
        let network = ClassifierConfig { channels: 8, features: 8, ..ClassifierConfig::default() };
        let config = ClassifierTraining { steps: 3, batch: 16, network, ..ClassifierTraining::default() };
        let report =
            train_classifier(&config, &images, &test_images, &device, folder, &Default::default()).await;
        let bytes = std::fs::read(report.unwrap().model).unwrap();
        let file = ModelFile::parse("classifier", &bytes).unwrap();
        Judge::new(file, &test_images, &device.device).await.unwrap()
    }

    #[test]
    fn batches_change_nothing_and_the_reference_has_no_distance_to_itself() {
        pollster::block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let judge = judge_of_synthetic_digits(folder.path()).await;
            let itself = judge.real(&synthetic::digits_like(100, 28, 1)).await.unwrap();
            assert!(itself.frechet.abs() < 1e-6, "{itself:?}");

            let device = Device::flex();
            let sde = AnySde::Vp(VpSde::default());
            let model = ScoreModel::new(Box::new(Constant), sde, DataRange::CENTRED, [1, 28, 28], &device);
            let sampler = Sampler::named("heun").unwrap();
            let mut qualities = Vec::new();
            for batch in [2, 5] {
                let draw = Draw { count: 5, batch, seed: 1 };
                qualities.push(judge.evaluate(&model, &sampler, draw, &mut Run::default()).await.unwrap());
            }
            assert!((qualities[0].frechet - qualities[1].frechet).abs() < 1e-3, "{qualities:?}");
            assert_eq!((qualities[0].nfe, qualities[0].count), (qualities[1].nfe, 5));
            assert_eq!(qualities[0].class_entropy, 0.0, "one image has one class");

            let small = ScoreModel::new(Box::new(Constant), sde, DataRange::CENTRED, [1, 8, 8], &device);
            let draw = Draw { count: 5, batch: 5, seed: 1 };
            let error = judge.evaluate(&small, &sampler, draw, &mut Run::default()).await.unwrap_err();
            assert!(error.to_string().contains("[1, 8, 8]"), "{error}");
            let error =
                judge.evaluate(&model, &sampler, Draw { count: 1, ..draw }, &mut Run::default()).await;
            assert!(error.unwrap_err().to_string().contains("at least 2"));
        });
    }

    #[test]
    fn a_classifier_of_random_weights_is_judged_without_a_file() {
        let device = Device::flex();
        let classifier = Classifier::new(&ClassifierConfig::default(), 1, &mut Init::new(0, &device));
        let verdicts =
            pollster::block_on(judge(&classifier, Tensor::full([3, 1, 28, 28], 7.0, &device))).unwrap();
        let clipped = pollster::block_on(judge(&classifier, Tensor::ones([3, 1, 28, 28], &device))).unwrap();
        assert_eq!(verdicts, clipped, "values are clipped to [0, 1]");
        assert_eq!(verdicts.len(), 3);
    }
}
