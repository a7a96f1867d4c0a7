//! Time, and letting the worker's event loop take a turn.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageChannel, MessagePort, WorkerGlobalScope};

/// Milliseconds on a clock that never goes back; 0 outside a worker.
pub fn now() -> f64 {
    let scope = js_sys::global().dyn_into::<WorkerGlobalScope>().ok();
    scope.and_then(|scope| scope.performance()).map_or(0.0, |clock| clock.now())
}

/// Gives the event loop turns, so that a `cancel` message can arrive between two steps.
///
/// Awaiting a promise is not enough: on the CPU path every promise is settled at once, and settled promises go
/// before messages. A message to oneself is the quickest task behind those that wait already; browsers stretch
/// timers to 4 ms after a few rounds.
pub struct Turns {
    sender: MessagePort,
    receiver: MessagePort,
}

impl Turns {
    /// Opens the channel.
    pub fn new() -> Result<Self, JsValue> {
        let channel = MessageChannel::new()?;
        Ok(Self { sender: channel.port1(), receiver: channel.port2() })
    }

    /// Resolves after the messages that wait now have been handled.
    pub async fn next(&self) {
        let promise = Promise::new(&mut |resolve, _| {
            self.receiver.set_onmessage(Some(&resolve));
            // A message of null can always be cloned.
            let _ = self.sender.post_message(&JsValue::NULL);
        });
        // The promise has no way to reject.
        let _ = JsFuture::from(promise).await;
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.receiver.set_onmessage(None);
        self.sender.close();
    }
}
