//! 2-D convolution of `[b, h, w, c]` images, with what comes before and after it.
//!
//! Channels last, because that is how GPU kernels want images (a permuted view reaches burn's own
//! without a copy) and because on the CPU a row of a window is then one run of memory.

mod add;
mod gradient;
mod host;
mod mirror;
mod upsample;
mod wgsl;
mod wgsl_gradient;

use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use add::{add, add_plain};
pub use gradient::{conv_input_gradient, convolve};
pub use upsample::upsample;
use upsample::upsample_plain;

use super::Joined;
use super::group_norm::{Norm, group_norm, group_norm_plain, shift_norm_silu, shift_norm_silu_plain};

/// Convolves `x` `[b, h, w, c_in]` with `weight` `[k·k·c_in, c_out]`, zero padding `k / 2`.
///
/// Returns `[b, ceil(h / stride), ceil(w / stride), c_out]` for odd `kernel`. Rows of `weight` are
/// ordered (ky, kx, c_in); differentiable in all three arguments.
pub fn conv(x: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>, kernel: usize, stride: usize) -> Tensor<4> {
    let filter = Filter { weight, bias, kernel, stride, pad: kernel / 2 };
    Pass { x: x.into(), upsample: false, filter, then: Then::Nothing }.run()
}

/// A 1x1 convolution of `norm(x)`, `x` being `[b, h, w, c_in]`.
///
/// In one dispatch where the device has a kernel and a workgroup can span an image.
pub fn conv_normalised(x: Tensor<4>, norm: &Norm, filter: Filter) -> Tensor<4> {
    let pass = Pass { x: x.into(), upsample: false, filter, then: Then::Nothing };
    let has_autodiff = pass.x.x.is_autodiff() || pass.filter.weight.is_autodiff();
    let fused = if has_autodiff { None } else { wgsl::run(&pass, Some(norm)) };
    fused.unwrap_or_else(|| Pass { x: group_norm(pass.x.cat(), norm).into(), ..pass }.run())
}

/// [`conv_normalised`] in burn's stock operations: its oracle.
pub fn conv_normalised_plain(x: Tensor<4>, norm: &Norm, filter: Filter) -> Tensor<4> {
    conv_plain(group_norm_plain(x, norm), filter.weight, filter.bias, 1, 1)
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
    convolve_plain(x, Filter { weight, bias, kernel, stride, pad: kernel / 2 })
}

fn convolve_plain(x: Tensor<4>, Filter { weight, bias, kernel, stride, pad }: Filter) -> Tensor<4> {
    let [_, _, _, c_in] = x.dims();
    let [_, c_out] = weight.dims();
    let weight = weight.reshape([kernel, kernel, c_in, c_out]).permute([3, 2, 0, 1]);
    let x = x.permute([0, 3, 1, 2]);
    let after = kernel - 1 - pad;
    let (x, pad) = if pad == after { (x, pad) } else { (x.pad((pad, after, pad, after), 0.0), 0) };
    let options = ConvOptions::new([stride, stride], [pad, pad], [1, 1], 1);
    conv2d(x, weight, Some(bias), options).permute([0, 2, 3, 1])
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
    /// Zeros before the first pixel of each side, `kernel / 2` where the window is centred, less than `kernel`. As many
    /// follow as the last window needs: the result always has `ceil(size / stride)` pixels.
    pub pad: usize,
}

/// What follows a convolution.
#[derive(Debug, Clone)]
#[cfg_attr(
    feature = "gpu",
    expect(
        clippy::large_enum_variant,
        reason = "it lives for one call; a box would be an allocation in each"
    )
)]
pub enum Then<V = Tensor<4>> {
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
        x: Joined<V>,
        /// A 1x1 convolution that gives it as many channels as `y`.
        projection: Option<Filter>,
        /// Multiplies the sum.
        scale: f64,
    },
}

/// A convolution and all that goes with it in one pass over memory, where the device has a kernel.
#[derive(Debug, Clone)]
pub struct Pass<V = Tensor<4>> {
    /// The input, `[b, h, w, c_in]`.
    pub x: Joined<V>,
    /// Double the input's height and width first, as [`upsample`] does.
    pub upsample: bool,
    /// The convolution.
    pub filter: Filter,
    /// What follows it.
    pub then: Then<V>,
}

/// What a pass is made of where no kernel does all of it.
struct Parts {
    upsample: fn(Tensor<4>) -> Tensor<4>,
    conv: fn(Tensor<4>, Filter) -> Tensor<4>,
    norm_silu: fn(Tensor<4>, Tensor<2>, &Norm) -> Tensor<4>,
    add: fn(Tensor<4>, Tensor<4>, f64) -> Tensor<4>,
}

/// Our own code, with its gradients.
const OWN: Parts = Parts { upsample, conv: convolve, norm_silu: shift_norm_silu, add };
const PLAIN: Parts = Parts {
    upsample: upsample_plain,
    conv: convolve_plain,
    norm_silu: shift_norm_silu_plain,
    add: add_plain,
};

impl Pass {
    /// The result, `[b, h', w', c_out]`.
    pub fn run(self) -> Tensor<4> {
        let has_autodiff = self.x.x.is_autodiff() || self.filter.weight.is_autodiff();
        let fused = if has_autodiff { None } else { wgsl::run(&self, None) };
        fused.unwrap_or_else(|| self.compose(OWN))
    }

    /// [`Self::run`] in burn's stock operations: its oracle.
    pub fn run_plain(self) -> Tensor<4> {
        self.compose(PLAIN)
    }

    fn compose(self, Parts { upsample, conv, norm_silu, add }: Parts) -> Tensor<4> {
        let x = self.x.cat();
        let y = conv(if self.upsample { upsample(x) } else { x }, self.filter);
        match self.then {
            Then::Nothing => y,
            Then::ShiftNormSilu { shift, first, norm } => {
                let [_, _, _, c] = y.dims();
                norm_silu(y, shift.narrow(1, first, c), &norm)
            }
            Then::Add { x, projection, scale } => {
                let x = x.cat();
                let x = match projection {
                    Some(projection) => conv(x, projection),
                    None => x,
                };
                add(x, y, scale)
            }
        }
    }
}
