//! Points on their way from noise to the world, and back.

use js_sys::{Float32Array, Function};
use serde::Deserialize;
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

use super::Desk;
use super::desk::{By, coordinates, failed, numbers, points};
use crate::flow::{Likelihood, Tolerance, Trace, decode, encode};
use crate::lab::{Point, Square};
use crate::model::{Learned, ScoreModel};
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

#[wasm_bindgen]
impl Desk {
    /// Draws points by a sampler: `{points, nfe, seconds}`. `on_event` gets `{type: "frame", points, sigma}`, the first one
    /// before the first step: points in the coordinates of what is seen at that noise level, where the square ends at 1.
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

    /// What a score believes that noisy points are: `coordinates` of the world with noise `sigma`.
    ///
    /// # Errors
    /// Code `request`.
    pub async fn denoised(
        &self,
        coordinates_: &Float32Array,
        sigma: f64,
        learned: bool,
    ) -> Result<JsValue, JsValue> {
        let denoised = async {
            let model = self.model(if learned { By::Learned } else { By::True })?;
            let found = denoised(&model, &points(coordinates_), sigma).await?;
            Ok(coordinates(&found))
        };
        denoised.await.map_err(|e| failed(&e))
    }

    /// The logarithm of the density in the square by the ODE, and by its formula: `{found, truth, integral, error, nfe, half}`,
    /// `error` in nats, the mean over the density.
    ///
    /// # Errors
    /// Code `cancelled` or `request`.
    pub async fn likelihood(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let likelihood = async {
            let SquareRequest { places, by } = messages::read(request)?;
            let (lab, model) = (self.lab(), self.model(by)?);
            let square = Square { half: lab.setup.half, places };
            let places = square.points();
            let method = Likelihood { trace: Trace::Exact, ..Likelihood::default() };
            let pixels = model.upload(&lab.values(&places));
            let noise = Noise::new(lab.setup.seed);
            let density = method.measure(&model, pixels, &noise, &mut self.run(on_event)?).await?;
            let sigma = model.sde.sigma(method.eps);
            let truth: Vec<f64> = places.iter().map(|x| lab.truth.log_density(x, sigma)).collect();
            let field = square.field();
            let mass = |nats: &[f64]| nats.iter().map(|nats| nats.exp() * field).sum::<f64>();
            let off =
                density.nats.iter().zip(&truth).map(|(found, truth)| truth.exp() * (found - truth).abs());
            let error = off.sum::<f64>() * field / mass(&truth).max(f64::MIN_POSITIVE);
            Ok(object(&[
                ("found", numbers(density.nats.iter().copied())),
                ("truth", numbers(truth.iter().copied())),
                ("integral", mass(&density.nats).into()),
                ("error", error.into()),
                ("nfe", density.nfe.into()),
                ("half", square.half.into()),
            ]))
        };
        likelihood.await.map_err(|e| failed(&e))
    }

    /// The latent code of a point of the world, in deviations of the prior, and where it leads back to: `{latent, back, nfe}`.
    ///
    /// # Errors
    /// Code `request`.
    pub async fn round(&self, x: f64, y: f64, learned: bool) -> Result<JsValue, JsValue> {
        let round = async {
            let (lab, model) = (self.lab(), self.model(if learned { By::Learned } else { By::True })?);
            let (tolerance, before) =
                (Tolerance { rtol: 1e-4, atol: 1e-4, ..Tolerance::default() }, model.nfe());
            let image = model.upload(&lab.values(&[[x, y]]));
            let latent = encode(&model, image, tolerance, &mut Run::default()).await?;
            let back = decode(&model, latent.clone(), tolerance, false, &mut Run::default()).await?;
            let code = read(latent / model.sde.prior_std()).await?;
            Ok(object(&[
                ("latent", Float32Array::from(code.as_slice()).into()),
                ("back", coordinates(&lab.points(&read(back).await?))),
                ("nfe", (model.nfe() - before).into()),
            ]))
        };
        round.await.map_err(|e| failed(&e))
    }

    /// Where noises lead to: a square of them, two and a half deviations wide, by the consistency function that was learned, or
    /// by the ODE: `{from, to, nfe}`, `from` in deviations of the prior, `to` in the world.
    ///
    /// # Errors
    /// Code `cancelled` or `request`.
    pub async fn leap(&self, request: JsValue, on_event: Function) -> Result<JsValue, JsValue> {
        let leap = async {
            let SquareRequest { places, by } = messages::read(request)?;
            let (lab, model) = (self.lab(), self.model(by)?);
            let from = Square { half: 2.5, places }.points();
            let z: Vec<f32> = from.as_flattened().iter().map(|x| *x as f32).collect();
            let (prior, before) = (model.prior(model.upload(&z)), model.nfe());
            let to = match model.learned {
                Learned::Consistency => model.range.decode(model.denoised(prior, &[1.0])),
                Learned::Score => {
                    decode(&model, prior, Tolerance::default(), true, &mut self.run(on_event)?).await?
                }
            };
            Ok(object(&[
                ("from", coordinates(&from)),
                ("to", coordinates(&lab.points(&read(to).await?))),
                ("nfe", (model.nfe() - before).into()),
            ]))
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

async fn denoised(model: &ScoreModel, points: &[Point], sigma: f64) -> Result<Vec<Point>> {
    let t = model.sde.time_of_sigma(sigma);
    let (mean_coeff, _) = model.sde.marginal_prob(t);
    let values: Vec<f32> = points.as_flattened().iter().map(|x| (mean_coeff * x) as f32).collect();
    let found = read(model.denoised(model.upload(&values), &[t])).await?;
    Ok(found.chunks_exact(2).map(|x| [x[0], x[1]].map(f64::from)).collect())
}
