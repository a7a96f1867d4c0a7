use wasm_bindgen::prelude::*;

use crate::page::Session;
use crate::picture::outlines;

#[wasm_bindgen]
impl Session {
    /// Outlines of grey images `[n, 1, height, width]`, the data of an SVG path each: see [`outlines`].
    ///
    /// # Errors
    /// Code `request` for what are no whole images.
    pub fn outline(&self, images: &[f32], height: usize, width: usize) -> Result<Vec<String>, JsValue> {
        outlines(images, [height, width]).map_err(|e| self.failure(&e))
    }
}
