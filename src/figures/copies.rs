use rayon::prelude::*;
use serde_json::json;

use super::studio::grid;
use super::{Figure, Outcome, Studio};
use crate::images::{ImageSet, mirror};
use crate::sampler::Sampler;
use crate::{Error, Result};

/// Samples that are shown, in rows of so many.
const SHOWN: usize = 24;
const COLUMNS: usize = 12;

/// Share of the held-out images that are as near to a training image as what counts as a copy here.
const NEAR: f64 = 0.05;

/// Whether a model invents or remembers: samples, and below each the training image that is nearest to it, by the root mean
/// squared difference of pixels, as it is or mirrored, since training may mirror.
///
/// Held-out images say what is near: a model that invents has a share of [`NEAR`] of its samples as near to a training image
/// as the nearest [`NEAR`] of them, one that remembers has more.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let model = studio.open(&studio.model)?;
    let (training, held_out) = (studio.training_images()?, studio.test_images(usize::MAX, &model)?);
    let Some(sampler) = Sampler::usual_for(model.learned) else {
        return Err(Error::config("--model", "draws nothing", "name a model that does"));
    };
    let (drawn, nfe) = studio.draw(&model, &sampler, studio.count).await?;
    let of_samples: Vec<_> = drawn.chunks_exact(model.dim()).map(|image| nearest(image, &training)).collect();
    // Spread over the whole set, whose neighbours are often alike.
    let n = studio.count.min(held_out.len());
    let spread = (0..n).map(|i| held_out.image(i * held_out.len() / n));
    let spread = spread.map(|image| image.iter().map(|byte| f32::from(*byte) / 255.0).collect::<Vec<_>>());
    let of_held_out: Vec<_> = spread.map(|image| nearest(&image, &training).1).collect();

    let near = quantile(&of_held_out, NEAR);
    let distances: Vec<f64> = of_samples.iter().map(|(_, distance)| *distance).collect();
    let copies = distances.iter().filter(|distance| **distance < near).count();
    let numbers = json!({
        "model": studio.model, "sampler": sampler, "nfe": nfe, "samples": distances.len(),
        "training_images": training.len(), "held_out_images": of_held_out.len(),
        "near": near, "share_near_of_held_out": NEAR,
        "share_near_of_samples": copies as f64 / distances.len() as f64,
        "median_distance_of_samples": quantile(&distances, 0.5),
        "median_distance_of_held_out": quantile(&of_held_out, 0.5),
        "least_distance_of_samples": quantile(&distances, 0.0),
    });
    let shown = SHOWN.min(of_samples.len());
    let rows = (0..shown).step_by(COLUMNS).flat_map(|first| {
        let (last, dim) = (shown.min(first + COLUMNS), model.dim());
        let found = of_samples[first..last].iter().flat_map(|(i, _)| training.image(*i));
        let found = found.map(|byte| f32::from(*byte) / 255.0);
        // A row that is not full would shift the next one.
        let full = |row: Vec<f32>| row.into_iter().chain(std::iter::repeat(1.0)).take(COLUMNS * dim);
        full(drawn[first * dim..last * dim].to_vec()).chain(full(found.collect()))
    });
    Ok(Outcome::Made(Figure { picture: grid(&model, &rows.collect::<Vec<_>>(), COLUMNS, 2)?, numbers }))
}

/// The place of the nearest of `images` and of their mirror images, and its distance.
fn nearest(image: &[f32], images: &ImageSet) -> (usize, f64) {
    let bytes: Vec<f32> = image.iter().map(|value| 255.0 * value).collect();
    let mut mirrored = bytes.clone();
    mirror(&mut mirrored, images.width);
    let square = |i: usize| {
        let to = |bytes: &[f32]| -> f32 {
            images.image(i).iter().zip(bytes).map(|(a, b)| (f32::from(*a) - b).powi(2)).sum()
        };
        to(&bytes).min(to(&mirrored))
    };
    let all = (0..images.len()).into_par_iter().map(|i| (i, square(i)));
    let (i, square) = all.reduce(|| (0, f32::INFINITY), |a, b| if b.1 < a.1 { b } else { a });
    (i, (f64::from(square) / bytes.len() as f64).sqrt() / 255.0)
}

/// The value below which a share of them lies.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((share * sorted.len() as f64) as usize).min(sorted.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_image_is_found_with_its_distance() {
        let images = crate::data::synthetic::digits_like(20, 12, 0);
        let image =
            |i: usize| images.image(i).iter().map(|byte| f32::from(*byte) / 255.0).collect::<Vec<_>>();
        let mut mirrored = image(13);
        mirror(&mut mirrored, 12);
        for image in [image(13), mirrored] {
            let (place, distance) = nearest(&image, &images);
            assert!(place == 13 && distance < 1e-6, "{place}, {distance}");
        }
        // A tenth of the range in every pixel, away from what clips it.
        let moved: Vec<f32> = image(13).iter().map(|v| if *v > 0.5 { v - 0.1 } else { v + 0.1 }).collect();
        let (place, distance) = nearest(&moved, &images);
        assert!(place == 13 && (distance - 0.1).abs() < 1e-5, "{place}, {distance}");
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let values = [3.0, 1.0, 2.0, 5.0, 4.0];
        assert_eq!([0.0, 0.05, 0.5, 1.0].map(|share| quantile(&values, share)), [1.0, 1.0, 3.0, 5.0]);
    }
}
