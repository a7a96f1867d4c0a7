use std::ops::Range;

use super::Judge;
use crate::Result;
use crate::control::autoguided;
use crate::model::ScoreModel;
use crate::weights::LoadedModel;

/// A model whose samples are judged, and how they are asked for.
#[derive(Debug)]
pub struct Subject {
    /// The model.
    pub model: LoadedModel,
    /// Each class in turn, asked for with this guidance; images of any class where there is none.
    pub guidance: Option<f64>,
    /// What guides it as a weaker version of itself, and with which weight; see [`autoguided`].
    pub weaker: Option<(LoadedModel, f64)>,
}

impl Subject {
    /// The model of the samples of these indices.
    ///
    /// # Errors
    /// As [`Judge::classes_of`], [`LoadedModel::classes_model`] and [`autoguided`].
    pub fn of(&self, samples: Range<usize>, judge: &Judge) -> Result<ScoreModel> {
        let asked = |model: &LoadedModel, guidance| {
            judge.classes_of(model)?;
            model.each_class(samples.clone(), guidance)
        };
        let model = match self.guidance {
            None => self.model.score_model()?,
            Some(guidance) => asked(&self.model, guidance)?,
        };
        let Some((weaker, weight)) = &self.weaker else { return Ok(model) };
        let weaker = match self.guidance {
            Some(_) if weaker.classes() > 0 => asked(weaker, 1.0)?,
            _ => weaker.score_model()?,
        };
        autoguided(model, weaker, *weight)
    }
}
