use std::path::Path;

use serde_json::json;

use super::studio::{grid, rms_difference};
use super::{Figure, Outcome, Studio};
use crate::data::{DataSource, Dataset};
use crate::model::Conditioning;
use crate::ops::read;
use crate::rng::Noise;
use crate::sampler::{PredictorCorrector, Sampler};
use crate::weights::shipped;
use crate::{Error, Result, control};

/// Colourings of each image, and most images.
const COLOURINGS: usize = 3;
const COLUMNS: usize = 10;

/// Colours for images of which the grey values are known (Song et al. 2021, section 5 and appendix I.3): rows
/// are the grey images, three colourings, and the true colours.
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let name = &studio.color_model;
    if shipped::bytes(name).is_none() && !Path::new(name).exists() {
        return Ok(Outcome::Skipped(format!(
            "there is no model {name}; name one of colour images with --color-model"
        )));
    }
    let Some(data) = &studio.color_data else {
        return Ok(Outcome::Skipped("it needs colour images; name an .npz file with --color-data".into()));
    };
    let model = studio.open(name)?;
    let all = DataSource { data_dir: Some(data.clone()), ..DataSource::new(Dataset::Npz) }.load()?;
    if all.shape() != model.shape {
        let problem = format!("has images of shape {:?}, {name} {:?}", all.shape(), model.shape);
        return Err(Error::config("--color-data", problem, "use images like those the model is of"));
    }
    // Spread over the whole set, whose neighbours are often alike.
    let n = (studio.count / 10).clamp(2, COLUMNS).min(all.len());
    let colours: Vec<f32> = (0..n)
        .flat_map(|i| all.image((2 * i + 1) * all.len() / (2 * n)))
        .map(|byte| f32::from(*byte) / 255.0)
        .collect();
    let truth = model.upload(&colours.repeat(COLOURINGS));
    let grey = read(truth.clone().mean_dim(1).expand(truth.dims())).await?;
    let conditioned = control::colorize(model, truth, Conditioning::default())?;
    let sampler =
        Sampler::PredictorCorrector(PredictorCorrector { n_corrector: 0, ..PredictorCorrector::default() });
    let noise = Noise::new(studio.seed);
    let solution = sampler.sample(&conditioned, &noise, COLOURINGS * n, &mut studio.run()).await?;
    let drawn = read(solution.images).await?;

    let grey = &grey[..colours.len()];
    let rows: Vec<&[f32]> = drawn.chunks_exact(colours.len()).collect();
    let numbers = json!({
        "model": name, "dataset": all.name, "images": n, "colourings_each": COLOURINGS, "sampler": sampler,
        "nfe": solution.nfe, "rms_to_truth": rms_difference(&drawn, &colours.repeat(COLOURINGS)),
        "rms_of_grey_to_truth": rms_difference(grey, &colours),
        "rms_between_colourings": rms_difference(rows[0], rows[1]),
    });
    let shown = [grey, &drawn, &colours].concat();
    Ok(Outcome::Made(Figure { picture: grid(&conditioned, &shown, n, 2)?, numbers }))
}
