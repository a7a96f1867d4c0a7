use std::ops::Range;

/// Some images of a training step's batch, whose gradient is computed at once.
///
/// A step is the same whatever it is cut into, but for rounding: image `k` of a batch has its random numbers by `k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MicroBatch {
    /// Its first image.
    pub first: usize,
    /// How many images it has.
    pub len: usize,
    /// How many the batch has.
    pub of: usize,
}

impl MicroBatch {
    /// All images of a batch of `of`.
    pub const fn whole(of: usize) -> Self {
        Self { first: 0, len: of, of }
    }

    /// Number `index` of `count` equal parts of a batch of `of` images, which `count` divides.
    pub const fn nth(index: usize, count: usize, of: usize) -> Self {
        Self { first: index * (of / count), len: of / count, of }
    }

    /// Its images.
    pub const fn images(self) -> Range<usize> {
        self.first..self.first + self.len
    }

    /// Where their values lie in the batch's, of which each image has `stride`.
    pub const fn values(self, stride: usize) -> Range<usize> {
        self.first * stride..(self.first + self.len) * stride
    }
}
