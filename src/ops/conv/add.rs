//! The sum that ends a residual block: one pass over memory.

use burn::tensor::Tensor;

use crate::ops::gradient::record;
use crate::ops::{combine, host};

/// `scale·(x + y)` of tensors of one shape.
pub fn add(x: Tensor<4>, y: Tensor<4>, scale: f64) -> Tensor<4> {
    let inputs = [x.clone(), y.clone()].map(Tensor::into_dispatch);
    let (x, y) = (x.without_autodiff(), y.without_autodiff());
    let sum = match crate::ops::is_flex(&x.device()) {
        true => add_on_host(&x, &y, scale as f32),
        false => combine(&[(x, &[scale]), (y, &[scale])]),
    };
    record(inputs, sum, move |dsum, _| {
        let dx = combine(&[(dsum, &[scale])]).into_dispatch();
        [Some(dx.clone()), Some(dx)]
    })
}

/// [`add`] in burn's stock operations.
pub fn add_plain(x: Tensor<4>, y: Tensor<4>, scale: f64) -> Tensor<4> {
    (x + y) * scale
}

/// Values that a thread takes at once.
const CHUNK: usize = 1 << 14;

fn add_on_host(x: &Tensor<4>, y: &Tensor<4>, scale: f32) -> Tensor<4> {
    let shape = x.shape();
    let (x, y) = (host::values(x), host::values(y));
    let (x, y) = (x.slice(), y.slice());
    let mut sum = vec![0.0; x.len()];
    host::for_each_chunk(&mut sum, CHUNK, |i, sum| {
        let (x, y) = (&x[i * CHUNK..][..sum.len()], &y[i * CHUNK..][..sum.len()]);
        host::vectorised(
            #[inline(always)]
            || sum.iter_mut().zip(x.iter().zip(y)).for_each(|(s, (x, y))| *s = scale * (x + y)),
        );
    });
    host::tensor(sum, shape)
}
