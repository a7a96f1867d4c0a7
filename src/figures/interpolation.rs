use serde_json::json;

use super::studio::grid;
use super::{Figure, Outcome, Studio};
use crate::Result;
use crate::flow::{Endpoint, Tolerance, interpolate};
use crate::ops::read;
use crate::rng::Noise;

/// Images in a row, and rows that are shown.
const FRAMES: usize = 9;
const ROWS: usize = 6;

/// Samples on the great circle between the codes of two others, a row for each pair (Song et al. 2021,
/// appendix D.3).
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let model = studio.open(&studio.model)?;
    let judge = studio.judge()?;
    let pairs = (studio.count / 10).clamp(2, 20);
    let (mut rows, mut nfe, mut recognised) = (Vec::new(), 0, vec![0.0; FRAMES]);
    for pair in 0..pairs as u32 {
        let [a, b] = [2 * pair, 2 * pair + 1].map(|k| Endpoint::Seed(Noise::new(studio.seed).at(k)));
        let solution =
            interpolate(&model, &a, &b, FRAMES, 1.0, Tolerance::default(), &mut studio.run()).await?;
        let images = read(solution.images).await?;
        for (share, image) in recognised.iter_mut().zip(images.chunks_exact(model.dim())) {
            *share += judge.verdicts(image).await?.recognised() / pairs as f64;
        }
        nfe = nfe.max(solution.nfe);
        rows.push(images);
    }
    let picture = grid(&model, &rows[..ROWS.min(pairs)].concat(), FRAMES, 3)?;
    let numbers =
        json!({ "model": studio.model, "pairs": pairs, "nfe": nfe, "recognised_by_position": recognised });
    Ok(Outcome::Made(Figure { picture, numbers }))
}
