use js_sys::Function;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::check_images;
use crate::Result;
use crate::device::DeviceChoice;
use crate::flow::{Likelihood, Product, Tolerance};
use crate::page::Session;
use crate::page::images;
use crate::page::messages::{self, plain};
use crate::page::turn::now;
use crate::rng::Noise;

/// `Session.likelihood`'s argument.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LikelihoodRequest {
    model: String,
    /// `[n, c, h, w]` in [0, 1], 8-bit pictures.
    images: Vec<f32>,
    /// Of the dequantisation and the probes.
    #[serde(default)]
    seed: u64,
    /// Relative and absolute tolerance of the ODE; what the model needs where nothing is said.
    tolerance: Option<f64>,
}

/// `Session.likelihood`'s result.
#[derive(Debug, Serialize)]
struct Densities {
    /// `log p` of each dequantised image in nats, in the model's units.
    nats: Vec<f64>,
    /// The same as bits per dimension of 8-bit pixels.
    bits_per_dim: Vec<f64>,
    nfe: usize,
    seconds: f64,
}

/// The bytes that pixel values stand for, whether those were made as `byte/255` or as `(byte + u)/256`.
fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().map(|value| (256.0 * value) as u8).collect() // casts cut off, and saturate
}

#[wasm_bindgen]
impl Session {
    /// How probable a model finds 8-bit pictures: `LikelihoodRequest` of `web/scorefield.js` in, `{nats, bits_per_dim, nfe,
    /// seconds}` out.
    ///
    /// # Errors
    /// As `sample`.
    pub async fn likelihood(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let started = now();
        let measure = async {
            let LikelihoodRequest { model, images, seed, tolerance } = messages::read(request)?;
            let loaded = self.model(&model)?;
            let model = loaded.score_model()?;
            let ([c, h, w], n) = (model.shape, images.len() / model.dim());
            images::check_count("the number of images", n, 1)?;
            self.has_room(&loaded, n)?;
            check_images("images", &images, [n, c, h, w])?;
            let noise = Noise::new(seed);
            let tolerance = tolerance.map(|t| Tolerance { rtol: t, atol: t, ..Tolerance::default() });
            // burn's own kernels, which tangents would take on a GPU, are not part of the page's program.
            let product = match self.opened.kind {
                DeviceChoice::Cpu => Product::Forward,
                _ => Product::Difference,
            };
            let likelihood = Likelihood { tolerance, product, ..Likelihood::default() };
            let made = likelihood.dequantised(&model, &to_bytes(&images), &noise);
            let mut run = self.begin(on_event)?;
            let found = likelihood.measure(&model, model.upload(&made.pixels), &noise, &mut run).await?;
            Ok(Densities {
                bits_per_dim: made.bits_per_dim(&found.nats, model.range),
                nats: found.nats,
                nfe: found.nfe,
                seconds: (now() - started) / 1000.0,
            })
        };
        plain(&measure.await.map_err(|e| self.failure(&e))?)
    }
}
