//! What the page's workers call, plain JS values in and out: of the images (`web/engine/worker.js`) one [`Session`] per
//! worker, of the laboratory one [`lab::Desk`]. There are two programs, one for each kind of device; the laboratory is in the
//! one for the CPU.
//!
//! Every request of images is a file in `requests/`: its argument, and the method that answers it. The worker is replaced as
//! a whole when something breaks, so nothing here recovers from a panic or from a lost GPU; `web/engine/wgpu-shim.js`
//! watches for those, `web/scorefield.js` starts again on the CPU.

mod images;
#[cfg(feature = "learn")]
pub mod lab;
mod messages;
mod requests;
mod session;
mod turn;

pub use session::Session;

use wasm_bindgen::prelude::*;

#[expect(unsafe_code, reason = "the linker's symbol for all static constructors has no safe name")]
unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Runs once, when the worker has compiled the module.
///
/// burn registers its kernels in static constructors. If nothing here called them, the linker would wrap every
/// export in a call to all of them: ten times slower, measured, and tested on the built file.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    // burn reports a rejected shader nowhere but in the log.
    console_log::init_with_level(log::Level::Warn).ok();
    #[expect(unsafe_code, reason = "called once, before anything else of the module")]
    unsafe {
        __wasm_call_ctors();
    }
}
