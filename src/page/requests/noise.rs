use js_sys::Float32Array;
use wasm_bindgen::prelude::*;

use crate::page::Session;
use crate::rng::{Domain, Noise};

#[wasm_bindgen]
impl Session {
    /// `length` standard normals of a seed: the noise that a visitor adds to a picture, which is that of
    /// `denoise --add SEED` natively.
    pub fn noise(&self, seed: f64, length: usize) -> Float32Array {
        let noise = Noise::new(seed as u64).domain(Domain::Corruption);
        Float32Array::from(noise.normal(0, 1, length).as_slice())
    }
}
