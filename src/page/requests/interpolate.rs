use js_sys::Function;
use serde::Deserialize;
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

use super::{finish, one};
use crate::flow::{Endpoint, interpolate};
use crate::page::turn::now;
use crate::page::{Session, images, messages};
use crate::rng::Noise;
use crate::sampler::ProbabilityFlow;
use crate::{Error, Result};

/// `Session.interpolate`'s argument.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InterpolateRequest {
    model: String,
    a: RequestEnd,
    b: RequestEnd,
    frames: usize,
    /// Multiplies the codes between.
    #[serde(default = "one")]
    temperature: f64,
    #[serde(default)]
    options: Map<String, Value>,
}

/// A latent of a seed or a picture; [`RequestEnd::read`] sees to it that it is exactly one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestEnd {
    seed: Option<u64>,
    #[serde(default)]
    index: u32,
    /// `[c, h, w]` in [0, 1].
    pixels: Option<Vec<f32>>,
}

impl RequestEnd {
    /// `name` is what it is called; `dim` the number of values in an image of the model.
    pub(super) fn read(self, name: &str, dim: usize) -> Result<Endpoint> {
        let wrong = |problem: String| {
            let fix = format!("give a seed, or {dim} pixel values");
            Err(Error::config(format!("endpoint {name}"), problem, fix))
        };
        match (self.seed, self.pixels) {
            (Some(seed), None) => Ok(Endpoint::Seed(Noise::new(seed).at(self.index))),
            (None, Some(pixels)) if pixels.len() != dim => {
                wrong(format!("has {} pixel values", pixels.len()))
            }
            (None, Some(pixels)) if !pixels.iter().all(|v| v.is_finite()) => wrong("has a NaN pixel".into()),
            (None, Some(pixels)) => Ok(Endpoint::Pixels(pixels)),
            _ => wrong("does not have exactly one of seed and pixels".into()),
        }
    }
}

#[wasm_bindgen]
impl Session {
    /// Pictures on the way between two: `InterpolateRequest` of `web/scorefield.js` in, the rest as in `sample`.
    ///
    /// # Errors
    /// As `sample`.
    pub async fn interpolate(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let started = now();
        let between = async {
            let request: InterpolateRequest = messages::read(request)?;
            images::check_count("frames", request.frames, 2)?;
            let ProbabilityFlow(tolerance) = ProbabilityFlow::with_options(&request.options)?;
            let loaded = self.model(&request.model)?;
            self.has_room(&loaded, request.frames)?;
            let model = loaded.score_model()?;
            let mut run = self.begin(on_event)?;
            let (a, b) = (request.a.read("a", model.dim())?, request.b.read("b", model.dim())?);
            let solution =
                interpolate(&model, &a, &b, request.frames, request.temperature, tolerance, &mut run).await?;
            finish(solution, started).await
        };
        between.await.map_err(|e| self.failure(&e))
    }
}
