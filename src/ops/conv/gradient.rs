//! The convolution as an op with a gradient.
//!
//! Both gradients read `dy` as the convolution reads `x`. The one of `x` is the convolution of `dy` with the
//! mirrored filter; a stride spreads `dy` with zeros first:
//! `dx[p] = sum over taps t of dy[p + t - pad]·w[k - 1 - t]ᵀ`, `dw[t] = sum over pixels p of x[p + t - pad]ᵀ·dy[p]`.

use burn::tensor::Tensor;

use super::mirror::mirrored;
use super::wgsl_gradient::weight_gradients;
use super::{Filter, Pass, Then, convolve_plain, host, wgsl};
use crate::ops::gradient::record;
use crate::ops::uses_flex;

/// [`super::conv`], by our own code where the device has it, with or without autodiff.
pub fn convolve(x: Tensor<4>, recorded: Filter) -> Tensor<4> {
    let Filter { weight, bias, stride, .. } = recorded.clone();
    let inputs = [x.clone().into_dispatch(), weight.clone().into_dispatch(), bias.clone().into_dispatch()];
    let plain = x.clone().without_autodiff();
    let filter = Filter {
        weight: weight.clone().without_autodiff(),
        bias: bias.without_autodiff(),
        ..recorded.clone()
    };
    let pass = Pass { x: plain.clone().into(), upsample: false, filter: filter.clone(), then: Then::Nothing };
    let (y, on_flex) = match wgsl::run(&pass, None) {
        Some(y) => (y, false),
        None if uses_flex(&plain.device()) => (host::forward(&plain, &filter, !weight.is_autodiff()), true),
        None => return convolve_plain(x, recorded),
    };
    record(inputs, y, move |dy, [wants_x, wants_weight, wants_bias]| {
        let dx = |dy| conv_input_gradient(&plain, &filter, dy).into_dispatch();
        if !wants_weight && !wants_bias {
            return [Some(dx(dy)), None, None];
        }
        if on_flex {
            return host::gradients(&plain, &filter, spread(dy, stride, &plain)).map(Some);
        }
        let (dw, db) = weight_gradients(&plain, &filter, &dy);
        [wants_x.then(|| dx(dy)), Some(dw.into_dispatch()), Some(db.into_dispatch())]
    })
}

/// The gradient `[b, h, w, c_in]` of [`super::conv`] for its input `x`, of which only the shape counts, by hand: for
/// devices without autodiff.
pub fn conv_input_gradient(x: &Tensor<4>, filter: &Filter, dy: Tensor<4>) -> Tensor<4> {
    let dy = spread(dy, filter.stride, x).into();
    Pass { x: dy, upsample: false, filter: mirrored(filter), then: Then::Nothing }.run()
}

/// `dy` with the pixels in between that a stride has skipped, zero there, as large as `x`.
fn spread(dy: Tensor<4>, stride: usize, x: &Tensor<4>) -> Tensor<4> {
    if stride == 1 {
        return dy;
    }
    let [_, height, width, _] = x.dims();
    let [b, h, w, c] = dy.dims();
    let device = dy.device();
    let zeros = Tensor::zeros([b * h * w, stride - 1, c], &device);
    let rows = Tensor::cat(vec![dy.reshape([b * h * w, 1, c]), zeros], 1);
    let zeros = Tensor::zeros([b * h, stride - 1, w * stride * c], &device);
    let all = Tensor::cat(vec![rows.reshape([b * h, 1, w * stride * c]), zeros], 1);
    all.reshape([b, h * stride, w * stride, c]).slice([0..b, 0..height, 0..width, 0..c])
}
