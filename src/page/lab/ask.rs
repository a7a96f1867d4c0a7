//! What can be asked of an experiment at once: densities, scores, points.

use js_sys::Float32Array;
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use super::Desk;
use super::desk::{By, coordinates, failed, numbers, points};
use crate::Result;
use crate::lab::measure::{judge, score};
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

#[wasm_bindgen]
impl Desk {
    /// The density in the square that is seen at this noise level, by rows from the top left, 1 where it is greatest.
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
        Ok(numbers(logs.into_iter().map(|log| (log - largest).exp())))
    }

    /// A score at places of the square, and the true one there: `{at, found, truth}`.
    ///
    /// # Errors
    /// As above, also where nothing has been learned.
    pub async fn field(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let field = async {
            let Field { sigma, places, by } = messages::read(request)?;
            let lab = self.lab();
            let points = lab.seen(sigma, places).points();
            let found = score(&*self.model(by)?, &points, sigma).await?;
            let truth = score(&lab.true_model(), &points, sigma).await?;
            Ok(object(&[
                ("at", coordinates(&points)),
                ("found", coordinates(&found)),
                ("truth", coordinates(&truth)),
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

    /// How far drawn points are from the world with noise `sigma`: `{distance, floor, weights}`, each weight `{mean, error}`.
    ///
    /// # Errors
    /// As above.
    pub fn judge(&self, drawn: &Float32Array, sigma: f64) -> Result<JsValue, JsValue> {
        plain(&judge(&self.lab(), &points(drawn), sigma))
    }
}
