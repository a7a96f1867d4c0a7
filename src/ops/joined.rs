//! An image in two parts, so that a skip connection needs no copy.

use burn::tensor::Tensor;

/// An image `[b, h, w, c]` whose channels may lie in two tensors: those of `x`, then those of `skip`.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The first channels.
    pub x: Tensor<4>,
    /// The others.
    pub skip: Option<Tensor<4>>,
}

impl From<Tensor<4>> for Joined {
    fn from(x: Tensor<4>) -> Self {
        Self { x, skip: None }
    }
}

impl Joined {
    /// `x` and `skip` as one image; copied into one tensor only where no kernel reads both.
    pub fn new(x: Tensor<4>, skip: Tensor<4>) -> Self {
        match super::takes_wgsl(&x.device()) {
            true => Self { x, skip: Some(skip) },
            false => Tensor::cat(vec![x, skip], 3).into(),
        }
    }

    /// Number of channels of `x` and of `skip`.
    pub fn channels(&self) -> [usize; 2] {
        let last = |x: &Tensor<4>| x.dims()[3];
        [last(&self.x), self.skip.as_ref().map_or(0, last)]
    }

    /// One tensor.
    pub fn cat(self) -> Tensor<4> {
        match self.skip {
            Some(skip) => Tensor::cat(vec![self.x, skip], 3),
            None => self.x,
        }
    }
}
