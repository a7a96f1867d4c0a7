use serde_json::json;

use super::{Figure, Outcome, Studio};
use crate::Result;
use crate::ops::{combine, dot, read};
use crate::picture::chart::{Axis, Chart, Mark, PALETTE, Series};
use crate::rng::{Domain, Noise};

/// Noise levels at which a score is measured.
const LEVELS: usize = 12;

/// The length of the learned score over the noise level (Song and Ermon 2019, section 4.2): about `sqrt(D)/sigma`, whatever
/// the network, which is why NCSN weighs its levels by `sigma²` and NCSNv2 divides a network that knows no level by `sigma`.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let (mut series, mut numbers) = (vec![], vec![]);
    for (i, name) in [&studio.model, &studio.second].into_iter().enumerate() {
        let model = studio.open(name)?;
        let images = studio.test_images(studio.count.min(64), &model)?;
        let pixels: Vec<f32> = images.pixels.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let x0 = model.range.encode(model.upload(&pixels));
        let noise = Noise::new(studio.seed).domain(Domain::Data).normal(0, images.len(), model.dim());
        let z = model.upload(&noise);
        let unit = model.range.high - model.range.low;
        let [most, least] = [1.0, model.sde.sampling_eps()].map(|t| model.sde.sigma(t));
        let (mut points, least) = (vec![], least.max(0.01 * unit));
        for k in 0..LEVELS {
            let sigma = most * (least / most).powf(k as f64 / (LEVELS - 1) as f64);
            let t = model.sde.time_of_sigma(sigma);
            let (mean, std) = model.sde.marginal_prob(t);
            let score = model.score(combine(&[(x0.clone(), &[mean]), (z.clone(), &[std])]), &[t]);
            let squares = read(dot(score.clone(), score)).await?;
            // Of the state before it was scaled down, in pixel values: the same for all diffusions.
            let length = squares.iter().map(|s| f64::from(*s)).sum::<f64>() / squares.len() as f64;
            points.push((sigma / unit, length.sqrt() * mean * unit));
        }
        let log = |(sigma, length): &(f64, f64)| (sigma.ln(), length.ln());
        let (first, last) = (log(&points[0]), log(&points[LEVELS - 1]));
        numbers.push(json!({
            "model": name, "slope": (last.1 - first.1) / (last.0 - first.0), "lengths": points,
        }));
        series.push(Series { label: name.clone(), points, colour: PALETTE[i], mark: Mark::Dotted });
    }
    let sigmas = || series.iter().flat_map(|series: &Series| &series.points).map(|(sigma, _)| *sigma);
    let dim = studio.open(&studio.model)?.dim() as f64;
    let law = [sigmas().fold(f64::MAX, f64::min), sigmas().fold(0.0, f64::max)];
    let law = Series {
        label: "sqrt(D)/sigma".into(),
        points: law.map(|sigma| (sigma, dim.sqrt() / sigma)).to_vec(),
        colour: PALETTE[6],
        mark: Mark::Line,
    };
    let lengths = || series.iter().flat_map(|series| &series.points).map(|(_, length)| *length);
    let (x, y) = (
        Axis::around("noise level, in pixel values", sigmas(), true),
        Axis::around("length of the score", lengths(), true),
    );
    let title = "The score's length falls as 1/sigma".into();
    let picture = Chart { title, size: [640, 480], x, y, series: [vec![law], series].concat() }.draw()?;
    Ok(Outcome::Made(Figure { picture, numbers: json!({ "models": numbers }) }))
}
