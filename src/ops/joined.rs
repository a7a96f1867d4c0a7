//! An image in two parts, so that a skip connection needs no copy.

use burn::tensor::Tensor;

use super::gradient::record;
use super::{host, is_flex};

/// An image `[b, h, w, c]` whose channels may lie in two tensors: those of `x`, then those of `skip`.
#[derive(Debug, Clone)]
pub struct Joined<V = Tensor<4>> {
    /// The first channels.
    pub x: V,
    /// The others.
    pub skip: Option<V>,
}

impl<V> From<V> for Joined<V> {
    fn from(x: V) -> Self {
        Self { x, skip: None }
    }
}

impl Joined {
    /// `x` and `skip` as one image; copied into one tensor only where no kernel reads both.
    pub fn new(x: Tensor<4>, skip: Tensor<4>) -> Self {
        match super::takes_wgsl(&x.device()) {
            true => Self { x, skip: Some(skip) },
            false => cat(x, skip).into(),
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
            Some(skip) => cat(self.x, skip),
            None => self.x,
        }
    }
}

/// The channels of `x`, then those of `skip`, as one tensor.
fn cat(x: Tensor<4>, skip: Tensor<4>) -> Tensor<4> {
    let plain = [&x, &skip].map(|x| x.clone().without_autodiff());
    let [b, h, w, c_x] = x.dims();
    let [_, _, _, c_skip] = skip.dims();
    let c = c_x + c_skip;
    if !is_flex(&plain[0].device()) {
        return Tensor::cat(vec![x, skip], 3);
    }
    let y = {
        let parts = plain.each_ref().map(host::values);
        let [x, skip] = parts.each_ref().map(|part| part.slice());
        let mut y = vec![0.0; b * h * w * c];
        host::for_each_chunk(&mut y, h * w * c, |i, y| {
            for (pixel, y) in y.chunks_exact_mut(c).enumerate() {
                let pixel = i * h * w + pixel;
                y[..c_x].copy_from_slice(&x[pixel * c_x..][..c_x]);
                y[c_x..].copy_from_slice(&skip[pixel * c_skip..][..c_skip]);
            }
        });
        host::tensor(y, [b, h, w, c])
    };
    let split = move |dy: Tensor<4>, _| {
        let dy = host::values(&dy);
        let dy = dy.slice();
        let (mut dx, mut dskip) = (vec![0.0; b * h * w * c_x], vec![0.0; b * h * w * c_skip]);
        host::for_each_parts([(&mut dx, h * w * c_x), (&mut dskip, h * w * c_skip)], |i, [dx, dskip]| {
            let pixels = dx.chunks_exact_mut(c_x).zip(dskip.chunks_exact_mut(c_skip));
            for ((dx, dskip), dy) in pixels.zip(dy[i * h * w * c..].chunks_exact(c)) {
                dx.copy_from_slice(&dy[..c_x]);
                dskip.copy_from_slice(&dy[c_x..]);
            }
        });
        [
            Some(host::tensor::<4>(dx, [b, h, w, c_x]).into_dispatch()),
            Some(host::tensor::<4>(dskip, [b, h, w, c_skip]).into_dispatch()),
        ]
    };
    record([x.into_dispatch(), skip.into_dispatch()], y, split)
}
