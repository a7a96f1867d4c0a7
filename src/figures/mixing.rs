use serde_json::json;

use super::plane::{LEVELS, two_modes};
use super::{Figure, Outcome, Studio};
use crate::Result;
use crate::estimate::Estimate;
use crate::images::DataRange;
use crate::model::ScoreModel;
use crate::picture::chart::{Axis, Chart, Mark, PALETTE, Series};
use crate::sampler::{AnnealedLangevin, Langevin, Sampler};
use crate::sde::{AnySde, VeSde};

/// Evaluations that a sampler is given.
const BUDGETS: [usize; 7] = [10, 30, 100, 300, 1000, 3000, 10_000];

/// The sides of the squares in which Langevin dynamics starts: half of the one is nearer to the small mode, and a twelfth of
/// the other.
const STARTS: [[f64; 2]; 2] = [[-1.5, 1.5], [-1.5, 4.0]];

/// The noise level of Langevin dynamics: the modes are ten deviations apart.
const LEVEL: f64 = 0.1;

/// The weight that a mode of one fifth gets, by the number of steps: Langevin dynamics from two starts, and annealed Langevin
/// dynamics, with exact scores.
///
/// From a mode to the other there is no way through the empty middle, so the weight is that of the start and stays so.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let target = two_modes()?;
    let [sigma_max, sigma_min] = LEVELS;
    let sde = AnySde::from(VeSde { sigma_min, sigma_max, ..VeSde::default() });
    let n = 5 * studio.count;
    let (mut series, mut numbers) = (vec![], vec![]);
    for (i, start) in STARTS.into_iter().map(Some).chain([None]).enumerate() {
        let name = match start {
            Some([low, high]) => format!("Langevin from [{low}, {high}]²"),
            None => "annealed Langevin".into(),
        };
        let [low, high] = start.unwrap_or([-1.0, 1.0]);
        let range = DataRange { low, high };
        let mut weights = vec![];
        for nfe in BUDGETS.into_iter().filter(|nfe| *nfe <= 100 * studio.count) {
            let sampler = match start {
                Some(_) => Sampler::Langevin(langevin(nfe)),
                None => Sampler::AnnealedLangevin(annealed(nfe)),
            };
            let model = ScoreModel::new(Box::new(target.clone()), sde, range, [2, 1, 1], &studio.device);
            let (pixels, nfe) = studio.draw(&model, &sampler, n).await?;
            let unit = |v: f32| low + f64::from(v) * (high - low);
            let below = pixels.chunks_exact(2).map(|x| f64::from(u8::from(unit(x[0]) + unit(x[1]) < 0.0)));
            weights.push((nfe, Estimate::of(below)));
        }
        let points = |offset: f64| {
            let point =
                |(nfe, weight): &(usize, Estimate)| (*nfe as f64, weight.mean + offset * weight.error);
            weights.iter().map(point).collect()
        };
        let colour = PALETTE[i];
        series.push(Series { label: name.clone(), points: points(0.0), colour, mark: Mark::Dotted });
        for offset in [-2.0, 2.0] {
            series.push(Series { label: String::new(), points: points(offset), colour, mark: Mark::Faint });
        }
        numbers.push(json!({ "sampler": name, "weights": weights }));
    }
    let exact = BUDGETS.map(|nfe| (nfe as f64, target.weights()[0])).to_vec();
    series.push(Series { label: "exact".into(), points: exact, colour: PALETTE[6], mark: Mark::Line });
    let picture = Chart {
        title: "The weight of a mode that has 1/5".into(),
        size: [720, 480],
        x: Axis::around("evaluations", BUDGETS.into_iter().map(|nfe| nfe as f64), true),
        y: Axis { label: "weight (and two standard errors)".into(), range: [0.0, 0.8], log: false },
        series,
    }
    .draw()?;
    let numbers = json!({ "samples": n, "exact": target.weights()[0], "weights": numbers });
    Ok(Outcome::Made(Figure { picture, numbers }))
}

fn langevin(nfe: usize) -> Langevin {
    Langevin { n_steps: nfe, sigma: LEVEL, step_size: 0.5, ..Langevin::default() }
}

/// Annealed Langevin dynamics of so many evaluations, the last for the denoising: up to ten steps at each level.
fn annealed(nfe: usize) -> AnnealedLangevin {
    let n_steps_each = (nfe / 10).clamp(1, 10);
    AnnealedLangevin { n_steps: (nfe - 1) / n_steps_each, n_steps_each, ..AnnealedLangevin::default() }
}
