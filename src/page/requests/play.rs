use js_sys::Function;
use serde::Deserialize;
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

use super::{check_images, finish, one};
use crate::flow::sheet;
use crate::page::turn::now;
use crate::page::{Session, images, messages};
use crate::rng::Noise;
use crate::sampler::Multistep;
use crate::{Error, Result};

/// `Session.play`'s argument.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlayRequest {
    model: String,
    /// Codes of the corners of the sheet by rows, `[4, c, h, w]`, as `encode` gives them.
    corners: Vec<f32>,
    /// Points of the sheet, across and down, each 0 to 1.
    points: Vec<[f64; 2]>,
    class: Option<usize>,
    #[serde(default = "one")]
    guidance: f64,
    /// Of the sampler `multistep`.
    #[serde(default)]
    options: Map<String, Value>,
    /// Of the noise of steps after the first one.
    #[serde(default)]
    seed: u64,
}

#[wasm_bindgen]
impl Session {
    /// The images of points on a sheet of latent codes, by a consistency function: `PlayRequest` of `web/scorefield.js` in,
    /// the rest as in `sample`.
    ///
    /// # Errors
    /// As `sample`.
    pub async fn play(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let started = now();
        let play = async {
            let request: PlayRequest = messages::read(request)?;
            images::check_count("points", request.points.len(), 1)?;
            let Multistep(steps) = Multistep::with_options(&request.options)?;
            let loaded = self.model(&request.model)?;
            self.has_room(&loaded, request.points.len())?;
            let model = match request.class {
                Some(class) => loaded.class_model(class, request.guidance)?,
                None => loaded.score_model()?,
            };
            let [c, h, w] = model.shape;
            check_images("corners", &request.corners, [4, c, h, w])?;
            let corners = [0, 1, 2, 3].map(|i| &request.corners[i * model.dim()..][..model.dim()]);
            let mut codes = Vec::with_capacity(request.points.len() * model.dim());
            for point in request.points {
                if !point.iter().all(|share| (0.0..=1.0).contains(share)) {
                    return Err(Error::config("a point", format!("is {point:?}"), "use 0 to 1 each"));
                }
                codes.extend(sheet(corners, point));
            }
            let mut run = self.begin(on_event)?;
            let solution = steps.images(&model, &codes, 1.0, &Noise::new(request.seed), &mut run).await?;
            finish(solution, started).await
        };
        play.await.map_err(|e| self.failure(&e))
    }
}
