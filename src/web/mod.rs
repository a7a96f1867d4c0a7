//! What the page's worker (`web/worker.js`) calls: one [`Session`] per worker, plain JS values in and out.
//!
//! The worker is replaced as a whole when something breaks, so nothing here recovers from a panic or from a
//! lost GPU; `web/device.js` watches for those, `web/scorefield.js` starts again on the CPU.

mod condition;
mod messages;
mod turn;

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;

use burn::tensor::Tensor;
use js_sys::Function;
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::*;

use crate::cancel::CancelToken;
use crate::device::{self, DeviceChoice, Opened};
use crate::interpolate::interpolate;
use crate::likelihood::{Likelihood, bits_per_dim};
use crate::ops::Adapter;
use crate::rng::Noise;
use crate::sampler::{Event, Run, Sampler, Solution, Tolerance};
use crate::weights::{Architecture, LoadedClassifier, LoadedModel, ModelFile};
use crate::{Error, Result};

use condition::tensor;
use messages::{Densities, InterpolateRequest, LikelihoodRequest, ModelEntry, SampleRequest, failure, plain};
use turn::{Turns, now};

#[expect(unsafe_code, reason = "the linker's symbol for all static constructors has no safe name")]
unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Runs once, when the worker has compiled the module.
///
/// burn registers its kernels in static constructors. If nothing here called them, the linker would wrap every
/// export in a call to all of them: ten times slower, measured in DESIGN.md, and tested on the built file.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    // burn reports a rejected shader nowhere but in the log.
    console_log::init_with_level(log::Level::Warn).ok();
    #[expect(unsafe_code, reason = "called once, before anything else of the module")]
    unsafe {
        __wasm_call_ctors();
    }
}

/// A device and the models loaded on it.
///
/// Every method takes `&self`: `cancel` has to be callable while a run is waiting for the device.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Session {
    opened: Opened,
    models: RefCell<HashMap<String, LoadedModel>>,
    classifiers: RefCell<HashMap<String, LoadedClassifier>>,
    cancel: RefCell<CancelToken>,
}

#[wasm_bindgen]
impl Session {
    /// Opens `"gpu"` or `"cpu"`. The caller must have seen that WebGPU has an adapter: wgpu panics without.
    ///
    /// `lanes` are those of a software adapter's subgroups, which the caller has added to what wgpu asks of the device;
    /// 0 for none.
    ///
    /// # Errors
    /// A JS error with a `code`, as all methods: see [`messages::failure`].
    pub async fn open(device: String, lanes: usize) -> Result<Session, JsValue> {
        let open = async { device::open(device.parse()?).await };
        let opened = open.await.map_err(|e| failure(&e, DeviceChoice::Gpu))?;
        if lanes > 0 {
            Adapter::software(lanes).set();
        }
        let (models, classifiers, cancel) = Default::default();
        Ok(Session { opened, models, classifiers, cancel })
    }

    /// `{kind, name, reason}`.
    ///
    /// # Errors
    /// None in practice; the conversion to JS could fail.
    pub fn device(&self) -> Result<JsValue, JsValue> {
        plain(&messages::Device {
            kind: self.opened.kind,
            name: &self.opened.name,
            reason: &self.opened.reason,
        })
    }

    /// Every sampler: `{name, title, help, options: [{name, title, help, default, min, max, step, integer}]}`,
    /// with `choices: [{name, title}]` in place of the last four where an option is a choice.
    ///
    /// # Errors
    /// None in practice; the conversion to JS could fail.
    pub fn samplers(&self) -> Result<JsValue, JsValue> {
        let all: Result<Vec<_>> = Sampler::all().iter().map(messages::sampler).collect();
        plain(&all.map_err(|e| self.failure(&e))?)
    }

