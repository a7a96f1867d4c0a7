use serde_json::json;

use super::plane::{MODE, fit, two_modes};
use super::{Figure, Outcome, Studio};
use crate::Result;
use crate::lab::measure::{relative_error, score};
use crate::objective::{Ssm, SsmVr};
use crate::picture::Picture;
use crate::picture::chart::{Axis, Chart, Mark, PALETTE, Series};
use crate::rng::Noise;

/// Steps of the training, for each sample behind a number.
const STEPS: usize = 30;

/// Noise so small that it changes nothing to be seen.
const LEVEL: f64 = 0.05;

/// Half the side of what is shown, arrows on a side, and the length of the longest.
const HALF: f64 = 1.6;
const ARROWS: usize = 15;
const LONGEST: f64 = 0.2;

/// Score matching learns nothing where there are no data (Song and Ermon 2019, figure 2): the true score of two modes, the
/// one that sliced score matching has learned, and the error of that with some of the points it was trained on.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let target = two_modes()?;
    let objective = SsmVr(Ssm { sigma: LEVEL, ..Ssm::default() });
    let (model, _) =
        fit(studio, objective.into(), STEPS * studio.count).run_on(&target, &studio.device).await?;
    let place = |i: usize| HALF * (2.0 * (i as f64 + 0.5) / ARROWS as f64 - 1.0);
    let grid: Vec<[f64; 2]> = (0..ARROWS * ARROWS).map(|i| [place(i % ARROWS), place(i / ARROWS)]).collect();
    let truth: Vec<[f64; 2]> =
        grid.iter().map(|x| target.score(x, LEVEL)).map(|score| [score[0], score[1]]).collect();
    let found = score(&model, &grid, LEVEL).await?;
    let error: Vec<[f64; 2]> = found.iter().zip(&truth).map(|(a, b)| [a[0] - b[0], a[1] - b[1]]).collect();
    let points = target.sample(&Noise::new(studio.seed + 1), 5 * studio.count, LEVEL);
    let points = points.chunks_exact(2).map(|x| (x[0], x[1])).collect();
    let cloud = Series { label: String::new(), points, colour: PALETTE[4], mark: Mark::Cloud };

    let picture = Picture::beside(&[
        panel("True score", &grid, &truth, vec![])?,
        panel("Learned score", &grid, &found, vec![])?,
        panel("Error, and the data", &grid, &error, vec![cloud])?,
    ]);
    let share = |inside: bool| {
        let near = |x: &[f64; 2]| {
            let to = |m: f64| (x[0] - m).hypot(x[1] - m);
            to(1.0).min(to(-1.0)) < 3.0 * MODE
        };
        let chosen = grid.iter().zip(&found).filter(|(x, _)| near(x) == inside);
        let (places, found): (Vec<[f64; 2]>, Vec<[f64; 2]>) = chosen.unzip();
        relative_error(&places, &found, &target, LEVEL).map(f64::sqrt)
    };
    let numbers = json!({
        "steps": STEPS * studio.count, "sigma": LEVEL, "objective": "ssm_vr",
        "relative_error": { "within_three_deviations_of_a_mode": share(true), "elsewhere": share(false) },
    });
    Ok(Outcome::Made(Figure { picture, numbers }))
}

/// Arrows at `places`, the longest of fixed length, over `below`.
fn panel(title: &str, places: &[[f64; 2]], arrows: &[[f64; 2]], below: Vec<Series>) -> Result<Picture> {
    // Lengths by their root: the score grows with the distance, and the middle is what counts.
    let length = |v: &[f64; 2]| v[0].hypot(v[1]);
    let longest = arrows.iter().map(length).fold(0.0, f64::max);
    let heads = places.iter().zip(arrows).flat_map(|(place, arrow)| {
        let size = LONGEST * (length(arrow) / longest).sqrt() / length(arrow).max(1e-9);
        [(place[0], place[1]), (place[0] + size * arrow[0], place[1] + size * arrow[1])]
    });
    let axis = |label: &str| Axis { label: label.into(), range: [-HALF, HALF], log: false };
    let arrows =
        Series { label: String::new(), points: heads.collect(), colour: PALETTE[0], mark: Mark::Arrows };
    let series = below.into_iter().chain([arrows]).collect();
    Chart { title: title.into(), size: [440, 440], x: axis("x"), y: axis("y"), series }.draw()
}
