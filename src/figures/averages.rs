use serde_json::json;

use super::plane::{fisher_divergence, fit, two_modes};
use super::{Figure, Outcome, Studio};
use crate::Result;
use crate::learning::{PowerAverage, Snapshot};
use crate::objective::DsmAnnealed;
use crate::picture::chart::{Axis, Chart, Mark, PALETTE, Series};

/// Relative lengths of the averages.
const LENGTHS: [f64; 3] = [0.25, 0.1, 0.05];

/// The noise level of the error that is shown.
const LEVEL: f64 = 0.2;

/// Averaged weights against the weights themselves, over a training (NCSNv2's technique 5; Karras et al. 2024): the error of
/// the score that a perceptron has learned of two modes.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let target = two_modes()?;
    let training = fit(studio, DsmAnnealed::default().into(), 30 * studio.count);
    let averages = LENGTHS.iter().map(|length| PowerAverage::of_length(*length)).collect::<Result<_>>()?;
    let draw = |step| Ok(training.points(&target, step));
    let (.., snapshots) =
        training.run_watched(draw, &studio.device, averages, training.steps.div_ceil(25)).await?;
    let names = ["the weights themselves".into()]
        .into_iter()
        .chain(LENGTHS.iter().map(|length| format!("average of length {length}")));
    let mut series: Vec<Series> = names
        .zip(PALETTE)
        .map(|(label, colour)| Series { label, points: vec![], colour, mark: Mark::Line })
        .collect();
    for Snapshot { step, models } in &snapshots {
        for (model, series) in models.iter().zip(&mut series) {
            series.points.push((*step as f64, fisher_divergence(model, &target, LEVEL, studio).await?));
        }
    }
    let numbers: Vec<_> =
        series.iter().map(|series| json!({ "weights": series.label, "errors": series.points })).collect();
    let errors = || series.iter().flat_map(|series| &series.points).map(|(_, error)| *error);
    let (x, y) = (
        Axis { label: "step".into(), range: [0.0, training.steps as f64], log: false },
        Axis::around("squared error over squared score", errors(), true),
    );
    let title = format!("Error of the score at noise {LEVEL}");
    let picture = Chart { title, size: [720, 480], x, y, series }.draw()?;
    let numbers = json!({ "steps": training.steps, "level": LEVEL, "averages": numbers });
    Ok(Outcome::Made(Figure { picture, numbers }))
}