    /// Asks the GPU for the programs that a model needs to draw `count` images, before its weights are here.
    ///
    /// `entry` is the model's in `models/manifest.json`. One evaluation with random weights, whose result
    /// nobody waits for; the CPU needs nothing. A card that is wrong is left to [`Session::load`] to report.
    pub fn prepare(&self, entry: JsValue, count: usize) {
        if self.opened.kind != DeviceChoice::Gpu {
            return;
        }
        let prepare = || -> Result<()> {
            let ModelEntry { card, bytes } = messages::read(entry)?;
            card.validate(&card.name)?;
            // Of a card that promises more than its file can hold, nothing is allocated.
            let values: usize = card.main_weights()?.iter().map(|(_, [rows, columns])| rows * columns).sum();
            messages::check_count("count", count, 1)?;
            if values * size_of::<half::f16>() < bytes {
                let [c, h, w] = [card.channels, card.height, card.width];
                let x = Tensor::zeros([count, c, h, w], &self.opened.device);
                card.untrained(&self.opened.device)?.denoised(x, &[1.0]);
            }
            Ok(())
        };
        prepare().ok();
    }

    /// Checks a weight file against its SHA-256 (in hex), puts it on the device, and returns its model card.
    ///
    /// # Errors
    /// Code `weights` if the file is damaged or is not a score model.
    pub fn load(&self, name: &str, bytes: &[u8], sha256: &str) -> Result<JsValue, JsValue> {
        let load = || -> Result<_> {
            let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            if !found.eq_ignore_ascii_case(sha256) {
                let problem = format!("the file of {} bytes is damaged (wrong checksum)", bytes.len());
                return Err(Error::weights(name, problem, "try again, or tell the owner of this page"));
            }
            let file = ModelFile::parse(name, bytes)?;
            let card = file.card.clone();
            let (name, device) = (name.to_owned(), &self.opened.device);
            match card.architecture {
                Architecture::Unet { .. } => drop(self.models.borrow_mut().insert(name, file.load(device)?)),
                Architecture::Classifier { .. } => {
                    let classifier = LoadedClassifier::new(file, device)?;
                    self.classifiers.borrow_mut().insert(name, classifier);
                }
            }
            Ok(card)
        };
        plain(&load().map_err(|e| self.failure(&e))?)
    }

