use js_sys::Function;
use serde::Deserialize;
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

use super::interpolate::RequestEnd;
use crate::Result;
use crate::flow::{codes, encoder_for};
use crate::page::turn::now;
use crate::page::{Session, images, messages};
use crate::sampler::ProbabilityFlow;

/// `Session.encode`'s argument.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodeRequest {
    model: String,
    /// The score model that encodes pictures, where `model` is a consistency function.
    encoder: Option<String>,
    ends: Vec<RequestEnd>,
    #[serde(default)]
    options: Map<String, Value>,
}

#[wasm_bindgen]
impl Session {
    /// Latent codes of seeds and pictures: `EncodeRequest` of `web/scorefield.js` in, the codes as `images` out.
    ///
    /// # Errors
    /// As `sample`.
    pub async fn encode(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let started = now();
        let encode = async {
            let request: EncodeRequest = messages::read(request)?;
            images::check_count("ends", request.ends.len(), 1)?;
            let ProbabilityFlow(tolerance) = ProbabilityFlow::with_options(&request.options)?;
            let loaded = self.model(&request.model)?;
            // Codes are noise: of what class the images are to be makes no difference to them.
            let model =
                if loaded.needs_class() { loaded.class_model(0, 1.0)? } else { loaded.score_model()? };
            let encoder = match request.encoder {
                Some(name) => Some(encoder_for(self.model(&name)?.score_model()?, &model)?),
                None => None,
            };
            let from = encoder.as_ref().unwrap_or(&model);
            let mut run = self.begin(on_event)?;
            let read = |(i, end): (usize, RequestEnd)| end.read(&(i + 1).to_string(), model.dim());
            let ends: Vec<_> = request.ends.into_iter().enumerate().map(read).collect::<Result<_>>()?;
            let codes = codes(from, &ends, tolerance, &mut run).await?;
            let [c, h, w] = model.shape;
            Ok(images::result(&codes.concat(), [ends.len(), c, h, w], from.nfe(), (now() - started) / 1000.0))
        };
        encode.await.map_err(|e| self.failure(&e))
    }
}
