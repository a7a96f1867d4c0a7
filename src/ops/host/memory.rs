//! Tensors in main memory, without autodiff, and their values.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Bytes, DType, Shape, Tensor, TensorData};

/// The values of a tensor in main memory, in order. A part of a larger tensor is seen where it lies: the weights that
/// learn are parts of one row.
pub struct Values {
    tensor: FlexTensor,
    first: usize,
    len: usize,
}

impl Values {
    /// All of them.
    pub fn slice(&self) -> &[f32] {
        &self.tensor.storage()[self.first..][..self.len]
    }

    /// What they lie in and where, the same as long as they are not written to.
    pub fn place(&self) -> (Arc<Bytes>, usize) {
        (self.tensor.data_arc(), self.first)
    }
}

/// The values of a tensor in main memory, without autodiff.
pub fn values<const D: usize>(tensor: &Tensor<D>) -> Values {
    let tensor = tensor.clone().try_into_primitive::<Flex>();
    let mut tensor = tensor.expect("a tensor in main memory, without autodiff");
    if tensor.dtype() != DType::F32 || !tensor.is_contiguous() {
        tensor = tensor.to_contiguous();
    }
    let (first, len) = (tensor.layout().start_offset(), tensor.layout().num_elements());
    Values { tensor, first, len }
}

/// Changes the values of a tensor in main memory, without autodiff: where they are, if nobody else has them.
pub fn change<R>(tensor: &mut Tensor<1>, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let nothing = Tensor::empty([0], &tensor.device());
    let owned = std::mem::replace(tensor, nothing).try_into_primitive::<Flex>();
    let mut owned = owned.expect("a tensor in main memory, without autodiff").to_contiguous();
    let result = f(owned.storage_mut());
    *tensor = Tensor::from_primitive::<Flex>(owned);
    result
}

/// A tensor in main memory that owns `values`.
pub fn tensor<const D: usize>(values: Vec<f32>, shape: impl Into<Shape>) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(values, shape)))
}
