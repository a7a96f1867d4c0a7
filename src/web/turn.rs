//! Time, and letting the worker's event loop take a turn.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    type MessageChannel;
    #[wasm_bindgen(constructor)]
    fn new() -> MessageChannel;
    #[wasm_bindgen(method, getter)]
    fn port1(this: &MessageChannel) -> MessagePort;
    #[wasm_bindgen(method, getter)]
    fn port2(this: &MessageChannel) -> MessagePort;

    type MessagePort;
    #[wasm_bindgen(method, setter)]
    fn set_onmessage(this: &MessagePort, handler: Option<&js_sys::Function>);
    #[wasm_bindgen(method, js_name = postMessage)]
    fn post_message(this: &MessagePort, message: &JsValue);
    #[wasm_bindgen(method)]
    fn close(this: &MessagePort);

    /// Milliseconds on a clock that never goes back.
    #[wasm_bindgen(js_namespace = performance)]
    pub fn now() -> f64;
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
    pub fn new() -> Self {
        let channel = MessageChannel::new();
        Self { sender: channel.port1(), receiver: channel.port2() }
    }

    /// Resolves after the messages that wait now have been handled.
    pub async fn next(&self) {
        let promise = Promise::new(&mut |resolve, _| {
            self.receiver.set_onmessage(Some(&resolve));
            self.sender.post_message(&JsValue::NULL);
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
