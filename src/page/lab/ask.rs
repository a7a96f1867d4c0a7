//! What can be asked of an experiment at once: densities, scores, points.

use js_sys::Float32Array;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::Desk;
use super::desk::{By, coordinates, failed, numbers, points};
use crate::Result;
use crate::lab::measure::{energy_distance, score, weights};
use crate::lab::{Point, Square};
use crate::page::messages::{self, object, plain};
use crate::rng::Noise;
use crate::toy;

/// The square at a noise level.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct View {
    sigma: f64,
    /// In a row.
    places: usize,
}

/// A score in the square.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    sigma: f64,
    places: usize,
    by: By,
}

/// A noisy point.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noisy {
    sigma: f64,
    x: f64,
    y: f64,
    /// Of the points that it may have been.
    count: usize,
}

/// Points as they come out of the world, with noise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exact {
    sigma: f64,
    count: usize,
}

/// What drawn points are like.
#[derive(Debug, Serialize)]
struct Verdict {
    /// Energy distance to as many points of the world.
    distance: f64,
    /// The same of other points of the world.
    floor: f64,
    /// Share of each mode and its standard error, where modes can be told apart.
    weights: Vec<[f64; 2]>,
}

/// Points that a distance is measured with: the time goes with their square.
const JUDGED: usize = 1000;

#[wasm_bindgen]
impl Desk {
    /// The density in the square, `Float32Array` by rows from the top left, 1 where it is greatest; and half the side of the
    /// square that is seen at this noise level: `{density, half}`.
    ///
    /// # Errors
    /// Code `request`, as of all that is asked.
    pub fn density(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let View { sigma, places } = messages::read(request).map_err(|e| failed(&e))?;
        let lab = self.lab();
        let square = lab.seen(sigma, places);
        // A place stands for its whole field: a line without width is seen as well.
        let seen = sigma.hypot(0.5 * square.field().sqrt());
        let logs: Vec<f64> = square.points().iter().map(|x| lab.truth.log_density(x, seen)).collect();
        let largest = logs.iter().copied().fold(f64::MIN, f64::max);
        let density = numbers(logs.into_iter().map(|log| (log - largest).exp()));
        Ok(object(&[("density", density), ("half", square.half.into())]))
    }

    /// A score in the square, and the true one: `{found, truth, half}`.
    ///
    /// # Errors
    /// As above, also where nothing has been learned.
    pub async fn field(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let field = async {
            let Field { sigma, places, by } = messages::read(request)?;
            let lab = self.lab();
            let square: Square = lab.seen(sigma, places);
            let points = square.points();
            let found = score(&*self.model(by)?, &points, sigma).await?;
            let truth = score(&lab.true_model(), &points, sigma).await?;
            Ok(object(&[
                ("found", coordinates(&found)),
                ("truth", coordinates(&truth)),
                ("half", square.half.into()),
            ]))
        };
        field.await.map_err(|e| failed(&e))
    }

    /// What a noisy point may have been: `{points, mean, score, learned}`, the last one null where nothing has been learned.
    ///
    /// # Errors
    /// As above.
    pub async fn posterior(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let posterior = async {
            let Noisy { sigma, x, y, count } = messages::read(request)?;
            let (lab, at) = (self.lab(), [x, y]);
            let left = lab.truth.given(&at, sigma);
            let drawn = toy::points(&left.sample(&Noise::new(lab.setup.seed), count, 0.0));
            let truth = lab.truth.score(&at, sigma);
            let model = self.learned.borrow().clone();
            let learned = match model {
                Some(model) => coordinates(&score(&model, &[at], sigma).await?),
                None => JsValue::NULL,
            };
            Ok(object(&[
                ("points", coordinates(&drawn)),
                ("mean", numbers(left.mean().into_iter())),
                ("score", numbers(truth.into_iter())),
                ("learned", learned),
            ]))
        };
        posterior.await.map_err(|e| failed(&e))
    }

    /// Points of the world with noise.
    ///
    /// # Errors
    /// As above.
    pub fn exact(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let Exact { sigma, count } = messages::read(request).map_err(|e| failed(&e))?;
        Ok(coordinates(&self.lab().noisy(sigma, count)))
    }

    /// How far drawn points are from the world with noise `sigma`: `{distance, floor, weights}`, the weights of the modes that
    /// are given.
    ///
    /// # Errors
    /// As above.
    pub fn judge(
        &self,
        coordinates: &Float32Array,
        sigma: f64,
        modes: &Float32Array,
    ) -> Result<JsValue, JsValue> {
        let (lab, drawn, modes) = (self.lab(), points(coordinates), points(modes));
        let some: &[Point] = &drawn[..drawn.len().min(JUDGED)];
        let exact = lab.noisy(sigma, 2 * some.len());
        let (exact, other) = exact.split_at(some.len());
        let weights = if modes.len() < 2 {
            vec![]
        } else {
            weights(&drawn, &modes).iter().map(|w| [w.mean, w.error]).collect()
        };
        plain(&Verdict {
            distance: energy_distance(some, exact),
            floor: energy_distance(other, exact),
            weights,
        })
    }
}
