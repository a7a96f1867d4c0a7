use serde_json::{Value, json};

use super::{Figure, Outcome, Studio};
use crate::learning::Fit;
use crate::model::PreconditioningChoice;
use crate::network::{MlpConfig, NetworkConfig, UNetConfig};
use crate::objective::{Ssm, SsmVr};
use crate::picture::Picture;
use crate::picture::chart::{Axis, Chart, Mark, PALETTE, Series};
use crate::rng::{Domain, Noise};
use crate::sde::VeSde;
use crate::{Error, Result};

/// Noise that is added to the data; none, and what no eye sees.
const NOISES: [f64; 4] = [0.0, 1e-3, 1e-2, 1e-1];

/// Steps of the trainings, for each sample behind a number.
const STEPS_OF_POINTS: usize = 20;
const STEPS_OF_IMAGES: usize = 3;

/// Where the data fill no volume the score is not defined, and score matching does not settle (Song and Ermon 2019, figure
/// 1 and section 3.2.1): the loss of sliced score matching on a line in the plane, a rolled sheet in space, and images,
/// without noise and with some.
///
/// With noise `sigma` across `k` of `d` dimensions the least loss is about `-k/(2·d·sigma²)`; without any there is none.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let images = studio.training_images()?;
    let [c, h, w] = images.shape();
    let image_fit = |sigma| {
        let network = UNetConfig {
            channels: 16,
            multipliers: vec![1, 2],
            blocks: 1,
            attention_levels: vec![],
            ..UNetConfig::default()
        };
        fit(sigma, network.into(), [c, h, w], [STEPS_OF_IMAGES * studio.count, 32], studio)
    };
    let point_fit = |sigma, d| {
        fit(sigma, MlpConfig::default().into(), [d, 1, 1], [STEPS_OF_POINTS * studio.count, 256], studio)
    };
    let pixels = |step: usize| -> Vec<f32> {
        let image = |k: usize| images.image((32 * step + k) % images.len()).iter();
        (0..32).flat_map(image).map(|byte| f32::from(*byte) / 255.0).collect()
    };
    let (mut panels, mut numbers) = (vec![], vec![]);
    for (name, across) in [("A line in the plane", 0.5), ("A roll in space", 1.0 / 3.0), ("Images", 1.0)] {
        let (mut series, mut found) = (vec![], vec![]);
        for (i, sigma) in NOISES.into_iter().enumerate() {
            if studio.cancel.is_cancelled() {
                return Err(Error::Cancelled { step: 0 });
            }
            let device = &studio.device;
            let losses = match name {
                "Images" => image_fit(sigma).run(|step| Ok(pixels(step)), device).await?.1,
                "A line in the plane" => {
                    point_fit(sigma, 2).run(|step| Ok(line(studio, step)), device).await?.1
                }
                _ => point_fit(sigma, 3).run(|step| Ok(roll(studio, step)), device).await?.1,
            };
            let least = (sigma > 0.0 && name != "Images").then(|| -0.5 * across / (sigma * sigma));
            found.push(json!({
                "noise": sigma, "least": least, "mean_of_last_tenth": mean(&losses[losses.len() * 9 / 10..]),
                "of_it_in_the_last_half": of_last_half(&losses),
            }));
            series.push(Series {
                label: format!("noise {sigma}"),
                points: means(&losses),
                colour: PALETTE[i],
                mark: Mark::Line,
            });
        }
        panels.push(panel(name, series)?);
        numbers.push(json!({ "data": name, "losses": found }));
    }
    Ok(Outcome::Made(Figure { picture: Picture::beside(&panels), numbers: Value::Array(numbers) }))
}

fn fit(
    sigma: f64,
    network: NetworkConfig,
    shape: [usize; 3],
    [steps, batch]: [usize; 2],
    studio: &Studio,
) -> Fit {
    Fit {
        objective: SsmVr(Ssm { sigma, ..Ssm::default() }).into(),
        network,
        sde: VeSde { sigma_min: 1e-3, sigma_max: 1.0, ..VeSde::default() }.into(),
        preconditioning: PreconditioningChoice::Score,
        sigma_data: 0.5,
        shape,
        steps,
        batch,
        learning_rate: 1e-3,
        seed: studio.seed,
    }
}

fn uniform(studio: &Studio, step: usize) -> Vec<f32> {
    Noise::new(studio.seed).domain(Domain::Data).at((256 * step) as u32).uniform(0, 256, 2)
}

/// Points of a line from (-1, -0.5) to (1, 0.5).
fn line(studio: &Studio, step: usize) -> Vec<f32> {
    uniform(studio, step).chunks_exact(2).map(|u| 2.0 * u[0] - 1.0).flat_map(|x| [x, 0.5 * x]).collect()
}

/// Points of a sheet that is rolled up one and a half times.
fn roll(studio: &Studio, step: usize) -> Vec<f32> {
    let point = |u: &[f32]| {
        let turn = std::f32::consts::TAU * (0.3 + 1.2 * u[0]);
        let radius = turn / (1.5 * std::f32::consts::TAU);
        [radius * turn.cos(), radius * turn.sin(), 2.0 * u[1] - 1.0]
    };
    uniform(studio, step).chunks_exact(2).flat_map(point).collect()
}

fn mean(losses: &[f64]) -> f64 {
    losses.iter().sum::<f64>() / losses.len() as f64
}

/// Means of forty stretches, as the negative of the loss: it falls below zero.
fn means(losses: &[f64]) -> Vec<(f64, f64)> {
    let stretch = losses.len().div_ceil(40);
    let point = |(i, part): (usize, &[f64])| (((i as f64) + 0.5) * stretch as f64, -mean(part));
    losses.chunks_exact(stretch).enumerate().map(point).filter(|(_, y)| *y > 0.0).collect()
}

/// How much of the whole way the loss went in the last half.
fn of_last_half(losses: &[f64]) -> f64 {
    let tenth = (losses.len() / 10).max(1);
    let at = |i: usize| mean(&losses[i * tenth..(i + 1) * tenth]);
    (at(9) - at(4)) / at(9)
}

fn panel(title: &str, series: Vec<Series>) -> Result<Picture> {
    let points = || series.iter().flat_map(|series| &series.points);
    let (x, mut y) = (
        Axis::around("step", points().map(|(x, _)| *x), false),
        Axis::around("negative loss", points().map(|(_, y)| *y), true),
    );
    y.range[1] *= 20.0; // room for the legend
    Chart { title: title.into(), size: [480, 460], x, y, series }.draw()
}
