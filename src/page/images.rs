//! JS values about images and models to Rust and back.

use js_sys::Float32Array;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

use super::messages::object;
use crate::device::DeviceChoice;
use crate::run::Preview;
use crate::weights::ModelCard;
use crate::{Error, Result};

/// Greatest number of images of one request: a typing mistake must not fill the device's memory.
const MAX_COUNT: usize = 1024;

/// `Session.prepare`'s argument; the other fields of an entry are the page's.
#[derive(Debug, Deserialize)]
pub struct ModelEntry {
    pub card: ModelCard,
    /// Of the weight file.
    pub bytes: usize,
}

/// `Session.device`'s result.
#[derive(Debug, Serialize)]
pub struct Device<'a> {
    pub kind: DeviceChoice,
    pub name: &'a str,
    pub reason: &'a str,
}

/// Number of images of a request.
pub fn check_count(what: &str, count: usize, least: usize) -> Result<()> {
    match (least..=MAX_COUNT).contains(&count) {
        true => Ok(()),
        false => Err(Error::config(what, format!("is {count}"), format!("use {least} to {MAX_COUNT}"))),
    }
}

/// Images with their shape, `[n, c, h, w]`, copied out of wasm memory so that the worker can transfer them.
fn images(values: &[f32], [count, channels, height, width]: [usize; 4]) -> [(&'static str, JsValue); 5] {
    [
        ("count", count.into()),
        ("channels", channels.into()),
        ("height", height.into()),
        ("width", width.into()),
        ("images", Float32Array::from(values).into()),
    ]
}

/// `{type: "preview", ...}`, with `denoised` where the model has said something.
pub fn preview(Preview { images: values, denoised, shape, .. }: &Preview) -> JsValue {
    let [count, channels, height, width, images] = images(values, *shape);
    let denoised = denoised.as_deref().map_or(JsValue::UNDEFINED, |values| Float32Array::from(values).into());
    object(&[("type", "preview".into()), count, channels, height, width, images, ("denoised", denoised)])
}

/// What `sample` and `interpolate` return.
pub fn result(values: &[f32], shape: [usize; 4], nfe: usize, seconds: f64) -> JsValue {
    let [count, channels, height, width, images] = images(values, shape);
    object(&[count, channels, height, width, images, ("nfe", nfe.into()), ("seconds", seconds.into())])
}

/// `{type: "progress", ...}`; `n_steps` is an estimate where the solver is adaptive.
pub fn progress(step: usize, n_steps: usize, nfe: usize, seconds: f64) -> JsValue {
    object(&[
        ("type", "progress".into()),
        ("step", step.into()),
        ("n_steps", n_steps.into()),
        ("nfe", nfe.into()),
        ("seconds", seconds.into()),
    ])
}
