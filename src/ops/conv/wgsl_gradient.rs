//! The gradients of a convolution's weights on a GPU: how `shaders/conv_gradient.wgsl` is launched.

use burn::tensor::Tensor;

use super::Filter;
use crate::ops::Adapter;
use crate::ops::launch::wgsl::{self, Kernel, Launch, params, shader};

params! {
    struct Params {
        rows: u32,
        height: u32,
        width: u32,
        in_height: u32,
        in_width: u32,
        c_in: u32,
        c_out: u32,
        slabs: u32,
        threads: u32,
    }
}

const THREADS: usize = 64;
/// Threads that keep a software adapter busy; more would only leave more sums to be added up.
const FEW: usize = 1 << 13;

fn kernel(kernel: usize, stride: usize, pad: usize, lanes: usize) -> Kernel {
    shader!("conv_gradient")
        .value("k", kernel)
        .value("area", kernel * kernel)
        .value("stride", stride)
        .value("pad", pad)
        .value("lanes", lanes)
        .switch("SCALAR", lanes == 1)
}

/// Gradients `[k·k·c_in, c_out]` and `[c_out]` of weight and bias, on a device that kernels run on.
pub fn weight_gradients(x: &Tensor<4>, filter: &Filter, dy: &Tensor<4>) -> (Tensor<2>, Tensor<1>) {
    let Filter { kernel: k, stride, pad, .. } = *filter;
    let [_, in_height, in_width, c_in] = x.dims();
    let [batch, height, width, c_out] = dy.dims();
    let lanes = if c_in.is_multiple_of(4) { 4 } else { 1 };
    let quads = c_out.div_ceil(4);
    let dy = match 4 * quads - c_out {
        0 => dy.clone(),
        missing => dy.clone().pad([(0, 0), (0, 0), (0, 0), (0, missing)], 0.0),
    };
    let pairs = c_in / lanes * quads;
    let enough = match Adapter::current() {
        Adapter::Hardware(cut) => cut.gradient_threads,
        _ => FEW,
    };
    let slabs = (enough / pairs).clamp(1, batch * height);
    let params = Params {
        rows: (batch * height) as u32,
        height: height as u32,
        width: width as u32,
        in_height: in_height as u32,
        in_width: in_width as u32,
        c_in: (c_in / lanes) as u32,
        c_out: quads as u32,
        slabs: slabs as u32,
        threads: (pairs * slabs) as u32,
    };
    let launch =
        Launch::new(&x.device(), kernel(k, stride, pad, lanes), THREADS).expect("a device for kernels");
    let (rows, groups) = (k * k * c_in, wgsl::rows((pairs * slabs).div_ceil(THREADS)));
    let sums = launch.input("x", x.clone()).input("dy", dy).run_for(
        "sums",
        [slabs, rows + 1, 4 * quads],
        &params,
        groups,
    );
    let total = sums.sum_dim(0).reshape([rows + 1, 4 * quads]).narrow(1, 0, c_out);
    (total.clone().narrow(0, 0, rows), total.narrow(0, rows, 1).reshape([c_out]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_valid() {
        for (k, stride) in [(1, 1), (3, 1), (1, 2), (3, 2)] {
            for lanes in [1, 4] {
                wgsl::check::<Params>(kernel(k, stride, k / 2, lanes), THREADS);
            }
        }
    }
}
