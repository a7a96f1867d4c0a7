use std::ops::Range;

use super::Judge;
use crate::control::led_on;
use crate::model::ScoreModel;
use crate::weights::LoadedModel;
use crate::{Error, Result};

/// A model whose samples are judged, and how they are asked for.
#[derive(Debug)]
pub struct Subject {
    /// The model.
    pub model: LoadedModel,
    /// Each class in turn, asked for with this guidance; images of any class where there is none.
    pub guidance: Option<f64>,
    /// What guides it as a weaker version of itself, and with which weight; see [`led_on`].
    pub weaker: Option<(LoadedModel, f64)>,
}

impl Subject {
    /// The model of the samples of these indices.
    ///
    /// # Errors
    /// As [`Judge::classes_of`], [`LoadedModel::asked`] and [`led_on`].
    pub fn of(&self, samples: Range<usize>, judge: &Judge) -> Result<ScoreModel> {
        let guided = self.guidance.map(|guidance| {
            judge.classes_of(&self.model)?;
            Ok::<_, Error>((self.model.in_turn(samples)?, guidance))
        });
        let (classes, guidance) = guided.transpose()?.unzip();
        let classes = classes.as_deref();
        let model = self.model.asked(classes, guidance.unwrap_or(1.0))?;
        match &self.weaker {
            Some((weaker, weight)) => led_on(model, weaker, classes, *weight),
            None => Ok(model),
        }
    }
}
