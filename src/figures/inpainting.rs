use serde_json::json;

use super::studio::grid;
use super::{Figure, Outcome, Studio};
use crate::estimate::Estimate;
use crate::model::Conditioning;
use crate::ops::{read, upload};
use crate::rng::Noise;
use crate::sampler::{PredictorCorrector, Sampler};
use crate::{Result, control};

/// Completions of each digit, and digits that are shown.
const COMPLETIONS: usize = 3;
const COLUMNS: usize = 10;

/// Test digits of which the upper half is known (Song et al. 2021, section 5 and appendix I.2): rows are the
/// digits, what is known of them, and three completions.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let model = studio.open(&studio.model)?;
    let judge = studio.judge()?;
    let images = studio.test_images((studio.count / 5).clamp(2, 40), &model)?;
    let ([_, h, w], n, dim) = (model.shape, images.len(), model.dim());
    let digits = images.to_unit();
    let mask: Vec<f32> = (0..h * w).map(|i| f32::from(u8::from(i < h / 2 * w))).collect();
    let known: Vec<f32> = digits.iter().enumerate().map(|(i, v)| v * mask[i % (h * w)]).collect();

    let image = model.upload(&digits.repeat(COMPLETIONS));
    let mask = upload(&mask, [1, 1, h, w], model.device());
    let conditioned = control::inpaint(model, image, mask, Conditioning::default())?;
    let sampler =
        Sampler::PredictorCorrector(PredictorCorrector { n_corrector: 0, ..PredictorCorrector::default() });
    let noise = Noise::new(studio.seed);
    let solution = sampler.sample(&conditioned, &noise, COMPLETIONS * n, &mut studio.run()).await?;
    let drawn = read(solution.images).await?;

    let named: Vec<usize> = judge.verdicts(&drawn).await?.named().map(|(class, _)| class).collect();
    // Completions of one digit are not independent: the error is that of the mean over digits.
    let kept = images.labels.map(|labels| {
        Estimate::of(labels.iter().enumerate().map(|(i, label)| {
            let same = (0..COMPLETIONS).filter(|k| named[k * n + i] == usize::from(*label)).count();
            same as f64 / COMPLETIONS as f64
        }))
    });
    let columns = COLUMNS.min(n);
    let rows = [&digits, &known].into_iter().map(Vec::as_slice).chain(drawn.chunks_exact(n * dim));
    let shown: Vec<f32> = rows.flat_map(|row| row[..columns * dim].to_vec()).collect();
    let numbers = json!({
        "model": studio.model, "digits": n, "completions_each": COMPLETIONS, "sampler": sampler,
        "nfe": solution.nfe, "digits_kept": kept,
    });
    Ok(Outcome::Made(Figure { picture: grid(&conditioned, &shown, columns, 3)?, numbers }))
}
