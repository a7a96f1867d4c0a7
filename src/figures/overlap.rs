use serde_json::json;

use super::{Figure, Outcome, Studio};
use crate::Result;
use crate::picture::Picture;
use crate::picture::chart::{Axis, Chart, Mark, PALETTE, Series};
use crate::rng::{Domain, Noise};
use crate::sde::{NoiseSchedule, overlap};

/// Ratios of neighbouring levels.
const RATIOS: [f64; 4] = [1.01, 1.04, 1.1, 1.6];

/// Values of a 32x32 colour image.
const DIM: usize = 3072;

/// Neighbouring noise levels in many dimensions (Song and Ermon 2020, figure 2 and technique 2): the distances of noise from
/// the data for several ratios `gamma`, which lie in shells, and how far neighbours overlap.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let noise = Noise::new(studio.seed).domain(Domain::Data).normal(0, 20 * studio.count, DIM);
    let radii: Vec<f64> =
        noise.chunks_exact(DIM).map(|z| z.iter().map(|z| f64::from(z * z)).sum::<f64>().sqrt()).collect();
    let mut shells = vec![shell("sigma", &radii, 1.0, 6)];
    let mut numbers = vec![];
    for (i, gamma) in RATIOS.into_iter().enumerate() {
        shells.push(shell(&format!("{gamma}·sigma"), &radii, gamma, i));
        numbers.push(json!({ "gamma": gamma, "overlap": overlap(gamma, DIM) }));
    }
    let shells = Chart {
        title: format!("Noise in {DIM} dimensions lies in shells"),
        size: [560, 460],
        x: Axis { label: "distance from the data, in sigma".into(), range: [52.0, 94.0], log: false },
        y: Axis { label: "density".into(), range: [0.0, 0.65], log: false },
        series: shells,
    };
    let curve = |(i, dim): (usize, usize)| {
        let point = |j: i32| {
            let gamma = 1.0 + 0.2 * (f64::from(j) / 200.0).powi(2);
            (gamma, overlap(gamma, dim))
        };
        let label = format!("{dim} values");
        Series { label, points: (0..=200).map(point).collect(), colour: PALETTE[i], mark: Mark::Line }
    };
    let curves = [2, 784, DIM, 196_608].into_iter().enumerate().map(curve);
    let half = Series {
        label: "NCSNv2 asks for one half".into(),
        points: vec![(1.0, 0.5), (1.2, 0.5)],
        colour: PALETTE[6],
        mark: Mark::Faint,
    };
    let overlaps = Chart {
        title: "Overlap of neighbouring levels".into(),
        size: [560, 460],
        x: Axis { label: "ratio of the levels".into(), range: [1.0, 1.2], log: false },
        y: Axis { label: "overlap".into(), range: [0.0, 1.3], log: false },
        series: curves.chain([half]).collect(),
    };
    let picture = Picture::beside(&[shells.draw()?, overlaps.draw()?]);
    let cifar = NoiseSchedule::overlapping(0.5, DIM, 50.0, 0.01)?;
    Ok(Outcome::Made(Figure { picture, numbers: json!({ "dim": DIM, "ratios": numbers, "cifar10": cifar }) }))
}

/// The density of the distances of noise that is `scale` times as large.
fn shell(label: &str, radii: &[f64], scale: f64, colour: usize) -> Series {
    const BINS: usize = 16;
    let (low, high) =
        radii.iter().fold((f64::MAX, 0.0_f64), |(l, h), r| (l.min(scale * r), h.max(scale * r)));
    let width = (high - low) / BINS as f64;
    let mut counts = [0; BINS];
    radii.iter().for_each(|r| counts[(((scale * r - low) / width) as usize).min(BINS - 1)] += 1);
    let point = |(i, count): (usize, i32)| {
        (low + (i as f64 + 0.5) * width, f64::from(count) / (radii.len() as f64 * width))
    };
    let points = counts.into_iter().enumerate().map(point).collect();
    Series { label: label.into(), points, colour: PALETTE[colour], mark: Mark::Line }
}
