use js_sys::Function;
use serde::Deserialize;
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

use super::condition::Condition;
use super::{finish, one};
use crate::Result;
use crate::control::guided_by;
use crate::page::session::named;
use crate::page::turn::now;
use crate::page::{Session, images, messages};
use crate::rng::Noise;
use crate::sampler::Sampler;

/// `Session.sample`'s argument.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleRequest {
    model: String,
    sampler: String,
    #[serde(default)]
    options: Map<String, Value>,
    #[serde(default)]
    seed: u64,
    /// Number of the first image.
    #[serde(default)]
    first: u32,
    count: usize,
    /// Draw images of this class only.
    class: Option<usize>,
    /// The loaded classifier that guides to the class; without one, the model itself has learned it.
    classifier: Option<String>,
    /// How far to go in the direction of the class.
    #[serde(default = "one")]
    guidance: f64,
    condition: Option<Condition>,
    /// Steps between previews; 0 sends none.
    #[serde(default)]
    preview_every: usize,
}

#[wasm_bindgen]
impl Session {
    /// Draws images: `SampleRequest` of `web/scorefield.js` in, `{count, channels, height, width, images, nfe,
    /// seconds}` out. `on_event` gets `{type: "progress" | "preview", ...}`.
    ///
    /// # Errors
    /// Code `cancelled`, `device` or `request`.
    pub async fn sample(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let started = now();
        let sample = async {
            let request: SampleRequest = messages::read(request)?;
            images::check_count("count", request.count, 1)?;
            let sampler = Sampler::with_options(&request.sampler, &request.options)?;
            let loaded = self.model(&request.model)?;
            self.has_room(&loaded, request.count)?;
            let model = match (request.class, request.classifier) {
                (Some(class), None) => loaded.class_model(class, request.guidance)?,
                (Some(class), Some(name)) => {
                    let classifier = named("classifier", &self.classifiers, &name)?;
                    guided_by(classifier, loaded.score_model()?, class, request.guidance)?
                }
                (None, _) => loaded.score_model()?,
            };
            let model = match request.condition {
                Some(condition) => condition.apply(model)?,
                None => model,
            };
            let mut run = self.begin(on_event)?;
            run.preview_every = request.preview_every;
            let noise = Noise::new(request.seed).at(request.first);
            let solution = sampler.sample(&model, &noise, request.count, &mut run).await?;
            finish(solution, started).await
        };
        sample.await.map_err(|e| self.failure(&e))
    }
}
