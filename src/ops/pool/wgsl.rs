//! Pooling on a GPU: how `shaders/pool.wgsl` is launched.

use burn::tensor::Tensor;

use super::{Pool, REACH};
use crate::ops::launch::wgsl::{self, Kernel, Launch, params, shader};

params! {
    struct Params {
        channels: u32,
        height: u32,
        width: u32,
        values: u32,
    }
}

const THREADS: usize = 64;

fn kernel(pool: Pool, lanes: usize) -> Kernel {
    shader!("pool").value("reach", REACH).switch("MEAN", pool == Pool::Mean).switch("SCALAR", lanes == 1)
}

/// All windows, in one dispatch; `None` on other devices.
pub fn run(pool: Pool, x: &Tensor<4>) -> Option<Tensor<4>> {
    let dims @ [b, height, width, c] = x.dims();
    let lanes = if c.is_multiple_of(4) { 4 } else { 1 };
    let values = b * height * width * c / lanes;
    if values == 0 {
        return None;
    }
    let params = Params {
        channels: (c / lanes) as u32,
        height: height as u32,
        width: width as u32,
        values: values as u32,
    };
    let launch = Launch::new(&x.device(), kernel(pool, lanes), THREADS)?.input("x", x.clone());
    Some(launch.run_for("y", dims, &params, wgsl::rows(values.div_ceil(THREADS))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_valid() {
        for lanes in [1, 4] {
            for pool in [Pool::Mean, Pool::Max] {
                wgsl::check::<Params>(kernel(pool, lanes), THREADS);
            }
        }
    }
}
