use burn::tensor::{Device, Tensor};
use serde_json::{Value, json};

use super::studio::{BATCH, rms_difference};
use super::{Figure, Outcome, Studio};
use crate::control;
use crate::images::ImageSet;
use crate::objective::References;
use crate::ops::{read, upload};
use crate::picture::Picture;
use crate::picture::chart::{Axis, Chart, Mark, PALETTE, Series};
use crate::rng::{Domain, Noise};
use crate::sampler::Sampler;
use crate::weights::{LoadedModel, shipped};
use crate::{Error, Result};

/// Standard deviations of the noise, black being 0 and white 1; those that the model knows are tried.
const LEVELS: [f64; 12] = [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2];

/// What a model knows of images behind noise, level by level, and at which level its samples become worse than images.
///
/// Test images get noise, and are told to a model of classes with their class. On the left, how far off its denoised image
/// is, beside the mean of the training images by how probably each is behind the noise: at large noise nothing is better,
/// and a model that is worse there has not learned enough of it; at small noise a model knows more than its training
/// images. On the right, the quality of what the ODE makes of the noisy image, which is lost at this level and below it.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let model = shipped::open(&studio.model)?.load(&studio.device)?;
    let judge = studio.judge()?;
    let reference = studio.reference(&judge).await?;
    let images = studio.test_images(studio.count, &model.asked(None, 1.0)?)?;
    let training_images = studio.training_images()?;
    let training = references(&training_images, &model)?;
    let mut levels: Vec<Value> = Vec::new();
    for sigma in LEVELS {
        let Some(found) = at_level(studio, &model, &images, &training, sigma).await? else { continue };
        let verdicts = judge.verdicts(&found.returned).await?;
        let row = reference.row(&studio.model, None, found.nfe, &verdicts)?;
        levels.push(json!({
            "sigma": sigma, "rmse": found.of_model, "rmse_of_training_images": found.of_training_images,
            "frechet": row.quality.frechet, "recognised": row.quality.recognised, "nfe": found.nfe,
        }));
    }
    let untouched = judge.verdicts(&images.to_unit()).await?;
    let untouched = reference.row("real images", None, 0, &untouched)?.quality;
    let of = |entry: &Value, field: &str| entry[field].as_f64().unwrap_or(f64::NAN);
    let line = |k: usize, label: &str, value: &dyn Fn(&Value) -> f64| Series {
        label: label.into(),
        points: levels.iter().map(|entry| (of(entry, "sigma"), value(entry))).collect(),
        colour: PALETTE[k],
        mark: Mark::Dotted,
    };
    let panel = |title: &str, log: bool, series: Vec<Series>| {
        let values = series.iter().flat_map(|series| &series.points).map(|(_, y)| *y);
        let most = values.clone().fold(0.0, f64::max);
        // Room for the legend above the lines, which rise to the right.
        let room = if log { [3.0 * most, most] } else { [1.4 * most, 0.0] };
        let y = Axis::around("", values.chain(room), log);
        let x = Axis::around("noise", levels.iter().map(|entry| of(entry, "sigma")), true);
        Chart { title: title.into(), size: [500, 400], x, y, series }.draw()
    };
    let errors = vec![
        line(0, "model", &|entry| of(entry, "rmse")),
        line(1, "training images", &|entry| of(entry, "rmse_of_training_images")),
    ];
    let distances = vec![
        line(1, "the images themselves", &|_| untouched.frechet),
        line(0, "led back by the model", &|entry| of(entry, "frechet")),
    ];
    let picture = Picture::beside(&[
        panel("Error of the denoised image (rms)", true, errors)?,
        panel("Fréchet distance from there on", false, distances)?,
    ]);
    let numbers = json!({
        "model": studio.model, "images": images.len(), "training_images": training_images.len(),
        "frechet_of_the_images": untouched.frechet, "recognised_of_the_images": untouched.recognised, "levels": levels,
    });
    Ok(Outcome::Made(Figure { picture, numbers }))
}

/// Images in main memory, and their classes if the model knows them.
fn references(images: &ImageSet, model: &LoadedModel) -> Result<References> {
    let (classes, [c, h, w]) = (classes(images, model)?.unwrap_or_default(), images.shape());
    Ok(References::new(upload(&images.to_unit(), [images.len(), c, h, w], &Device::flex()), classes))
}

/// The class of each image, where the model knows it.
fn classes(images: &ImageSet, model: &LoadedModel) -> Result<Option<Vec<usize>>> {
    match (&images.labels, model.classes()) {
        (_, 0) => Ok(None),
        (Some(labels), n) if labels.iter().all(|label| usize::from(*label) < n) => {
            Ok(Some(labels.iter().map(|label| usize::from(*label)).collect()))
        }
        (_, n) => {
            let problem = format!("has not the {n} classes of the model");
            Err(Error::config("--dataset", problem, "use the data set that the model is of"))
        }
    }
}

/// What there is of images behind noise of one level.
struct Found {
    of_model: f64,
    of_training_images: f64,
    /// What the ODE makes of the noisy images, `[n, c, h, w]` in `[0, 1]`.
    returned: Vec<f32>,
    nfe: usize,
}

/// `images` behind noise of this deviation; nothing for a level that the model does not know.
async fn at_level(
    studio: &Studio,
    model: &LoadedModel,
    images: &ImageSet,
    training: &References,
    sigma: f64,
) -> Result<Option<Found>> {
    let labels = classes(images, model)?;
    let (clean, [c, h, w]) = (images.to_unit(), images.shape());
    let noise = Noise::new(studio.seed).domain(Domain::Corruption).normal(0, images.len(), c * h * w);
    let noisy: Vec<f32> = clean.iter().zip(&noise).map(|(x, z)| x + sigma as f32 * z).collect();
    let (mut by_model, mut by_training, mut returned, mut nfe) = (vec![], vec![], vec![], 0);
    for first in (0..images.len()).step_by(BATCH) {
        let n = BATCH.min(images.len() - first);
        let noisy = |device: &Device| -> Tensor<4> {
            upload(&noisy[first * c * h * w..(first + n) * c * h * w], [n, c, h, w], device)
        };
        let told: Option<&[usize]> = labels.as_ref().map(|labels| &labels[first..first + n]);
        let asked = model.asked(told, 1.0)?;
        if !control::known_noise(&asked).contains(&sigma) {
            return Ok(None);
        }
        let behind = control::denoise(asked, noisy(&studio.device), sigma)?;
        let start = behind.prior(Tensor::zeros([n, c, h, w], &studio.device));
        by_model.extend(read(behind.pixels(behind.denoised(start, &[1.0]))).await?);
        let told: Vec<_> = told.unwrap_or_default().iter().copied().map(Some).collect();
        by_training.extend(read(training.mean(None, noisy(&Device::flex()), &vec![sigma; n], &told)).await?);
        let noise = Noise::new(studio.seed).at(first as u32);
        let solution = Sampler::named("heun")?.sample(&behind, &noise, n, &mut studio.run()).await?;
        returned.extend(read(solution.images).await?);
        nfe = solution.nfe;
    }
    let [of_model, of_training_images] = [by_model, by_training].map(|found| rms_difference(&found, &clean));
    Ok(Some(Found { of_model, of_training_images, returned, nfe }))
}
