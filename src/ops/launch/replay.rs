//! A network's launches on a GPU, recorded once and replayed from then on.
//!
//! For each of the sixty launches of an evaluation the processor finds the kernel, takes memory for the result, and
//! binds both: on a fast GPU that is what small images wait for. From one evaluation to the next nothing of it changes.

use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use burn::cubecl::client::{Client, Graph};
use burn::cubecl::server::ServerError;
use burn::tensor::{Device, Tensor, TensorData};

use super::scratch::Scratch;
use super::{adapter::Adapter, dispatch};
use crate::ops::combine::combine_into;
use crate::ops::scale;

/// Evaluates a function of images and features whose constants (a network's weights) stay as they are.
///
/// On a GPU the second evaluation in a row with inputs of the same shapes is recorded. It and those after it replay the
/// launches, on the memory of the recording, until the shapes change. Clones share the recording.
#[derive(Debug, Clone, Default)]
pub struct Replay(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: Option<Kind>,
    tried: bool,
    recording: Option<Recording>,
}

/// Evaluations of a kind have the same launches. Each thread has a queue of its own on the GPU.
#[derive(Debug, PartialEq)]
struct Kind {
    images: [usize; 4],
    features: [usize; 2],
    adapter: Adapter,
    thread: ThreadId,
}

impl Replay {
    /// `then(f(factors·x, features))`, `features` being `[rows, n]`.
    ///
    /// `f` does nothing but launch kernels. `then` returns nothing that shares memory with its argument: the next
    /// evaluation writes there.
    pub fn run(
        &self,
        (x, factors): (Tensor<4>, &[f64]),
        features: TensorData,
        f: impl Fn(Tensor<4>, Tensor<2>) -> Tensor<4>,
        then: impl FnOnce(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let device = x.device();
        // Who else holds the lock is another thread: what is recorded would not be for this one.
        if let (Some(client), Ok(mut state)) = (dispatch::client(&device), self.0.try_lock()) {
            let kind = Kind {
                images: x.dims(),
                features: features.shape().dims(),
                adapter: Adapter::current(),
                thread: thread::current().id(),
            };
            let input = (x.clone(), factors);
            if let Some(y) = state.replay(kind, &client, input, &features, &f) {
                return then(y);
            }
        }
        then(f(scale(x, factors), Tensor::from_data(features, &device)))
    }
}

impl State {
    /// The result of an evaluation that need not be launched.
    fn replay(
        &mut self,
        kind: Kind,
        client: &Client,
        input: (Tensor<4>, &[f64]),
        features: &TensorData,
        f: impl Fn(Tensor<4>, Tensor<2>) -> Tensor<4>,
    ) -> Option<Tensor<4>> {
        if self.last.as_ref() != Some(&kind) {
            *self = Self { last: Some(kind), ..Self::default() };
            return None;
        }
        if !self.tried {
            self.tried = true;
            let dims = (input.0.dims(), features.shape().dims());
            let recording = Recording::new(client, dims, &input.0.device(), f);
            self.recording = recording
                .inspect_err(|e| log::warn!("the network is launched anew each time, which is slower: {e}"))
                .ok();
        }
        let y = self.recording.as_ref()?.replay(client, input, features);
        // Such as a lost GPU: launching again brings out the error where it is expected.
        y.inspect_err(|_| self.recording = None).ok()
    }
}

/// Launches with the memory that they read their inputs from and write their result to.
#[derive(Debug)]
struct Recording {
    graph: Graph,
    x: Tensor<4>,
    features: Tensor<2>,
    y: Tensor<4>,
    _scratch: Scratch,
}

impl Recording {
    fn new(
        client: &Client,
        (images, features): ([usize; 4], [usize; 2]),
        device: &Device,
        f: impl Fn(Tensor<4>, Tensor<2>) -> Tensor<4>,
    ) -> Result<Self, ServerError> {
        let (x, features) = (Tensor::empty(images, device), Tensor::empty(features, device));
        let f = || dispatch::contiguous(f(x.clone(), features.clone()));
        let mut scratch = Scratch::default();
        client.graph_prepare()?;
        // While it records, the device adds no memory to what it has. The first time, our kernels may take what burn's
        // would have had.
        for _ in 0..2 {
            scratch.rehearse(f);
        }
        let begun = client.start_capture();
        let y = begun.map(|()| scratch.perform(f));
        // In any case: it ends the preparation as well.
        let graph = client.stop_capture();
        Ok(Self { y: y?, graph: graph?, x, features, _scratch: scratch })
    }

    fn replay(
        &self,
        client: &Client,
        input: (Tensor<4>, &[f64]),
        features: &TensorData,
    ) -> Result<Tensor<4>, ServerError> {
        combine_into(self.x.clone(), &[input]).expect("the device has kernels");
        dispatch::write(client, &self.features, features);
        // SAFETY: `self` and the graph keep all memory of the launches from others, and this thread alone uses it, on
        // the queue of the recording (`Kind::thread`).
        #[expect(unsafe_code, reason = "a graph knows nothing of who else uses its memory")]
        unsafe {
            self.graph.replay()?;
        }
        Ok(self.y.clone())
    }
}
