use serde_json::json;

use super::studio::grid;
use super::{Figure, Outcome, Studio};
use crate::ops::read;
use crate::rng::Noise;
use crate::run::{Event, Run};
use crate::sampler::{AnnealedLangevin, Sampler};
use crate::{Result, schedule};

/// Columns before the finished samples, and rows.
const COLUMNS: usize = 10;
const ROWS: usize = 6;

/// Intermediate samples of annealed Langevin dynamics (Song and Ermon 2019, figure 4): a row for each sample,
/// the noise falling to the right, finished and denoised in the last column.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let model = studio.open(&studio.model)?;
    let method = AnnealedLangevin::default();
    let (levels, each) = (method.n_steps, method.n_steps_each);
    let sampler = Sampler::AnnealedLangevin(method);
    let every = levels * each / COLUMNS;

    let mut columns: Vec<Vec<f32>> = Vec::new();
    let solution = {
        let keep = |event| {
            if let Event::Preview(preview) = event {
                columns.push(preview.images);
            }
        };
        let mut run = Run { on_event: Some(Box::new(keep)), preview_every: every, ..studio.run() };
        sampler.sample(&model, &Noise::new(studio.seed), studio.count, &mut run).await?
    };
    columns.push(read(solution.images).await?);

    let ts = schedule::geometric(&*model.sde, 1.0, model.sde.sampling_eps(), levels);
    let judge = studio.judge()?;
    // What a classifier is sure of in noise means nothing; that it agrees with the finished image does.
    let verdicts = judge.verdicts(&columns[columns.len() - 1]).await?;
    let finished: Vec<usize> = verdicts.named().map(|(class, _)| class).collect();
    let mut numbers = Vec::new();
    for (k, images) in columns.iter().enumerate() {
        let step = ((k + 1) * every).min(levels * each);
        let sigma = if k < COLUMNS { model.sde.sigma(ts[(step - 1) / each]) } else { 0.0 };
        let named: Vec<usize> = judge.verdicts(images).await?.named().map(|(class, _)| class).collect();
        let same = named.iter().zip(&finished).filter(|(now, then)| now == then).count();
        let share = same as f64 / studio.count as f64;
        numbers.push(json!({ "step": step, "sigma": sigma, "of_final_class": share }));
    }
    let rows = ROWS.min(studio.count);
    let shown: Vec<f32> = (0..rows)
        .flat_map(|row| columns.iter().map(move |images| (row, images)))
        .flat_map(|(row, images)| images[row * model.dim()..(row + 1) * model.dim()].to_vec())
        .collect();
    let picture = grid(&model, &shown, columns.len(), 3)?;
    let numbers = json!({
        "model": studio.model, "samples": studio.count, "sampler": sampler, "nfe": solution.nfe,
        "recognised": verdicts.recognised(), "columns": numbers,
    });
    Ok(Outcome::Made(Figure { picture, numbers }))
}
