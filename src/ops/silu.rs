//! `x·sigmoid(x)`, and the shift before it by which a layer is told the noise level.

use burn::tensor::activation::{self, sigmoid};
use burn::tensor::{Shape, Tensor};

use super::gradient::record;
use super::{host, is_flex};

/// `x·sigmoid(x)`; differentiable. burn's is exact, but computes one value after the other in main memory.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let plain = x.clone().without_autodiff();
    if !is_flex(&plain.device()) {
        return silu_plain(x);
    }
    let y = each([&plain], |[x]| x * host::sigmoid(x));
    record([x.into_dispatch()], y, move |dy, _| [Some(each([&plain, &dy], slope).into_dispatch())])
}

/// [`silu`] in burn's stock operations: the oracle of the tests.
pub fn silu_plain<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// How [`silu`] of `x` changes as `x` does by `dx`; differentiable in both.
pub fn silu_tangent<const D: usize>(x: Tensor<D>, dx: Tensor<D>) -> Tensor<D> {
    let plain = [&x, &dx].map(|x| x.clone().without_autodiff());
    if !is_flex(&plain[0].device()) {
        return silu_tangent_plain(x, dx);
    }
    let y = each(plain.each_ref(), slope);
    record([x.into_dispatch(), dx.into_dispatch()], y, move |dy, wanted| {
        let [x, dx] = &plain;
        let of_x = || each([x, dx, &dy], curve).into_dispatch();
        let of_dx = || each([x, &dy], slope).into_dispatch();
        [wanted[0].then(of_x), wanted[1].then(of_dx)]
    })
}

/// [`silu_tangent`] in burn's stock operations: the oracle of the tests.
pub fn silu_tangent_plain<const D: usize>(x: Tensor<D>, dx: Tensor<D>) -> Tensor<D> {
    dx * silu_slope(x)
}

/// The derivative of `x·sigmoid(x)`.
pub(crate) fn silu_slope<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let s = sigmoid(x.clone());
    s.clone() * (x * (s.neg() + 1.0) + 1.0)
}

/// `x` `[1, n, p, c]` with a row of `rows` `[n, c]` added to each pixel of its point, or one row to all; differentiable in
/// both.
pub fn add_rows(x: Tensor<4>, rows: Tensor<2>) -> Tensor<4> {
    let ([_, n, p, c], [many, _]) = (x.dims(), rows.dims());
    let plain =
        [x.clone().without_autodiff().reshape([n * p * c]), rows.clone().without_autodiff().flatten(0, 1)];
    if !is_flex(&plain[0].device()) || many != n && many != 1 {
        return x + rows.reshape([1, many, 1, c]);
    }
    let y = {
        let [x, rows] = plain.each_ref().map(host::values);
        let mut y = x.slice().to_vec();
        for (i, point) in y.chunks_exact_mut(p * c).enumerate() {
            let row = &rows.slice()[i % many * c..][..c];
            point.chunks_exact_mut(c).for_each(|pixel| host::add(pixel, row));
        }
        host::tensor(y, [1, n, p, c])
    };
    record([x.into_dispatch(), rows.into_dispatch()], y, move |dy: Tensor<4>, wanted| {
        let of_rows = || match many == n && p == 1 {
            true => dy.clone().reshape([n, c]),
            false if many == n => dy.clone().reshape([n, p, c]).sum_dim(1).reshape([n, c]),
            false => dy.clone().reshape([n * p, c]).sum_dim(0),
        };
        let of_rows = wanted[1].then(|| of_rows().into_dispatch());
        [wanted[0].then(|| dy.into_dispatch()), of_rows]
    })
}

#[inline(always)]
fn slope([x, dx]: [f32; 2]) -> f32 {
    let s = host::sigmoid(x);
    dx * s * (1.0 + x * (1.0 - s))
}

/// The change of [`slope`] with `x`, times what asks for it.
#[inline(always)]
fn curve([x, dx, dy]: [f32; 3]) -> f32 {
    let s = host::sigmoid(x);
    dy * dx * s * (1.0 - s) * (2.0 + x * (1.0 - 2.0 * s))
}

/// `f` of the values of some tensors of the same shape, one after the other.
#[inline(always)]
fn each<const N: usize, const D: usize>(
    of: [&Tensor<D>; N],
    f: impl Fn([f32; N]) -> f32 + Send + Sync,
) -> Tensor<D> {
    /// Values that a thread takes at once.
    const CHUNK: usize = 1 << 14;
    let shape: Shape = of[0].shape();
    let values = of.map(host::values);
    let slices = values.each_ref().map(|values| values.slice());
    let mut y = vec![0.0; slices[0].len()];
    host::for_each_chunk(&mut y, CHUNK, |i, y| {
        let parts = slices.map(|values| &values[i * CHUNK..][..y.len()]);
        host::vectorised(
            #[inline(always)]
            || y.iter_mut().enumerate().for_each(|(k, y)| *y = f(parts.map(|part| part[k]))),
        );
    });
    host::tensor(y, shape)
}
