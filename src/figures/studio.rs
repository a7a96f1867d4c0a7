use std::path::PathBuf;

use burn::tensor::Device;

use crate::cancel::CancelToken;
use crate::data::{DataSource, Split};
use crate::evaluation::{Judge, Reference};
use crate::images::ImageSet;
use crate::model::ScoreModel;
use crate::ops::read;
use crate::picture::{Grid, Picture};
use crate::rng::Noise;
use crate::run::Run;
use crate::sampler::Sampler;
use crate::weights::shipped;
use crate::{Error, Result};

/// What figures are made from.
#[derive(Debug)]
pub struct Studio {
    /// Where everything is computed.
    pub device: Device,
    /// The model of most figures: a shipped one or a file.
    pub model: String,
    /// The model whose encodings are compared with the first one's.
    pub second: String,
    /// The classifier that judges.
    pub classifier: String,
    /// The data set of these.
    pub data: DataSource,
    /// The model that colours.
    pub color_model: String,
    /// An `.npz` file with colour images.
    pub color_data: Option<PathBuf>,
    /// Samples behind a number; some figures take a fixed share or multiple.
    pub count: usize,
    /// Seed of everything.
    pub seed: u64,
    /// Stops the work.
    pub cancel: CancelToken,
}

/// Samples that are drawn together.
pub(super) const BATCH: usize = 100;

impl Studio {
    /// A score model, shipped or from a file.
    pub(super) fn open(&self, model: &str) -> Result<ScoreModel> {
        shipped::open(model)?.score_model(&self.device)
    }

    /// The first test images, which have to be of the model's size.
    pub(super) fn test_images(&self, n: usize, model: &ScoreModel) -> Result<ImageSet> {
        let images = DataSource { split: Split::Test, ..self.data.clone() }.load()?.truncated(n);
        if images.shape() == model.shape {
            return Ok(images);
        }
        let problem = format!("has images of shape {:?}, the model {:?}", images.shape(), model.shape);
        Err(Error::config("--dataset", problem, "use the data set that the model is of"))
    }

    /// All training images.
    pub(super) fn training_images(&self) -> Result<ImageSet> {
        self.data.load()
    }

    /// The classifier.
    pub(super) fn judge(&self) -> Result<Judge> {
        Judge::new(shipped::open(&self.classifier)?, &self.device)
    }

    /// All test images as the classifier sees them.
    pub(super) async fn reference(&self, judge: &Judge) -> Result<Reference> {
        let images = DataSource { split: Split::Test, ..self.data.clone() }.load()?;
        Reference::new(judge.real(&images).await?.verdicts)
    }

    /// A quiet run that can be stopped.
    pub(super) fn run(&self) -> Run<'static> {
        Run { cancel: self.cancel.clone(), ..Run::default() }
    }

    /// The seed's first `n` samples `[n, c, h, w]`, and the NFE of the costliest batch.
    pub(super) async fn draw(
        &self,
        model: &ScoreModel,
        sampler: &Sampler,
        n: usize,
    ) -> Result<(Vec<f32>, usize)> {
        let (mut images, mut nfe) = (Vec::new(), 0);
        for first in (0..n).step_by(BATCH) {
            let noise = Noise::new(self.seed).at(first as u32);
            let solution = sampler.sample(model, &noise, BATCH.min(n - first), &mut self.run()).await?;
            images.extend(read(solution.images).await?);
            nfe = nfe.max(solution.nfe);
        }
        Ok((images, nfe))
    }
}

/// Images of a model in rows of `columns`, a pixel being `scale` pixels wide.
pub(super) fn grid(model: &ScoreModel, images: &[f32], columns: usize, scale: usize) -> Result<Picture> {
    let [c, h, w] = model.shape;
    let grid = Grid { columns: Some(columns), scale, ..Grid::default() };
    grid.draw(images, [images.len() / model.dim(), c, h, w])
}

/// The root of the mean squared difference.
pub(super) fn rms_difference(a: &[f32], b: &[f32]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (sum / a.len().max(1) as f64).sqrt()
}
