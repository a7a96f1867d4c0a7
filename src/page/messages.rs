//! JS values to Rust and back: what both programs say.

use js_sys::{Object, Reflect};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasm_bindgen::JsValue;

use crate::device::DeviceChoice;
use crate::model::Learned;
use crate::sampler::{OptionInfo, Sampler, SamplerInfo};
use crate::{Error, Result};

/// A sampler as the page's controls want it.
#[derive(Debug, Serialize)]
pub struct SamplerEntry {
    name: &'static str,
    title: &'static str,
    help: &'static str,
    needs: Learned,
    /// Network evaluations that it takes as it comes; null for one that takes as many as it needs.
    nfe: Option<usize>,
    options: Vec<OptionEntry>,
}

#[derive(Debug, Serialize)]
struct OptionEntry {
    #[serde(flatten)]
    info: OptionInfo,
    default: Value,
}

/// A registry entry with the values of `sampler` as the defaults.
pub fn sampler(sampler: &Sampler) -> Result<SamplerEntry> {
    let SamplerInfo { name, title, help, needs, options } = sampler.info();
    let values = serde_json::to_value(sampler)
        .map_err(|e| Error::config(name, format!("has no JSON form ({e})"), "report this as a bug"))?;
    let options =
        options.iter().map(|info| OptionEntry { info: *info, default: values[info.name].clone() }).collect();
    Ok(SamplerEntry { name, title, help, needs, nfe: sampler.evaluations(), options })
}

/// Reads a request; what is missing or of the wrong type is named.
pub fn read<T: for<'de> Deserialize<'de>>(value: JsValue) -> Result<T> {
    serde_wasm_bindgen::from_value(value).map_err(|e| {
        Error::config(
            "request",
            format!("is not complete ({e})"),
            "see the types in scorefield.js and engine/lab.js",
        )
    })
}

/// A serialisable value as a plain JS object.
pub fn plain(value: &impl Serialize) -> Result<JsValue, JsValue> {
    Ok(value.serialize(&serde_wasm_bindgen::Serializer::json_compatible())?)
}

/// A JS object of the given entries.
pub fn object(entries: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (key, value) in entries {
        // Setting a property of a fresh plain object cannot fail.
        let _ = Reflect::set(&object, &(*key).into(), value);
    }
    object.into()
}

/// A JS error whose `code` tells `web/scorefield.js` what to do: `device` means that the GPU is at fault and the
/// CPU should try. A result that is not finite is blamed on the GPU first, because a driver that
/// miscompiles a shader shows itself in no other way.
pub fn failure(error: &Error, kind: DeviceChoice) -> JsValue {
    let code = match error {
        Error::Cancelled { .. } => "cancelled",
        Error::Weights { .. } => "weights",
        Error::Device { .. } => "device",
        Error::NonFinite { .. } if kind == DeviceChoice::Gpu => "device",
        _ => "request",
    };
    let thrown = js_sys::Error::new(&error.to_string());
    // Cannot fail, as above.
    let _ = Reflect::set(&thrown, &"code".into(), &code.into());
    thrown.into()
}
