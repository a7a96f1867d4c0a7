use serde_json::json;

use super::studio::grid;
use super::{Figure, Outcome, Studio};
use crate::Result;
use crate::flow::{Steps, Tolerance, encoder_for};
use crate::ops::{noise::normal, read};
use crate::rng::Noise;

/// The consistency model, and the score model that it was tuned from.
const FUNCTION: &str = "mnist-cm";
const TEACHER: &str = "mnist-class-vp";

/// Noises in a row.
const COLUMNS: usize = 10;

/// Of the same noise, row by row: itself, one step and two of the consistency model, and the end of its path by the ODE of
/// the score model (Song et al. 2023).
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let function = studio.open(FUNCTION)?;
    let teacher = encoder_for(studio.open(TEACHER)?, &function)?;
    let seed = Noise::new(studio.seed);
    let z = read(normal(&seed, 0, COLUMNS, function.dim(), &studio.device)).await?;
    let codes: Vec<f32> = z.iter().map(|z| z * function.sde.prior_std() as f32).collect();
    // Three deviations from black to white.
    let mut rows = vec![z.iter().map(|z| 0.5 + z / 6.0).collect::<Vec<f32>>()];
    for n_steps in [1, 2] {
        let steps = Steps { n_steps, ..Steps::default() };
        rows.push(read(steps.images(&function, &codes, 1.0, &seed, &mut studio.run()).await?.images).await?);
    }
    let prior = teacher.upload(&codes) + teacher.prior_mean();
    let end = Tolerance::default().denoised(&teacher, prior, &mut studio.run()).await?;
    rows.push(read(teacher.pixels(end)).await?);
    let picture = grid(&function, &rows.concat(), COLUMNS, 3)?;
    let numbers = json!({ "model": FUNCTION, "teacher": TEACHER, "nfe": [1, 2, teacher.nfe()] });
    Ok(Outcome::Made(Figure { picture, numbers }))
}
