//! The exponential linear unit.

use burn::tensor::Tensor;

use super::gradient::record;
use super::host;
use super::launch::wgsl::{self, Kernel, Launch, params, shader};

/// `x` where it is positive, `e^x - 1` elsewhere (Clevert et al. 2016); differentiable.
pub fn elu(x: Tensor<4>) -> Tensor<4> {
    let plain = x.clone().without_autodiff();
    // The slope is 1 where the result is positive, and e^x, one more than the result, elsewhere.
    if let Some(y) = run(&plain) {
        return record([x.into_dispatch()], y.clone(), move |dy, _| {
            [Some((dy * (y.clone().clamp_max(0.0) + 1.0)).into_dispatch())]
        });
    }
    if !super::uses_flex(&plain.device()) {
        return elu_plain(x);
    }
    let y = on_cpu(&plain);
    record([x.into_dispatch()], y.clone(), move |dy, _| [Some(gradient_on_cpu(&y, &dy).into_dispatch())])
}

/// [`elu`] in burn's stock operations: the oracle of the tests.
pub fn elu_plain(x: Tensor<4>) -> Tensor<4> {
    x.clone().clamp_min(0.0) + (x.clamp_max(0.0).exp() - 1.0)
}

/// How [`elu`] of `x` changes as `x` does.
pub fn elu_tangent(x: &Tensor<4>, dx: Tensor<4>) -> Tensor<4> {
    dx * x.clone().clamp_max(0.0).exp()
}

/// Values that a thread takes at once.
const CHUNK: usize = 1 << 14;

fn on_cpu(x: &Tensor<4>) -> Tensor<4> {
    let shape = x.shape();
    let x = host::values(x);
    let mut y = x.slice().to_vec();
    host::for_each_chunk(&mut y, CHUNK, |_, y| {
        host::vectorised(
            #[inline(always)]
            || y.iter_mut().for_each(|y| *y = y.max(0.0) + (host::exp(y.min(0.0)) - 1.0)),
        );
    });
    host::tensor(y, shape)
}

fn gradient_on_cpu(y: &Tensor<4>, dy: &Tensor<4>) -> Tensor<4> {
    let shape = y.shape();
    let (y, dy) = (host::values(y), host::values(dy));
    let (y, mut dx) = (y.slice(), dy.slice().to_vec());
    host::for_each_chunk(&mut dx, CHUNK, |i, dx| {
        let y = &y[i * CHUNK..][..dx.len()];
        host::vectorised(
            #[inline(always)]
            || dx.iter_mut().zip(y).for_each(|(dx, y)| *dx *= y.min(0.0) + 1.0),
        );
    });
    host::tensor(dx, shape)
}

params! {
    struct Params {
        len: u32,
    }
}

const THREADS: usize = 64;

fn kernel() -> Kernel {
    shader!("elu")
}

fn run(x: &Tensor<4>) -> Option<Tensor<4>> {
    let dims = x.dims();
    let len: usize = dims.iter().product();
    let launch = Launch::new(&x.device(), kernel(), THREADS)?.input("x", x.clone());
    (len > 0)
        .then(|| launch.run_for("y", dims, &Params { len: len as u32 }, wgsl::rows(len.div_ceil(THREADS))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_valid() {
        wgsl::check::<Params>(kernel(), THREADS);
    }
}
