//! The laboratory's program.
use crate::cancel::CancelToken;
use crate::device::{DeviceChoice, Opened};
use crate::lab::lessons;
use crate::lab::{Lab, Setup};
use crate::learning::Fitting;
use crate::page::messages::{self, failure};
use crate::run::Run;
use js_sys::Float32Array;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
pub struct Desk {
    lab: Lab,
    fitting: Option<Fitting>,
}

#[wasm_bindgen]
impl Desk {
    pub fn open(setup: JsValue) -> Result<Desk, JsValue> {
        let open = || -> crate::Result<Desk> {
            let setup: Setup = messages::read(setup)?;
            Ok(Desk { lab: Lab::new(setup, &Opened::cpu("").device)?, fitting: None })
        };
        open().map_err(|e| failure(&e, DeviceChoice::Cpu))
    }
    pub async fn lesson(&self, k: usize) -> Result<f64, JsValue> {
        let n = lessons::measure(lessons::NAMES[k], &self.lab, &CancelToken::default())
            .await
            .map_err(|e| failure(&e, DeviceChoice::Cpu))?;
        Ok(n[0].value)
    }
    pub async fn learn(&mut self, n: usize) -> Result<f64, JsValue> {
        let mut go = async || -> crate::Result<f64> {
            let fit = self.lab.fit();
            if self.fitting.is_none() {
                self.fitting = Some(fit.begin(&Opened::cpu("").device, vec![])?);
            }
            let f = self.fitting.as_mut().unwrap();
            let mut l = 0.0;
            for i in 0..n {
                l = f.step(&fit.points(&self.lab.truth, i), Some(&self.lab.truth)).await?;
            }
            Ok(l)
        };
        go().await.map_err(|e| failure(&e, DeviceChoice::Cpu))
    }
    pub async fn sample(&self) -> Result<Float32Array, JsValue> {
        let (points, _) = self
            .lab
            .draw(&self.lab.true_model(), &mut Run::default())
            .await
            .map_err(|e| failure(&e, DeviceChoice::Cpu))?;
        let flat: Vec<f32> = points.as_flattened().iter().map(|x| *x as f32).collect();
        Ok(Float32Array::from(&flat[..]))
    }
}
