use js_sys::Function;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::checkup::{Reference, Report, evaluation_ms, pace, verify};
use crate::device::{DeviceChoice, Opened};
use crate::ops::set_pace;
use crate::page::Session;
use crate::page::images;
use crate::page::messages::{self, plain};
use crate::page::turn::now;
use crate::weights::ModelCard;

/// `Session.check`'s argument.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckRequest {
    /// What the browser calls the device.
    name: String,
    /// Why this one.
    reason: String,
    /// Of the models to measure with.
    cards: Vec<ModelCard>,
    /// What `Session.reference` of the program for the CPU has found.
    reference: Reference,
}

/// `Session.check`'s result.
#[derive(Debug, Serialize)]
struct Checked {
    text: String,
    good: bool,
}

#[wasm_bindgen]
impl Session {
    /// The version of the program.
    pub fn revision(&self) -> String {
        env!("SCOREFIELD_REVISION").into()
    }

    /// Finds out whether the GPU computes what the CPU does, and how many operations its convolutions do in a second, for
    /// [`Session::set_pace`]; nothing to be found out about the CPU.
    ///
    /// # Errors
    /// Code `device` if it computes something else.
    pub async fn verify(&self) -> Result<f64, JsValue> {
        if self.opened.kind == DeviceChoice::Cpu {
            return Ok(f64::INFINITY);
        }
        let advice = "“Check my device” in About tells more";
        let verified = async {
            verify(&self.opened.device, advice).await?;
            pace(&self.opened.device, seconds).await
        };
        verified.await.map_err(|e| self.failure(&e))
    }

    /// From now on evaluations of many images are divided, so that a GPU of this pace has no dispatch that lasts too long.
    pub fn set_pace(&self, pace: f64) {
        set_pace(pace);
    }

    /// Milliseconds of one evaluation for `count` images, by a network like that of `card`; on the CPU of one thread.
    ///
    /// # Errors
    /// Code `request` for the card of a classifier, `device` if the GPU is lost.
    pub async fn evaluation(&self, card: JsValue, count: usize) -> Result<f64, JsValue> {
        let evaluation = async {
            let card: ModelCard = messages::read(card)?;
            card.validate(&card.name)?;
            images::check_count("count", count, 1)?;
            evaluation_ms(&card.untrained(&self.opened.device)?, count, seconds).await
        };
        evaluation.await.map_err(|e| self.failure(&e))
    }

    /// What other devices are compared with, of the program for the CPU: the models' cards in.
    ///
    /// # Errors
    /// As `sample`.
    pub async fn reference(&self, cards: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let reference = async {
            let cards: Vec<ModelCard> = messages::read(cards)?;
            Reference::of(&self.opened.device, &cards, seconds, telling(on_event)).await
        };
        plain(&reference.await.map_err(|e| self.failure(&e))?)
    }

    /// Describes the device: `{name, reason, cards, reference}` in, `{text, good}` out.
    ///
    /// # Errors
    /// As `sample`.
    pub async fn check(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let check = async {
            let CheckRequest { name, reason, cards, reference } = messages::read(request)?;
            let opened = Opened { name, reason, ..self.opened.clone() };
            let report = Report::of(&opened, &reference, &cards, seconds, telling(on_event)).await?;
            Ok(Checked { text: report.to_string(), good: report.is_good() })
        };
        plain(&check.await.map_err(|e| self.failure(&e))?)
    }
}

/// Tells a listener of steps, as progress.
fn telling(listener: Function) -> impl Fn(usize, usize) {
    let started = now();
    move |step, steps| {
        // A listener that throws has a bug of its own.
        let _ = listener.call1(&JsValue::NULL, &images::progress(step, steps, 0, (now() - started) / 1000.0));
    }
}

fn seconds() -> f64 {
    now() / 1000.0
}