    /// Draws images: `SampleRequest` of `web/scorefield.js` in, `{count, channels, height, width, images, nfe,
    /// seconds}` out. `on_event` gets `{type: "progress" | "preview", ...}`.
    ///
    /// # Errors
    /// Code `cancelled`, `device` or `request`.
    pub async fn sample(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let started = now();
        let sample = async {
            let request: SampleRequest = messages::read(request)?;
            messages::check_count("count", request.count, 1)?;
            let sampler = Sampler::with_options(&request.sampler, &request.options)?;
            let loaded = self.model(&request.model)?;
            let model = match (request.class, request.classifier) {
                (Some(class), None) => loaded.class_model(class, request.guidance)?,
                (Some(class), Some(name)) => {
                    let classifier = named("classifier", &self.classifiers, &name)?;
                    classifier.guide(loaded.score_model(), class, request.guidance)?
                }
                (None, _) => loaded.score_model(),
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

    /// Pictures on the way between two: `InterpolateRequest` of `web/scorefield.js` in, the rest as in `sample`.
    ///
    /// # Errors
    /// As `sample`.
    pub async fn interpolate(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let started = now();
        let between = async {
            let request: InterpolateRequest = messages::read(request)?;
            messages::check_count("frames", request.frames, 2)?;
            let Sampler::ProbabilityFlow(ode) = Sampler::with_options("ode", &request.options)? else {
                return Err(Error::config("sampler", "`ode` is another method", "report this as a bug"));
            };
            let tolerance = Tolerance { rtol: ode.rtol, atol: ode.atol, max_steps: ode.max_steps };
            let model = self.model(&request.model)?.score_model();
            let mut run = self.begin(on_event)?;
            let (a, b) = (request.a.read("a", model.dim())?, request.b.read("b", model.dim())?);
            let solution = interpolate(&model, &a, &b, request.frames, tolerance, &mut run).await?;
            finish(solution, started).await
        };
        between.await.map_err(|e| self.failure(&e))
    }

    /// How probable a model finds pictures: `LikelihoodRequest` of `web/scorefield.js` in, `{nats, bits_per_dim, nfe,
    /// seconds}` out.
    ///
    /// # Errors
    /// As `sample`.
    pub async fn likelihood(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let started = now();
        let measure = async {
            let LikelihoodRequest { model, images, seed, tolerance } = messages::read(request)?;
            let model = self.model(&model)?.score_model();
            let ([c, h, w], n) = (model.shape, images.len() / model.dim());
            messages::check_count("the number of images", n, 1)?;
            let images = tensor("images", images, &model, [n, c, h, w])?;
            let tolerance = Tolerance { rtol: tolerance, atol: tolerance, ..Tolerance::default() };
            let likelihood = Likelihood { tolerance, ..Likelihood::default() };
            let mut run = self.begin(on_event)?;
            let found = likelihood.measure(&model, images, &Noise::new(seed), &mut run).await?;
            let bits_per_dim = |nats: &f64| bits_per_dim(*nats, model.dim(), model.range);
            Ok(Densities {
                bits_per_dim: found.nats.iter().map(bits_per_dim).collect(),
                nats: found.nats,
                nfe: found.nfe,
                seconds: (now() - started) / 1000.0,
            })
        };
        plain(&measure.await.map_err(|e| self.failure(&e))?)
    }

    /// Stops the current run after its current step; it then fails with code `cancelled`.
    pub fn cancel(&self) {
        self.cancel.borrow().cancel();
    }

    fn failure(&self, error: &Error) -> JsValue {
        failure(error, self.opened.kind)
    }

    fn model(&self, name: &str) -> Result<LoadedModel> {
        named("model", &self.models, name)
    }

    /// A run that reports to `on_event` and listens to [`Session::cancel`].
    fn begin(&self, on_event: Function) -> Result<Run<'static>> {
        let started = now();
        let turns = Turns::new()
            .map_err(|_| Error::device("in use", "offers no message channel", "use a current browser"))?;
        let turns = Rc::new(turns);
        let on_event = move |event| {
            let event = match event {
                Event::Progress { step, n_steps, nfe } => {
                    messages::progress(step, n_steps, nfe, (now() - started) / 1000.0)
                }
                Event::Preview(preview) => messages::preview(&preview.images, preview.shape),
            };
            // A listener that throws has a bug of its own, which must not end the run.
            let _ = on_event.call1(&JsValue::NULL, &event);
        };
        let pause = move || -> Pin<Box<dyn Future<Output = ()>>> {
            let turns = turns.clone();
            Box::pin(async move { turns.next().await })
        };
        let run = Run { on_event: Some(Box::new(on_event)), pause: Some(Box::new(pause)), ..Run::default() };
        *self.cancel.borrow_mut() = run.cancel.clone();
        Ok(run)
    }
}

/// What was loaded under this name.
fn named<T: Clone>(what: &str, loaded: &RefCell<HashMap<String, T>>, name: &str) -> Result<T> {
    let found = loaded.borrow().get(name).cloned();
    found.ok_or_else(|| Error::config(what, format!("`{name}` is not loaded"), "call load first"))
}

/// Reads the images back. `started` is when the request came, in milliseconds.
async fn finish(solution: Solution, started: f64) -> Result<JsValue> {
    let shape = solution.images.dims();
    let lost = |problem: String| Error::device("in use", problem, "reload the page, or choose the CPU");
    let data = solution.images.into_data_async().await.map_err(|e| lost(format!("did not answer ({e})")))?;
    let values: Vec<f32> =
        data.try_to_vec().map_err(|e| lost(format!("answered with other values ({e:?})")))?;
    Ok(messages::result(&values, shape, solution.nfe, (now() - started) / 1000.0))
}
