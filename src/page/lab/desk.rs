use std::cell::RefCell;
use std::rc::Rc;

use burn::tensor::Device;
use js_sys::Float32Array;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::learn::Taught;
use crate::cancel::CancelToken;
use crate::device::{DeviceChoice, Opened};
use crate::lab::lessons::{self, Number};
use crate::lab::{Lab, Mode, Point, Setup};
use crate::learning::Fitting;
use crate::model::ScoreModel;
use crate::objective::Objective;
use crate::page::messages::{self, SamplerEntry, failure, plain};
use crate::sampler::Sampler;
use crate::sde::AnySde;
use crate::toy::Toy;
use crate::{Error, Result};

/// An experiment, and what has been learned in it.
///
/// Every method takes `&self`: `cancel` has to be callable while a run waits for its turn.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Desk {
    pub(super) device: Device,
    lab: RefCell<Rc<Lab>>,
    pub(super) fitting: RefCell<Option<Fitting>>,
    pub(super) learned: RefCell<Option<Rc<ScoreModel>>>,
    pub(super) taught: RefCell<Option<Rc<Taught>>>,
    pub(super) cancel: RefCell<CancelToken>,
}

/// Whose score is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The world's own.
    #[default]
    True,
    /// The network's.
    Learned,
}

/// `Desk.catalogue`'s result.
#[derive(Debug, Serialize)]
struct Catalogue {
    setup: Setup,
    lessons: Vec<(&'static str, Setup)>,
    worlds: Vec<&'static str>,
    samplers: Vec<SamplerEntry>,
    objectives: Vec<Objective>,
    sdes: Vec<AnySde>,
}

/// `Desk.arrange`'s result.
#[derive(Debug, Serialize)]
struct Arranged {
    /// The lowest and the highest noise level.
    levels: [f64; 2],
    /// The modes, where it is made of a few round ones.
    modes: Vec<Mode>,
}

/// A number of a lesson.
#[derive(Debug, Serialize)]
struct Measured {
    #[serde(flatten)]
    number: Number,
    holds: bool,
}

#[wasm_bindgen]
impl Desk {
    /// A desk with the usual experiment.
    ///
    /// # Errors
    /// None in practice: the usual experiment is one.
    pub fn open() -> Result<Desk, JsValue> {
        let device = Opened::cpu("").device;
        let lab = Lab::new(Setup::default(), &device).map_err(|e| failed(&e))?;
        let lab = RefCell::new(Rc::new(lab));
        let (fitting, learned, taught, cancel) = Default::default();
        Ok(Self { device, lab, fitting, learned, taught, cancel })
    }

    /// All there is to choose from: `{setup, lessons, worlds, samplers, objectives, sdes}`.
    ///
    /// # Errors
    /// None in practice; the conversion to JS could fail.
    pub fn catalogue(&self) -> Result<JsValue, JsValue> {
        let make = || -> Result<_> {
            let setup = |name: &&'static str| Ok((*name, lessons::setup(name)?));
            Ok(Catalogue {
                setup: Setup::default(),
                lessons: lessons::NAMES.iter().map(setup).collect::<Result<_>>()?,
                worlds: Toy::ALL.map(Toy::name).to_vec(),
                samplers: Sampler::all().iter().map(messages::sampler).collect::<Result<_>>()?,
                objectives: Objective::all(),
                sdes: AnySde::all(),
            })
        };
        plain(&make().map_err(|e| failed(&e))?)
    }

    /// Begins another experiment, `setup` being the JSON that it is made from (what it leaves out is as usual). What has been
    /// learned stays if it would be learned again.
    ///
    /// # Errors
    /// Code `request` for what makes no experiment.
    pub fn arrange(&self, setup: String) -> Result<JsValue, JsValue> {
        let arrange = || -> Result<_> {
            let setup: Setup = serde_json::from_str(&setup).map_err(|e| {
                Error::config("the experiment", e.to_string(), "see `Setup` in src/lab/mod.rs")
            })?;
            let lab = Lab::new(setup, &self.device)?;
            if !self.lab().setup.learns_like(&lab.setup) {
                let before = self.fitting.borrow_mut().take();
                if let Some(taught) = before.and_then(|before| Taught::by(&before, &self.lab().setup)) {
                    *self.taught.borrow_mut() = Some(Rc::new(taught));
                }
                *self.learned.borrow_mut() = None;
            }
            let sde = lab.setup.sde;
            let arranged = Arranged {
                levels: [sde.sigma(sde.sampling_eps()), sde.sigma(1.0)],
                modes: lab.setup.world.modes(),
            };
            *self.lab.borrow_mut() = Rc::new(lab);
            Ok(arranged)
        };
        plain(&arrange().map_err(|e| failed(&e))?)
    }

    /// The numbers in which a lesson shows, found in the experiment that is on the desk: `[{name, value, error?, expected,
    /// holds}]`.
    ///
    /// # Errors
    /// Code `cancelled` or `request`.
    pub async fn measure(&self, lesson: String) -> Result<JsValue, JsValue> {
        let cancel = self.begin();
        let numbers = lessons::measure(&lesson, &self.lab(), &cancel).await.map_err(|e| failed(&e))?;
        let measured = |number: Number| Measured { holds: number.holds(), number };
        plain(&numbers.into_iter().map(measured).collect::<Vec<_>>())
    }

    /// Stops the current run after its current step.
    pub fn cancel(&self) {
        self.cancel.borrow().cancel();
    }
}

impl Desk {
    pub(super) fn lab(&self) -> Rc<Lab> {
        self.lab.borrow().clone()
    }

    /// The score that is asked for.
    pub(super) fn model(&self, by: By) -> Result<Rc<ScoreModel>> {
        match by {
            By::True => Ok(Rc::new(self.lab().true_model())),
            By::Learned => {
                self.learned.borrow().clone().ok_or_else(|| {
                    Error::config("the learned score", "is not there yet", "let it learn first")
                })
            }
        }
    }

    /// A flag that [`Desk::cancel`] raises.
    pub(super) fn begin(&self) -> CancelToken {
        let cancel = CancelToken::default();
        *self.cancel.borrow_mut() = cancel.clone();
        cancel
    }
}

/// As an error of JS.
pub(super) fn failed(error: &Error) -> JsValue {
    failure(error, DeviceChoice::Cpu)
}

/// Points as coordinates, copied out of wasm memory.
pub(super) fn coordinates(points: &[Point]) -> JsValue {
    numbers(points.as_flattened().iter().copied())
}

pub(super) fn numbers(values: impl Iterator<Item = f64>) -> JsValue {
    Float32Array::from(values.map(|value| value as f32).collect::<Vec<_>>().as_slice()).into()
}

/// Points from coordinates.
pub(super) fn points(coordinates: &Float32Array) -> Vec<Point> {
    let values: Vec<f64> = coordinates.to_vec().into_iter().map(f64::from).collect();
    values.as_chunks().0.to_vec()
}
