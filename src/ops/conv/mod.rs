//! 2-D convolution of `[b, h, w, c]` images, with what comes before and after it.
//!
//! Channels last, because that is how GPU kernels want images (a permuted view reaches burn's own
//! without a copy) and because on the CPU a row of a window is then one run of memory.

mod add;
mod flex;
mod gradient;
mod wgsl;
mod wgsl_gradient;

use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use add::{add, add_plain};
use gradient::convolve;

use super::Joined;
use super::group_norm::{Norm, shift_norm_silu, shift_norm_silu_plain};

/// Convolves `x` `[b, h, w, c_in]` with `weight` `[k·k·c_in, c_out]`, zero padding `k / 2`.
///
/// Returns `[b, ceil(h / stride), ceil(w / stride), c_out]` for odd `kernel`. Rows of `weight` are
/// ordered (ky, kx, c_in); differentiable in all three arguments.
pub fn conv(x: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>, kernel: usize, stride: usize) -> Tensor<4> {
    let filter = Filter { weight, bias, kernel, stride };
    Pass { x: x.into(), upsample: false, filter, then: Then::Nothing }.run()
}

/// [`conv`] in burn's stock operations: the oracle of the tests, and the path of every device without
/// an own one.
pub fn conv_plain(
    x: Tensor<4>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    kernel: usize,
    stride: usize,
) -> Tensor<4> {
    let [_, _, _, c_in] = x.dims();
    let [_, c_out] = weight.dims();
    let weight = weight.reshape([kernel, kernel, c_in, c_out]).permute([3, 2, 0, 1]);
    let pad = kernel / 2;
    let options = ConvOptions::new([stride, stride], [pad, pad], [1, 1], 1);
    conv2d(x.permute([0, 3, 1, 2]), weight, Some(bias), options).permute([0, 2, 3, 1])
}

/// Doubles height and width, each pixel repeated (nearest neighbour).
pub fn upsample(x: Tensor<4>) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let rows = x.reshape([b * h * w, 1, c]).repeat_dim(1, 2).reshape([b * h, 1, 2 * w * c]);
    rows.repeat_dim(1, 2).reshape([b, 2 * h, 2 * w, c])
}

/// The weights of a convolution and their geometry; see [`conv`].
#[derive(Debug, Clone)]
pub struct Filter {
    /// `[k·k·c_in, c_out]`.
    pub weight: Tensor<2>,
    /// `[c_out]`.
    pub bias: Tensor<1>,
    /// Side of the window, odd.
    pub kernel: usize,
    /// 1, or 2 to halve the image.
    pub stride: usize,
}

impl Filter {
    fn apply(self, x: Tensor<4>, conv: ConvFn) -> Tensor<4> {
        conv(x, self.weight, self.bias, self.kernel, self.stride)
    }
}

/// What follows a convolution.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "it lives for one call; a box would be an allocation in each")]
pub enum Then {
    /// Its output is the result.
    Nothing,
    /// `silu(norm(y + shift))`, `shift` with one row per image or for all: the first half of a
    /// residual block.
    ShiftNormSilu {
        /// Added to every pixel of an image: `c_out` columns of a wider matrix, from `first` on.
        shift: Tensor<2>,
        /// The first column.
        first: usize,
        /// The normalisation.
        norm: Norm,
    },
    /// `scale·(y + x)`, or `scale·(y + projection(x))`: the second half.
    Add {
        /// The block's input.
        x: Joined,
        /// A 1x1 convolution that gives it as many channels as `y`.
        projection: Option<Filter>,
        /// Multiplies the sum.
        scale: f64,
    },
}

/// A convolution and all that goes with it in one pass over memory, where the device has a kernel.
#[derive(Debug, Clone)]
pub struct Pass {
    /// The input, `[b, h, w, c_in]`.
    pub x: Joined,
    /// Double the input's height and width first, as [`upsample`] does.
    pub upsample: bool,
    /// The convolution.
    pub filter: Filter,
    /// What follows it.
    pub then: Then,
}

type ConvFn = fn(Tensor<4>, Tensor<2>, Tensor<1>, usize, usize) -> Tensor<4>;
type NormFn = fn(Tensor<4>, Tensor<2>, &Norm) -> Tensor<4>;
type AddFn = fn(Tensor<4>, Tensor<4>, f64) -> Tensor<4>;

impl Pass {
    /// The result, `[b, h', w', c_out]`.
    pub fn run(self) -> Tensor<4> {
        let has_autodiff = self.x.x.is_autodiff() || self.filter.weight.is_autodiff();
        let fused = if has_autodiff { None } else { wgsl::run(&self) };
        fused.unwrap_or_else(|| self.compose(convolve, shift_norm_silu, add))
    }

    /// [`Self::run`] in burn's stock operations: its oracle.
    pub fn run_plain(self) -> Tensor<4> {
        self.compose(conv_plain, shift_norm_silu_plain, add_plain)
    }

    fn compose(self, conv: ConvFn, norm_silu: NormFn, add: AddFn) -> Tensor<4> {
        let x = self.x.cat();
        let y = self.filter.apply(if self.upsample { upsample(x) } else { x }, conv);
        match self.then {
            Then::Nothing => y,
            Then::ShiftNormSilu { shift, first, norm } => {
                let [_, _, _, c] = y.dims();
                norm_silu(y, shift.narrow(1, first, c), &norm)
            }
            Then::Add { x, projection, scale } => {
                let x = x.cat();
                let x = match projection {
                    Some(projection) => projection.apply(x, conv),
                    None => x,
                };
                add(x, y, scale)
            }
        }
    }
}
