use std::time::Instant;

use serde_json::{Value, json};

use super::plane::{LEVELS, MODE, fisher_divergence, fit, two_modes};
use super::{Figure, Outcome, Studio};
use crate::Result;
use crate::objective::{Loss, Objective};
use crate::picture::Picture;
use crate::picture::chart::{Axis, Chart, Mark, PALETTE, Series};

/// Steps of each training, for each sample behind a number.
const STEPS: usize = 20;

/// The noise level of the objectives that learn one.
const LEVEL: f64 = 0.2;

/// Noise levels at which what was learned is compared with the truth.
const COMPARED: usize = 9;

/// What every objective of scores learns in the plane: the error of the score at each noise level, after some training of a
/// perceptron on two modes of which one has a fifth of the points. Objectives of one level learn that, the others all.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let (target, steps) = (two_modes()?, STEPS * studio.count);
    let [most, least] = LEVELS;
    let levels: Vec<f64> =
        (0..COMPARED).map(|i| least * (most / least).powf(i as f64 / (COMPARED - 1) as f64)).collect();
    let (mut numbers, mut panels) = (vec![], [vec![], vec![]]);
    for mut objective in Objective::of_scores() {
        let one_level = objective.sigma().map(|sigma| *sigma = LEVEL).is_some();
        let training = fit(studio, objective, steps);
        let began = Instant::now();
        let (model, losses) = training.run_on(&target, &studio.device).await?;
        let ms = began.elapsed().as_secs_f64() * 1000.0 / steps as f64;
        let mut errors = vec![];
        for sigma in &levels {
            errors.push((*sigma, fisher_divergence(&model, &target, *sigma, studio).await?));
        }
        let at = fisher_divergence(&model, &target, LEVEL, studio).await?;
        let last = losses[steps - steps / 10..].iter().sum::<f64>() / (steps / 10) as f64;
        numbers.push(json!({
            "objective": objective, "one_level": one_level, "ms_per_step": ms, "loss": last,
            "error_at_level": at, "errors": errors,
        }));
        let panel: &mut Vec<Series> = &mut panels[usize::from(one_level)];
        let colour = PALETTE[panel.len() % PALETTE.len()];
        panel.push(Series { label: objective.name().into(), points: errors, colour, mark: Mark::Dotted });
    }
    let [all, one] = panels;
    let picture = Picture::beside(&[
        panel("Objectives of all noise levels", all)?,
        panel(&format!("Objectives of one level, {LEVEL}"), one)?,
    ]);
    let numbers: Value = json!({
        "steps": steps, "batch": 256, "level": LEVEL, "mode": MODE, "objectives": numbers,
    });
    Ok(Outcome::Made(Figure { picture, numbers }))
}

fn panel(title: &str, series: Vec<Series>) -> Result<Picture> {
    let y = Axis { label: "squared error over squared score".into(), range: [1e-5, 100.0], log: true };
    let x = Axis { label: "noise level".into(), range: [LEVELS[1], LEVELS[0]], log: true };
    Chart { title: title.into(), size: [560, 480], x, y, series }.draw()
}
