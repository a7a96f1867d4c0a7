use serde_json::json;

use super::studio::{grid, rms_difference};
use super::{Figure, Outcome, Studio};
use crate::estimate::Estimate;
use crate::flow::{Tolerance, decode, encode};
use crate::model::ScoreModel;
use crate::ops::read;
use crate::{Error, Result};

/// Digits that are shown.
const ROWS: usize = 8;

/// Two models give the same image the same code, up to training and the scale of their priors: the "uniquely
/// identifiable encoding" of Song et al. 2021, section 4.3.
///
/// A row for each test digit: the digit, its code by each model, and what each model makes of the first one's
/// code.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let models = [studio.open(&studio.model)?, studio.open(&studio.second)?];
    let [first, second] = &models;
    if first.shape != second.shape {
        let problem = format!("has images of shape {:?}, the first model {:?}", second.shape, first.shape);
        return Err(Error::config("--second", problem, "use a model of the same data set"));
    }
    let images = studio.test_images((studio.count / 4).clamp(2, 50), first)?;
    let pixels = images.to_unit();
    let tolerance = Tolerance::default();
    let mut codes = Vec::new();
    for model in &models {
        let code = encode(model, model.upload(&pixels), tolerance, &mut studio.run()).await?;
        // On one scale: both priors are then standard normal.
        codes.push(read((code - model.prior_mean()) / model.sde.prior_std()).await?);
    }
    let mut decoded = Vec::new();
    for model in &models {
        let code = model.prior(model.upload(&codes[0]));
        decoded.push(read(decode(model, code, tolerance, true, &mut studio.run()).await?).await?);
    }

    let (n, dim) = (images.len(), first.dim());
    let at = |values: &[f32], i: usize| values[i * dim..(i + 1) * dim].to_vec();
    let same = Estimate::of((0..n).map(|i| cosine(&at(&codes[0], i), &at(&codes[1], i))));
    let other = Estimate::of((0..n).map(|i| cosine(&at(&codes[0], i), &at(&codes[1], (i + 1) % n))));
    let rms = [0, 1].map(|k| rms_difference(&decoded[k], &pixels));
    // Codes span four deviations from black to white.
    let visible = |code: Vec<f32>| code.into_iter().map(|v| v / 4.0 + 0.5).collect();
    let shown: Vec<f32> = (0..ROWS.min(n))
        .flat_map(|i| {
            let code = |k: usize| -> Vec<f32> { visible(at(&codes[k], i)) };
            [at(&pixels, i), code(0), code(1), at(&decoded[0], i), at(&decoded[1], i)].concat()
        })
        .collect();
    let numbers = json!({
        "first": described(&studio.model, first), "second": described(&studio.second, second),
        "digits": n, "cosine_same_digit": same, "cosine_next_digit": other,
        "rms_to_digit_by_first": rms[0], "rms_to_digit_by_second": rms[1],
    });
    Ok(Outcome::Made(Figure { picture: grid(first, &shown, 5, 3)?, numbers }))
}

fn described(name: &str, model: &ScoreModel) -> String {
    format!("{name}, {}", model.sde.summary())
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
}
