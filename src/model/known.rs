use burn::tensor::Tensor;

use crate::images::DataRange;

/// An orthogonal projection onto the part of an image that is known.
#[derive(Debug, Clone)]
pub enum Projection {
    /// Some pixels: 1 where they are known, 0 elsewhere, `[1, c, h, w]` or `[n, c, h, w]`.
    Mask(Box<Tensor<4>>),
    /// The mean of the colours of each pixel: the first axis of an orthonormal basis of colours whose other
    /// axes are unknown (Song et al. 2021, appendix I.3).
    Grey,
    /// The means of square blocks of this side.
    Blocks(usize),
}

impl Projection {
    /// The known part of `x` `[n, c, h, w]`, as large as `x`.
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, c, h, w] = x.dims();
        match self {
            Self::Mask(mask) => x * *mask.clone(),
            Self::Grey => x.mean_dim(1).expand([n, c, h, w]),
            Self::Blocks(side) => {
                let blocks: Tensor<6> = x.reshape([n, c, h / side, *side, w / side, *side]);
                let dims = blocks.dims();
                blocks.mean_dim(3).mean_dim(5).expand(dims).reshape([n, c, h, w])
            }
        }
    }
}

/// What is known of the images that are wanted.
#[derive(Debug, Clone)]
pub struct Known {
    projection: Projection,
    pixels: Tensor<4>,
}

impl Known {
    /// The part `projection` of `pixels` `[1, c, h, w]` or `[n, c, h, w]`, in `[0, 1]`; the rest of them does
    /// not matter.
    pub fn new(projection: Projection, pixels: Tensor<4>) -> Self {
        let pixels = projection.apply(pixels);
        Self { projection, pixels }
    }

    /// The known part in the units of `range`, zero elsewhere.
    pub(super) fn encoded(&self, range: DataRange) -> Tensor<4> {
        self.projection.apply(range.encode(self.pixels.clone()))
    }

    /// `x` in the units of `range` with its known part replaced.
    pub(super) fn impose(&self, x: Tensor<4>, range: DataRange) -> Tensor<4> {
        x.clone() - self.projection.apply(x) + self.encoded(range)
    }

    /// Pixel values with their known part replaced: exactly where single pixels are known.
    pub fn impose_pixels(&self, images: Tensor<4>) -> Tensor<4> {
        images.clone() - self.projection.apply(images) + self.pixels.clone()
    }
}
