//! Learning, a few steps at a time.

use std::rc::Rc;

use serde::Deserialize;
use wasm_bindgen::prelude::*;

use super::Desk;
use super::desk::{By, failed, numbers};
use crate::lab::Setup;
use crate::lab::measure::by_level;
use crate::learning::Fitting;
use crate::model::{Denoiser, Learned, Preconditioned};
use crate::objective::Loss;
use crate::page::messages::{self, object, plain};
use crate::{Error, Result};

/// So many steps, or fewer where the training comes to its end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LearnRequest {
    steps: usize,
    /// Whose score a consistency function is distilled from: by that which was learned before in the same world, it is the
    /// network's own work from end to end.
    #[serde(default)]
    teacher: By,
}

/// A score that was learned, and in what experiment.
pub struct Taught {
    setup: Setup,
    denoiser: Preconditioned,
}

impl std::fmt::Debug for Taught {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taught").field("setup", &self.setup).finish_non_exhaustive()
    }
}

impl Taught {
    /// What a training in this experiment has learned, if it is a score.
    pub fn by(fitting: &Fitting, setup: &Setup) -> Option<Self> {
        let is_score = setup.objective.learns() == Learned::Score;
        is_score.then(|| Self { setup: setup.clone(), denoiser: fitting.denoiser() })
    }

    /// Whether it is a score of the world and the noise of `setup`.
    fn fits(&self, setup: &Setup) -> bool {
        self.setup.world == setup.world && self.setup.sde == setup.sde
    }
}

/// Noise levels at which a loss is told, and points for each.
const LEVELS: usize = 14;
const POINTS: usize = 512;

#[wasm_bindgen]
impl Desk {
    /// Learns: `{steps, losses, ended}`, steps done in all, the loss of each of the new ones, and whether they were the last.
    ///
    /// # Errors
    /// Code `request` if the loss grows without bound: the training then begins anew.
    pub async fn learn(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let learn = async {
            let LearnRequest { steps, teacher } = messages::read(request)?;
            let lab = self.lab();
            let taught = self.taught.borrow().clone().filter(|taught| taught.fits(&lab.setup));
            let teacher: &dyn Denoiser = match (teacher, &taught) {
                (By::True, _) => &lab.truth,
                (By::Learned, Some(taught)) => &taught.denoiser,
                (By::Learned, None) => {
                    return Err(Error::config(
                        "the teacher",
                        "is not there",
                        "learn a score of this world first",
                    ));
                }
            };
            // Taken out, not borrowed: other questions are asked meanwhile.
            let fitting = self.fitting.borrow_mut().take();
            let mut fitting = fitting.map_or_else(|| lab.begin(), Ok)?;
            let mut losses = vec![];
            while losses.len() < steps && !fitting.has_ended() {
                losses.push(fitting.step_on(&lab.truth, teacher).await?);
            }
            *self.learned.borrow_mut() = Some(Rc::new(lab.so_far(&fitting)));
            let told = [
                ("steps", fitting.steps().into()),
                ("losses", numbers(losses.into_iter())),
                ("ended", fitting.has_ended().into()),
            ];
            *self.fitting.borrow_mut() = Some(fitting);
            Ok(object(&told))
        };
        learn.await.map_err(|e| failed(&e))
    }

    /// Takes weights for what has been learned to the end: `Lab::learned_bytes` of the same experiment.
    ///
    /// # Errors
    /// Code `weights` for those of another network.
    pub fn remember(&self, bytes: &[u8]) -> Result<(), JsValue> {
        let lab = self.lab();
        let fitting = lab.remembered(bytes).map_err(|e| failed(&e))?;
        *self.learned.borrow_mut() = Some(Rc::new(lab.so_far(&fitting)));
        *self.fitting.borrow_mut() = Some(fitting);
        Ok(())
    }

    /// Forgets all that has been learned.
    pub fn forget(&self) {
        (*self.fitting.borrow_mut(), *self.learned.borrow_mut()) = (None, None);
    }

    /// The loss of what has been learned by noise level, beside its least: `[{sigma, loss, least}]`; none of a consistency
    /// function, which has no score.
    ///
    /// # Errors
    /// Code `request` where nothing has been learned.
    pub async fn levels(&self) -> Result<JsValue, JsValue> {
        let levels = async {
            let (lab, model) = (self.lab(), self.model(By::Learned)?);
            if model.learned != Learned::Score {
                return Ok(vec![]);
            }
            let [least, most] = [model.sde.sampling_eps(), 1.0].map(|t| model.sde.sigma(t).ln());
            let levels: Vec<f64> = (0..LEVELS)
                .map(|i| (least + (most - least) * i as f64 / (LEVELS - 1) as f64).exp())
                .collect();
            by_level(&model, &lab.truth, &levels, (lab.setup.seed + 2, POINTS)).await
        };
        plain(&levels.await.map_err(|e: Error| failed(&e))?)
    }
}
