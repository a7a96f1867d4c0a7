//! What [`dispatch`](super::dispatch) is in a program that has no code for a GPU: no device has kernels.

use std::convert::Infallible;

use burn::tensor::{Device, Tensor, TensorData};

use super::wgsl::{Kernel, Params, Program};
use crate::ops::scale;

/// None is ever made, and so all that would be done with one is left out of the program. (The field is private, lest the
/// compiler warn of it.)
pub struct Launch(Infallible);

/// No device has kernels.
pub fn runs_on(_: &Device) -> bool {
    false
}

/// Nothing reads weights in half precision.
pub fn reads_half(_: &Device) -> bool {
    false
}

/// Nothing is launched.
pub fn launches() -> usize {
    0
}

/// Nothing would be launched.
pub fn programs(work: impl FnOnce()) -> Vec<Program> {
    work();
    vec![]
}

impl Launch {
    pub fn new(_: &Device, _: Kernel, _: usize) -> Option<Self> {
        None
    }

    pub fn input<const D: usize>(self, _: &'static str, _: Tensor<D>) -> Self {
        match self.0 {}
    }

    pub fn onto<const D: usize>(self, _: &'static str, _: Tensor<D>) -> Self {
        match self.0 {}
    }

    pub fn output<const D: usize>(self, _: &'static str, _: [usize; D]) -> (Self, Tensor<D>) {
        match self.0 {}
    }

    pub fn run(self, _: &impl Params, _: [usize; 3]) {
        match self.0 {}
    }

    pub fn run_for<const D: usize>(
        self,
        _: &'static str,
        _: [usize; D],
        _: &impl Params,
        _: [usize; 3],
    ) -> Tensor<D> {
        match self.0 {}
    }
}

/// Evaluates a function; there are no launches to be recorded.
#[derive(Debug, Clone, Default)]
pub struct Replay {}

impl Replay {
    /// `then(f(factors·x, features))`, `features` being `[rows, n]`.
    pub fn run(
        &self,
        (x, factors): (Tensor<4>, &[f64]),
        features: TensorData,
        f: impl Fn(Tensor<4>, Tensor<2>) -> Tensor<4>,
        then: impl FnOnce(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let device = x.device();
        then(f(scale(x, factors), Tensor::from_data(features, &device)))
    }
}
