//! One file a request. To add one: a file with the request's argument and a `#[wasm_bindgen] impl Session` that answers
//! it, its `mod` line here, and a method of the engine in `web/scorefield.js`.

mod check;
mod condition;
mod encode;
mod import;
mod interpolate;
mod likelihood;
mod noise;
mod outline;
mod play;
mod sample;

use burn::tensor::Tensor;
use wasm_bindgen::JsValue;

use super::images;
use super::turn::now;
use crate::model::ScoreModel;
use crate::ops::read;
use crate::run::Solution;
use crate::{Error, Result};

/// Images `values` as a tensor on the model's device.
fn tensor(what: &str, values: &[f32], model: &ScoreModel, shape: [usize; 4]) -> Result<Tensor<4>> {
    check_images(what, values, shape)?;
    Ok(crate::ops::upload(values, shape, model.device()))
}

/// That `values` are as many numbers as the shape says.
fn check_images(what: &str, values: &[f32], [n, c, h, w]: [usize; 4]) -> Result<()> {
    if values.len() != n * c * h * w {
        let problem = format!("has {} values", values.len());
        return Err(Error::config(what, problem, format!("give {n} x {c} x {h} x {w}")));
    }
    if !values.iter().all(|v| v.is_finite()) {
        return Err(Error::config(what, "has a value that is not a number", "use values from 0 to 1"));
    }
    Ok(())
}

/// A weight or factor that changes nothing.
fn one() -> f64 {
    1.0
}

/// Reads the images back. `started` is when the request came, in milliseconds.
async fn finish(solution: Solution, started: f64) -> Result<JsValue> {
    let shape = solution.images.dims();
    let values = read(solution.images).await?;
    Ok(images::result(&values, shape, solution.nfe, (now() - started) / 1000.0))
}
