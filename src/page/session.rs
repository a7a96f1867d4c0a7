use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

use burn::tensor::Tensor;
use js_sys::{Function, Uint8Array};
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::*;

use super::images::{self, ModelEntry};
use super::messages::{self, failure, plain};
use super::turn::{now, telling};
use crate::cancel::CancelToken;
use crate::device::{self, DeviceChoice, Opened};
use crate::ops::Adapter;
use crate::run::{Event, Run};
use crate::sampler::Sampler;
use crate::weights::{Architecture, LoadedClassifier, LoadedModel, ModelFile, Needs, hex};
use crate::{Error, Result};

/// Bytes of a file that are read at a time to check it.
const PIECE: usize = 1 << 22;

/// A device and the models loaded on it.
///
/// Every method takes `&self`: `cancel` has to be callable while a run is waiting for the device.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Session {
    pub(super) opened: Opened,
    models: RefCell<HashMap<String, LoadedModel>>,
    pub(super) classifiers: RefCell<HashMap<String, LoadedClassifier>>,
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
    /// A JS error with a `code`, as all methods: see `failure` in messages.rs.
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
        plain(&images::Device {
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
            images::check_count("count", count, 1)?;
            if values * size_of::<half::f16>() < bytes {
                let [c, h, w] = [card.channels, card.height, card.width];
                let x = Tensor::zeros([count, c, h, w], &self.opened.device);
                card.untrained(&self.opened.device)?.denoised(x, &[1.0]);
            }
            Ok(())
        };
        prepare().ok();
    }

    /// Checks a weight file of `bytes` bytes against its SHA-256 (in hex), puts it on the device, and returns its model
    /// card. `read(from, to)` gives a piece of it, as a `Uint8Array`: the whole file need not be in memory.
    ///
    /// # Errors
    /// Code `weights` if the file is damaged or is not a score model, `device` if the GPU cannot hold it.
    pub fn load(&self, name: &str, bytes: usize, sha256: &str, read: &Function) -> Result<JsValue, JsValue> {
        let piece = |range: Range<usize>| -> Result<Cow<'_, [u8]>> {
            let read = read.call2(&JsValue::NULL, &range.start.into(), &range.end.into());
            let piece = read.map(|piece| Uint8Array::new(&piece).to_vec()).unwrap_or_default();
            match piece.len() == range.len() {
                true => Ok(Cow::Owned(piece)),
                false => Err(Error::weights(name, "its file cannot be read any more", "choose it again")),
            }
        };
        let load = || -> Result<_> {
            let mut digest = Sha256::new();
            for start in (0..bytes).step_by(PIECE) {
                digest.update(piece(start..bytes.min(start + PIECE))?);
            }
            let found = hex(&digest.finalize());
            if !found.eq_ignore_ascii_case(sha256) {
                let problem = format!("the file of {bytes} bytes is damaged (wrong checksum)");
                return Err(Error::weights(name, problem, "try again, or tell the owner of this page"));
            }
            let file = ModelFile::read(name, bytes, piece)?;
            self.holds(name, file.needs())?;
            let card = file.card.clone();
            let (name, device) = (name.to_owned(), &self.opened.device);
            match card.architecture {
                Architecture::Score { .. } => drop(self.models.borrow_mut().insert(name, file.load(device)?)),
                Architecture::Classifier { .. } => {
                    let classifier = LoadedClassifier::new(file, device)?;
                    self.classifiers.borrow_mut().insert(name, classifier);
                }
            }
            Ok(card)
        };
        plain(&load().map_err(|e| self.failure(&e))?)
    }

    /// Stops the current run after its current step; it then fails with code `cancelled`.
    pub fn cancel(&self) {
        self.cancel.borrow().cancel();
    }
}

impl Session {
    pub(super) fn failure(&self, error: &Error) -> JsValue {
        failure(error, self.opened.kind)
    }

    pub(super) fn model(&self, name: &str) -> Result<LoadedModel> {
        named("model", &self.models, name)
    }

    /// Refuses more images at a time than the GPU can hold.
    pub(super) fn has_room(&self, model: &LoadedModel, count: usize) -> Result<()> {
        let bytes = model.image_bytes() * count as u64;
        let Some((limit, most)) = self.opened.exceeded(bytes) else { return Ok(()) };
        let [needed, held] = [bytes, most].map(megabytes);
        let problem = format!("need {needed} in one piece, more than the GPU's {limit} of {held}");
        let fix = format!("ask for at most {}, or use the CPU", most / model.image_bytes());
        Err(Error::config(format!("{count} images"), problem, fix))
    }

    /// Refuses a model that the GPU cannot hold, before anything of it is there.
    fn holds(&self, name: &str, Needs { largest_weight, image, .. }: Needs) -> Result<()> {
        let bytes = largest_weight.max(image);
        let Some((limit, most)) = self.opened.exceeded(bytes) else { return Ok(()) };
        let what = if image < bytes { "a weight" } else { "a layer" };
        let [needed, held] = [bytes, most].map(megabytes);
        let problem = format!("{what} of {name} takes {needed}, more than its {limit} of {held}");
        Err(Error::device("gpu", problem, "use the CPU"))
    }

    /// A run that reports to `on_event` and listens to [`Session::cancel`].
    pub(super) fn begin(&self, on_event: Function) -> Result<Run<'static>> {
        let started = now();
        let message = move |event| match event {
            Event::Progress { step, n_steps, nfe } => {
                images::progress(step, n_steps, nfe, (now() - started) / 1000.0)
            }
            Event::Preview(preview) => images::preview(&preview),
        };
        let run = telling(on_event, message)?;
        *self.cancel.borrow_mut() = run.cancel.clone();
        Ok(run)
    }
}

fn megabytes(bytes: u64) -> String {
    let millions = bytes as f64 / 1e6;
    format!("{millions:.0$} MB", usize::from(millions < 10.0))
}

/// What was loaded under this name.
pub(super) fn named<T: Clone>(what: &str, loaded: &RefCell<HashMap<String, T>>, name: &str) -> Result<T> {
    let found = loaded.borrow().get(name).cloned();
    found.ok_or_else(|| Error::config(what, format!("`{name}` is not loaded"), "call load first"))
}
