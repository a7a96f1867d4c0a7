//! Time, and letting the worker's event loop take a turn.

use std::pin::Pin;
use std::rc::Rc;

use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageChannel, MessagePort, WorkerGlobalScope};

use crate::run::{Event, Run};
use crate::{Error, Result};

/// Milliseconds on a clock that never goes back; 0 outside a worker.
pub fn now() -> f64 {
    let scope = js_sys::global().dyn_into::<WorkerGlobalScope>().ok();
    scope.and_then(|scope| scope.performance()).map_or(0.0, |clock| clock.now())
}

/// A run whose events a listener is told, as messages, and that lets other messages in after every step.
///
/// # Errors
/// [`Error::Device`] where the browser has no message channels.
pub fn telling(listener: Function, message: impl Fn(Event) -> JsValue + 'static) -> Result<Run<'static>> {
    let turns = Turns::new()
        .map_err(|_| Error::device("in use", "offers no message channel", "use a current browser"))?;
    let turns = Rc::new(turns);
    let on_event = move |event| {
        // A listener that throws has a bug of its own, which must not end the run.
        let _ = listener.call1(&JsValue::NULL, &message(event));
    };
    let pause = move || -> Pin<Box<dyn Future<Output = ()>>> {
        let turns = turns.clone();
        Box::pin(async move { turns.next().await })
    };
    Ok(Run { on_event: Some(Box::new(on_event)), pause: Some(Box::new(pause)), ..Run::default() })
}

/// Gives the event loop turns, so that a `cancel` message can arrive between two steps.
///
/// Awaiting a promise is not enough: on the CPU path every promise is settled at once, and settled promises go
/// before messages. A message to oneself is the quickest task behind those that wait already; browsers stretch
/// timers to 4 ms after a few rounds.
struct Turns {
    sender: MessagePort,
    receiver: MessagePort,
}

impl Turns {
    /// Opens the channel.
    fn new() -> Result<Self, JsValue> {
        let channel = MessageChannel::new()?;
        Ok(Self { sender: channel.port1(), receiver: channel.port2() })
    }

    /// Resolves after the messages that wait now have been handled.
    async fn next(&self) {
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
