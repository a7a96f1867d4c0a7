//! Pooling over the surroundings of every pixel.

mod host;
mod wgsl;

use burn::tensor::Tensor;

use super::gradient::record;

/// What is made of the pixels of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Their mean; pixels beyond the image are zero and count.
    Mean,
    /// Their maximum; pixels beyond the image do not count.
    Max,
}

/// Side of the window, and how far it reaches from its pixel.
const SIDE: usize = 5;
const REACH: usize = SIDE / 2;

impl Pool {
    /// The 5x5 windows around every pixel: `[b, h, w, c]` kept (RefineNet's chained residual pooling, Lin et al. 2017);
    /// differentiable. Of equal maxima the first one counts.
    pub fn apply(self, x: Tensor<4>) -> Tensor<4> {
        if !x.is_autodiff()
            && let Some(y) = wgsl::run(self, &x)
        {
            return y;
        }
        let plain = x.clone().without_autodiff();
        if super::uses_flex(&plain.device()) {
            let y = host::run(self, &plain);
            return record([x.into_dispatch()], y, move |dy, _| {
                [Some(host::gradient(self, &plain, &dy).into_dispatch())]
            });
        }
        self.apply_plain(x)
    }

    /// [`Self::apply`] in burn's stock operations: the oracle of the tests, and the path of training on a GPU, since each of
    /// these has a gradient.
    pub fn apply_plain(self, x: Tensor<4>) -> Tensor<4> {
        let [b, h, w, c] = x.dims();
        let rows = self.along(x.reshape([b, h, w * c]));
        self.along(rows.reshape([b * h, w, c])).reshape([b, h, w, c])
    }

    /// How [`Self::apply`] of `x` changes as `x` does: of a maximum, the first where there are several counts.
    pub fn tangent(self, x: Tensor<4>, dx: Tensor<4>) -> Tensor<4> {
        if self == Self::Mean {
            return self.apply(dx);
        }
        let [b, h, w, c] = x.dims();
        let rows = [x, dx].map(|x| x.reshape([b, h, w * c]));
        let [x, dx] = largest_along(rows).map(|x| x.reshape([b * h, w, c]));
        let [_, dx] = largest_along([x, dx]);
        dx.reshape([b, h, w, c])
    }

    /// One side of the window: along the second dimension.
    fn along(self, x: Tensor<3>) -> Tensor<3> {
        let [_, length, _] = x.dims();
        let beyond = if self == Self::Mean { 0.0 } else { f32::MIN };
        let x = x.pad([(REACH, REACH), (0, 0)], beyond);
        let shifted = (0..SIDE).map(|first| x.clone().narrow(1, first, length));
        let pooled = shifted.reduce(|a, b| if self == Self::Mean { a + b } else { a.max_pair(b) });
        let pooled = pooled.expect("a window has pixels");
        if self == Self::Mean { pooled / SIDE as f64 } else { pooled }
    }
}

/// The maximum of one side of the window, and the tangent where it is.
fn largest_along([x, dx]: [Tensor<3>; 2]) -> [Tensor<3>; 2] {
    let [_, length, _] = x.dims();
    let padded = [(x, f32::MIN), (dx, 0.0)].map(|(x, beyond)| x.pad([(REACH, REACH), (0, 0)], beyond));
    let shifted = (0..SIDE).map(|first| padded.clone().map(|x| x.narrow(1, first, length)));
    let larger = |[x, dx]: [Tensor<3>; 2], [y, dy]: [Tensor<3>; 2]| {
        let replaces = y.clone().greater(x.clone());
        [x.max_pair(y), dx.mask_where(replaces, dy)]
    };
    shifted.reduce(larger).expect("a window has pixels")
}
