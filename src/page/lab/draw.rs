//! Points on their way from noise to the world, and back.

use js_sys::{Float32Array, Function};
use serde::Deserialize;
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

use super::Desk;
use super::desk::{By, coordinates, failed, numbers, points};
use crate::lab::measure::denoised;
use crate::lab::{Densities, Leap, RoundTrip};
use crate::ops::read;
use crate::page::messages::{self, object};
use crate::page::turn::{now, telling};
use crate::rng::Noise;
use crate::run::{Event, Run};
use crate::sampler::Sampler;
use crate::{Error, Result};

/// `Desk.sample`'s argument.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleRequest {
    sampler: String,
    #[serde(default)]
    options: Map<String, Value>,
    by: By,
    count: usize,
    /// Steps between pictures.
    every: usize,
}

/// Points of a square, by a score.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SquareRequest {
    places: usize,
    by: By,
}

/// The noise of points, and who is asked about them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoisyRequest {
    sigma: f64,
    by: By,
}

/// A point of the world.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PointRequest {
    x: f64,
    y: f64,
    by: By,
}

#[wasm_bindgen]
impl Desk {
    /// Draws points by a sampler: `{points, nfe, seconds}`. `on_event` gets `{type: "progress", step, n_steps, nfe}` after each step,
    /// and before it, every so many steps, `{type: "frame", points, sigma}`: points in the coordinates of what is seen at that
    /// noise level, where the square ends at 1.
    ///
    /// # Errors
    /// Code `cancelled` or `request`.
    pub async fn sample(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let sample = async {
            let SampleRequest { sampler, options, by, count, every } = messages::read(request)?;
            let (lab, model, started) = (self.lab(), self.model(by)?, now());
            if !(1..=200_000).contains(&count) {
                return Err(Error::config("count", format!("is {count}"), "use 1 to 200000"));
            }
            let sampler = Sampler::with_options(&sampler, &options)?;
            let noise = Noise::new(lab.setup.seed);
            let mut run = self.run(on_event)?;
            run.preview_every = every.max(1);
            let solution = sampler.sample(&model, &noise, count, &mut run).await?;
            let drawn = lab.points(&read(solution.images).await?);
            Ok(object(&[
                ("points", coordinates(&drawn)),
                ("nfe", solution.nfe.into()),
                ("seconds", ((now() - started) / 1000.0).into()),
            ]))
        };
        sample.await.map_err(|e| failed(&e))
    }

    /// What a score believes that noisy points are: coordinates of the world.
    ///
    /// # Errors
    /// Code `request`.
    pub async fn denoised(&self, noisy: &Float32Array, request: JsValue) -> Result<JsValue, JsValue> {
        let denoised = async {
            let NoisyRequest { sigma, by } = messages::read(request)?;
            Ok(coordinates(&denoised(&*self.model(by)?, &points(noisy), sigma).await?))
        };
        denoised.await.map_err(|e| failed(&e))
    }

    /// The logarithm of the density in the square by the ODE, and by its formula: `{found, truth, integral, error, nfe}`.
    ///
    /// # Errors
    /// Code `cancelled` or `request`.
    pub async fn likelihood(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let likelihood = async {
            let SquareRequest { places, by } = messages::read(request)?;
            let (model, mut run) = (self.model(by)?, self.run(on_event)?);
            let Densities { found, truth, integral, error, nfe } =
                self.lab().densities(&model, places, &mut run).await?;
            Ok(object(&[
                ("found", numbers(found.into_iter())),
                ("truth", numbers(truth.into_iter())),
                ("integral", integral.into()),
                ("error", error.into()),
                ("nfe", nfe.into()),
            ]))
        };
        likelihood.await.map_err(|e| failed(&e))
    }

    /// The code of a point of the world, in deviations of the prior, and where it leads back to: `{code, back, nfe}`.
    ///
    /// # Errors
    /// Code `request`.
    pub async fn round(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let round = async {
            let PointRequest { x, y, by } = messages::read(request)?;
            let model = self.model(by)?;
            let RoundTrip { code, back, nfe } =
                self.lab().round_trip(&model, [x, y], &mut Run::default()).await?;
            Ok(object(&[("code", coordinates(&[code])), ("back", coordinates(&[back])), ("nfe", nfe.into())]))
        };
        round.await.map_err(|e| failed(&e))
    }

    /// Where a square of noises is led to, by the consistency function that was learned, or by the ODE: `{from, to, nfe}`, `from`
    /// in deviations of the prior, `to` in the world.
    ///
    /// # Errors
    /// Code `cancelled` or `request`.
    pub async fn leap(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let leap = async {
            let SquareRequest { places, by } = messages::read(request)?;
            let (model, mut run) = (self.model(by)?, self.run(on_event)?);
            let Leap { from, to, nfe } = self.lab().leap(&model, places, &mut run).await?;
            Ok(object(&[("from", coordinates(&from)), ("to", coordinates(&to)), ("nfe", nfe.into())]))
        };
        leap.await.map_err(|e| failed(&e))
    }
}

impl Desk {
    /// A run that tells its frames and listens to [`Desk::cancel`].
    fn run(&self, on_event: Function) -> Result<Run<'static>> {
        let message = |event| match event {
            Event::Progress { step, n_steps, nfe } => object(&[
                ("type", "progress".into()),
                ("step", step.into()),
                ("n_steps", n_steps.into()),
                ("nfe", nfe.into()),
            ]),
            Event::Preview(preview) => {
                let seen = preview.images.chunks_exact(2).flat_map(|x| [x[0], x[1]]);
                let seen = seen.map(|value| 2.0 * f64::from(value) - 1.0);
                object(&[
                    ("type", "frame".into()),
                    ("points", numbers(seen)),
                    ("sigma", preview.sigma.into()),
                ])
            }
        };
        let run = telling(on_event, message)?;
        *self.cancel.borrow_mut() = run.cancel.clone();
        Ok(run)
    }
}
