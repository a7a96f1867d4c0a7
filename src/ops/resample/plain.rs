//! Resampling in burn's stock operations: the path of every device without an own one.

use burn::tensor::Tensor;

use super::Change;

/// What [`super::apply`] does, one side of the image after the other.
pub fn apply(change: Change, x: Tensor<4>) -> Tensor<4> {
    let f = match change {
        Change::HalveBox => halve_box,
        Change::HalveFir => halve_fir,
        Change::DoubleFir => double_fir,
        Change::SmoothFir => smooth_fir,
    };
    let [b, h, w, c] = x.dims();
    let x = f(x.reshape([b, h, w * c]));
    let [_, h, _] = x.dims();
    let x = f(x.reshape([b * h, w, c]));
    let [_, w, _] = x.dims();
    x.reshape([b, h, w, c])
}

/// `x[2i]` and `x[2i + 1]` for every `i`.
fn pairs(x: Tensor<3>) -> [Tensor<3>; 2] {
    let [n, length, inner] = x.dims();
    let x = x.reshape([n, length / 2, 2 * inner]);
    [0, 1].map(|i| x.clone().narrow(2, i * inner, inner))
}

fn padded(x: Tensor<3>, by: usize) -> Tensor<3> {
    x.pad([(by, by), (0, 0)], 0.0)
}

fn halve_box(x: Tensor<3>) -> Tensor<3> {
    let [even, odd] = pairs(x);
    (even + odd) * 0.5
}

fn halve_fir(x: Tensor<3>) -> Tensor<3> {
    let [even, odd] = pairs(padded(x, 1));
    let [_, length, _] = even.dims();
    let at = |x: &Tensor<3>, first: usize| x.clone().narrow(1, first, length - 1);
    (at(&even, 0) + at(&odd, 1)) * 0.125 + (at(&odd, 0) + at(&even, 1)) * 0.375
}

fn double_fir(x: Tensor<3>) -> Tensor<3> {
    let [n, length, inner] = x.dims();
    let x = padded(x, 1);
    let at = |first: usize| x.clone().narrow(1, first, length);
    let (before, here, after) = (at(0) * 0.25, at(1) * 0.75, at(2) * 0.25);
    Tensor::cat(vec![before + here.clone(), here + after], 2).reshape([n, 2 * length, inner])
}

fn smooth_fir(x: Tensor<3>) -> Tensor<3> {
    let [_, length, _] = x.dims();
    let x = padded(x, 2);
    let at = |first: usize| x.clone().narrow(1, first, length + 1);
    (at(0) + at(3)) * 0.125 + (at(1) + at(2)) * 0.375
}
