use burn::tensor::Device;
use js_sys::Function;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::checkup::{Report, evaluation_ms, pace, verify};
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
}

/// `Session.race`'s result.
#[derive(Debug, Serialize)]
struct Race {
    gpu: f64,
    cpu: f64,
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

    /// Milliseconds of one evaluation for `count` images, by a network like that of `card`: `{gpu, cpu}`, the latter on one
    /// thread.
    ///
    /// # Errors
    /// Code `request` for the card of a classifier, `device` if the GPU is lost.
    pub async fn race(&self, card: JsValue, count: usize) -> Result<JsValue, JsValue> {
        let race = async {
            let card: ModelCard = messages::read(card)?;
            card.validate(&card.name)?;
            images::check_count("count", count, 1)?;
            let [gpu, cpu] = [&self.opened.device, &Device::flex()].map(|device| card.untrained(device));
            Ok(Race {
                gpu: evaluation_ms(&gpu?, count, seconds).await?,
                cpu: evaluation_ms(&cpu?, count, seconds).await?,
            })
        };
        plain(&race.await.map_err(|e| self.failure(&e))?)
    }

    /// Describes the device: `{name, reason, cards}` in, `{text, good}` out.
    ///
    /// # Errors
    /// As `sample`.
    pub async fn check(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let started = now();
        let check = async {
            let CheckRequest { name, reason, cards } = messages::read(request)?;
            let opened = Opened { name, reason, ..self.opened.clone() };
            let report = Report::of(&opened, &cards, seconds, |step, steps| {
                let progress = images::progress(step, steps, 0, (now() - started) / 1000.0);
                // A listener that throws has a bug of its own.
                let _ = on_event.call1(&JsValue::NULL, &progress);
            });
            let report = report.await?;
            Ok(Checked { text: report.to_string(), good: report.is_good() })
        };
        plain(&check.await.map_err(|e| self.failure(&e))?)
    }
}

fn seconds() -> f64 {
    now() / 1000.0
}
