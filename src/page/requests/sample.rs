use burn::tensor::Tensor;
use js_sys::Function;
use serde::Deserialize;
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

use super::condition::Condition;
use super::{finish, one};
use crate::control::{AUTOGUIDANCE, guided_by, led_on};
use crate::flow::normals_between;
use crate::model::ScoreModel;
use crate::page::session::named;
use crate::page::turn::now;
use crate::page::{Session, images, messages};
use crate::rng::Noise;
use crate::sampler::Sampler;
use crate::weights::LoadedModel;
use crate::{Error, Result};

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
    /// Instead, one for each image.
    classes: Option<Vec<usize>>,
    /// What all images begin in.
    latent: Option<Latent>,
    /// The loaded classifier that guides to the class; without one, the model itself has learned it.
    classifier: Option<String>,
    /// How far to go in the direction of the class.
    #[serde(default = "one")]
    guidance: f64,
    /// A loaded model that guides this one as a weaker version of it.
    weaker: Option<String>,
    /// How far to go on from what that one says.
    #[serde(default = "usual")]
    weaker_weight: f64,
    condition: Option<Condition>,
    /// Steps between previews; 0 sends none.
    #[serde(default)]
    preview_every: usize,
}

fn usual() -> f64 {
    AUTOGUIDANCE
}

/// The noise of a seed, or some way towards that of another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Latent {
    a: Seed,
    b: Option<Seed>,
    #[serde(default)]
    share: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    seed: u64,
    #[serde(default)]
    index: u32,
}

impl SampleRequest {
    /// The model of the class or the classes that are asked for.
    fn model(&self, session: &Session, loaded: &LoadedModel) -> Result<ScoreModel> {
        let (model, classes) = self.of_class(session, loaded)?;
        match &self.weaker {
            None => Ok(model),
            Some(name) => led_on(model, &session.model(name)?, classes, self.weaker_weight),
        }
    }

    /// With the classes that it has been told itself.
    fn of_class(&self, session: &Session, loaded: &LoadedModel) -> Result<(ScoreModel, Option<&[usize]>)> {
        let asked = |classes| Ok((loaded.asked(classes, self.guidance)?, classes));
        match (&self.class, &self.classes, &self.classifier) {
            (None, None, _) => asked(None),
            (None, Some(classes), None) if classes.len() == self.count => asked(Some(classes)),
            (Some(class), None, None) => asked(Some(std::slice::from_ref(class))),
            (Some(class), None, Some(name)) => {
                let classifier = named("classifier", &session.classifiers, name)?;
                Ok((guided_by(classifier, loaded.score_model()?, *class, self.guidance)?, None))
            }
            _ => {
                let problem = "are more or fewer than the images, or come with a class or a classifier";
                Err(Error::config("the classes", problem, "give one for each image, and nothing else"))
            }
        }
    }

    /// The normals of [`Self::latent`] for all images.
    fn latent(&self, model: &ScoreModel) -> Result<Option<Tensor<4>>> {
        let Some(Latent { a, b, share }) = &self.latent else { return Ok(None) };
        let [a, b] = [*a, b.unwrap_or(*a)].map(|Seed { seed, index }| Noise::new(seed).at(index));
        let normals = normals_between(&a, &b, *share, model.dim())?;
        Ok(Some(model.upload(&normals).repeat_dim(0, self.count)))
    }
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
            let model = request.model(self, &loaded)?;
            let latent = request.latent(&model)?;
            let model = match request.condition {
                Some(condition) => condition.apply(model)?,
                None => model,
            };
            let mut run = self.begin(on_event)?;
            run.preview_every = request.preview_every;
            let solution = match latent {
                Some(latent) => sampler.sample_from(&model, vec![latent], &mut run).await?,
                None => {
                    let noise = Noise::new(request.seed).at(request.first);
                    sampler.sample(&model, &noise, request.count, &mut run).await?
                }
            };
            finish(solution, started).await
        };
        sample.await.map_err(|e| self.failure(&e))
    }
}
