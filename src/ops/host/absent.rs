//! What [`memory`](super::memory) is in a program that has no code for the CPU: no tensor is in main memory, and so all that
//! would be done with one is left out of the program.

use std::convert::Infallible;
use std::sync::Arc;

use burn::tensor::{Bytes, Shape, Tensor};

/// None is ever made.
pub struct Values(Infallible);

impl Values {
    pub fn slice(&self) -> &[f32] {
        match self.0 {}
    }

    pub fn place(&self) -> (Arc<Bytes>, usize) {
        match self.0 {}
    }
}

pub fn values<const D: usize>(_: &Tensor<D>) -> Values {
    nowhere()
}

pub fn change<R>(_: &mut Tensor<1>, _: impl FnOnce(&mut [f32]) -> R) -> R {
    nowhere()
}

pub fn tensor<const D: usize>(_: Vec<f32>, _: impl Into<Shape>) -> Tensor<D> {
    nowhere()
}

/// Of an op that has neither a kernel for its tensors nor a form in burn's operations.
fn nowhere() -> ! {
    unreachable!("this program has no code for the CPU")
}
