use serde_json::json;

use super::{Figure, Outcome, Studio};
use crate::Result;
use crate::estimate::Estimate;
use crate::images::DataRange;
use crate::model::ScoreModel;
use crate::picture::Picture;
use crate::picture::chart::{Axis, Chart, Mark, PALETTE, Series};
use crate::rng::Noise;
use crate::sampler::{AnnealedLangevin, Langevin, Sampler};
use crate::sde::{AnySde, VeSde};
use crate::toy::{Toy, points};

/// Half the side of the square that is shown, and in which Langevin dynamics starts.
const HALF: f64 = 8.0;

/// Points that a panel shows.
const SHOWN: usize = 500;

/// Langevin dynamics gets the weights of distant modes wrong, annealed Langevin dynamics does not (Song and
/// Ermon 2019, figure 3): 1/5 and 4/5 at (-5, -5) and (5, 5), exact scores, a thousand steps each.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let mixture = Toy::TwoModes.mixture()?;
    let weights = mixture.weights();
    let sde = AnySde::from(VeSde { sigma_min: 0.1, sigma_max: 20.0, ..VeSde::default() });
    let range = DataRange { low: -HALF, high: HALF };
    let n = 10 * studio.count;
    let drawn = mixture.sample(&Noise::new(studio.seed), n, 0.0);
    let exact = points(&drawn);
    let model = ScoreModel::new(Box::new(mixture), sde, range, [2, 1, 1], &studio.device);

    let single = Langevin { n_steps: 1000, sigma: 0.3, step_size: 0.5, ..Langevin::default() };
    let annealed =
        AnnealedLangevin { n_steps: 20, n_steps_each: 50, step_size: 0.1, ..AnnealedLangevin::default() };

    let mut panels = vec![panel("exact", &exact)?];
    let mut numbers = json!({ "samples": n, "exact_weight": weights[0], "exact_samples": weight(&exact) });
    for (name, sampler) in
        [("langevin", Sampler::Langevin(single)), ("annealed", Sampler::AnnealedLangevin(annealed))]
    {
        let (values, nfe) = studio.draw(&model, &sampler, n).await?;
        let points: Vec<[f64; 2]> = values
            .chunks_exact(2)
            .map(|point| [point[0], point[1]].map(|v| f64::from(v) * 2.0 * HALF - HALF))
            .collect();
        panels.push(panel(sampler.info().title, &points)?);
        numbers[name] = json!({ "weight": weight(&points), "nfe": nfe, "sampler": sampler });
    }
    Ok(Outcome::Made(Figure { picture: Picture::beside(&panels), numbers }))
}

/// The share of points nearer to the first mode, below the diagonal through the origin.
fn weight(points: &[[f64; 2]]) -> Estimate {
    Estimate::of(points.iter().map(|[x, y]| f64::from(u8::from(x + y < 0.0))))
}

fn panel(title: &str, points: &[[f64; 2]]) -> Result<Picture> {
    let axis = |label: &str| Axis { label: label.into(), range: [-HALF, HALF], log: false };
    let shown = points.iter().take(SHOWN).map(|[x, y]| (*x, *y)).collect();
    let series = Series { label: String::new(), points: shown, colour: PALETTE[0], mark: Mark::Cloud };
    let share = 100.0 * weight(points).mean;
    let title = format!("{title}: {share:.1} % below");
    Chart { title, size: [420, 420], x: axis("x"), y: axis("y"), series: vec![series] }.draw()
}
