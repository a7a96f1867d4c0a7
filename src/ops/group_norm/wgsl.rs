//! Group normalisation on a GPU: how `shaders/group_norm.wgsl` is specialised and launched.

use burn::backend::DispatchTensor;
use burn::tensor::Tensor;

use super::Norm;
use crate::ops::launch::wgsl::{self, Kernel, Launch, params, shader};
use crate::ops::{Adapter, Joined};

params! {
    struct Params {
        pixels: u32,
        c_x: u32,
        c_skip: u32,
        groups: u32,
        epsilon: f32,
    }
}

/// Values that a thread holds in registers: so many if threads are left, and at most.
const HELD: usize = 32;
const MOST_HELD: usize = 128;
/// At most so many by a lane of a subgroup that has no help: more work each, but no barriers.
const HELD_BY_LANE: usize = 64;

/// How a group is read: `width` values of `lanes` channels, by `threads` threads.
#[derive(Debug, Clone, Copy)]
struct Plan {
    lanes: usize,
    width: usize,
    threads: usize,
    held: usize,
    /// Whether the threads are a subgroup.
    subgroup: bool,
}

impl Plan {
    /// `None` for images too large for the registers of a workgroup.
    fn new(pixels: usize, [c_x, c_skip]: [usize; 2], groups: usize, subgroup: Option<usize>) -> Option<Self> {
        let channels = (c_x + c_skip) / groups;
        let quads = channels.is_multiple_of(4) && c_x.is_multiple_of(4);
        let lanes = if quads { 4 } else { 1 };
        let width = channels / lanes;
        let held = |threads: usize| pixels.div_ceil(threads) * width;
        let subgroup = subgroup.filter(|&threads| held(threads) <= HELD_BY_LANE);
        let enough = [16, 32, 64, 128].into_iter().find(|&threads| held(threads) <= HELD).unwrap_or(256);
        let threads = subgroup.unwrap_or(enough);
        let held = (held(threads) <= MOST_HELD).then(|| pixels.div_ceil(threads))?;
        Some(Self { lanes, width, threads, held, subgroup: subgroup.is_some() })
    }

    fn kernel(&self, skip: bool, silu: bool) -> Kernel {
        shader!("group_norm")
            .value("lanes", self.lanes)
            .value("width", self.width)
            .value("held", self.held)
            .switch("SUBGROUP", self.subgroup)
            .switch("SKIP", skip)
            .switch("SILU", silu)
            .switch("SCALAR", self.lanes == 1)
    }
}

/// The normalisation in one dispatch, with or without the SiLU. `None` on other devices, and for images
/// too large for it.
pub fn run(x: &Joined, norm: &Norm, silu: bool) -> Option<Tensor<4>> {
    let device = norm.gamma.device();
    let [batch, height, width, _] = x.x.dims();
    let [c_x, c_skip] = x.channels();
    let plan = Plan::new(height * width, [c_x, c_skip], norm.groups, Adapter::current().lanes())?;
    let mut launch = Launch::new(&device, plan.kernel(x.skip.is_some(), silu), plan.threads)?;
    launch = launch.input("x", x.x.clone());
    if let Some(skip) = &x.skip {
        launch = launch.input("skip", skip.clone());
    }
    let params = Params {
        pixels: (height * width) as u32,
        c_x: (c_x / plan.lanes) as u32,
        c_skip: (c_skip / plan.lanes) as u32,
        groups: norm.groups as u32,
        epsilon: norm.epsilon,
    };
    let shape = [batch, height, width, c_x + c_skip];
    launch = launch.input("gamma", norm.gamma.clone()).input("beta", norm.beta.clone());
    Some(launch.run_for("out", shape, &params, wgsl::row(batch * norm.groups)?))
}

params! {
    struct GradientParams {
        pixels: u32,
        channels: u32,
        groups: u32,
        shift_stride: u32,
        epsilon: f32,
    }
}

/// Workgroup memory that every WebGPU device has.
const MOST_BYTES: usize = 16_384;

/// Threads of a group's gradient: few, as every one of them adds up the sums of all, and no more than have room for
/// their own.
fn gradient_threads(pixels: usize, lanes: usize, width: usize) -> usize {
    let bytes = size_of::<f32>() * (2 + 3 * width * lanes);
    let wanted = [16, 32, 64].into_iter().find(|threads| pixels.div_ceil(*threads) <= HELD).unwrap_or(128);
    let fits = |threads: &usize| *threads <= wanted && threads * bytes <= MOST_BYTES;
    [128, 64, 32, 16, 8, 4, 2].into_iter().find(fits).unwrap_or(1)
}

fn gradient_kernel(lanes: usize, width: usize, silu: bool) -> Kernel {
    let kernel = shader!("group_norm_gradient").value("lanes", lanes).value("width", width);
    kernel.switch("SCALAR", lanes == 1).switch("SILU", silu)
}

/// Gradients for `x`, `shift`, `gamma` and `beta` of what [`run`] made of `x + shift`.
pub fn backward(
    x: &Tensor<4>,
    shift: &Tensor<2>,
    norm: &Norm,
    silu: bool,
    dy: Tensor<4>,
) -> [DispatchTensor; 4] {
    let [b, h, w, c] = x.dims();
    let [shift_rows, _] = shift.dims();
    let per_group = c / norm.groups;
    let lanes = if per_group.is_multiple_of(4) { 4 } else { 1 };
    let params = GradientParams {
        pixels: (h * w) as u32,
        channels: (c / lanes) as u32,
        groups: norm.groups as u32,
        shift_stride: if shift_rows > 1 { (c / lanes) as u32 } else { 0 },
        epsilon: norm.epsilon,
    };
    let width = per_group / lanes;
    let launch =
        Launch::new(&x.device(), gradient_kernel(lanes, width, silu), gradient_threads(h * w, lanes, width));
    let launch = launch.expect("a device for kernels");
    let launch = launch.input("x", x.clone()).input("shift", shift.clone());
    let launch = launch.input("gamma", norm.gamma.clone()).input("beta", norm.beta.clone()).input("dy", dy);
    let (launch, dx) = launch.output::<4>("dx", [b, h, w, c]);
    let (launch, sums) = launch.output::<3>("sums", [b, 3, c]);
    launch.run(&params, [b * norm.groups, 1, 1]);

    let total = sums.clone().sum_dim(0);
    let vector = |i: usize| total.clone().narrow(1, i, 1).reshape([c]).into_dispatch();
    let dshift = match shift_rows {
        1 => total.clone().narrow(1, 2, 1).reshape([1, c]),
        _ => sums.narrow(1, 2, 1).reshape([b, c]),
    };
    [dx.into_dispatch(), dshift.into_dispatch(), vector(0), vector(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_valid() {
        for (pixels, channels, groups) in
            [(1, [1, 0], 1), (49, [64, 32], 24), (1024, [12, 0], 2), (961, [6, 6], 2)]
        {
            for (silu, subgroup) in [(false, None), (true, None), (true, Some(4)), (false, Some(8))] {
                let plan = Plan::new(pixels, channels, groups, subgroup).expect("a plan");
                wgsl::check::<Params>(plan.kernel(channels[1] > 0, silu), plan.threads);
            }
        }
    }
    #[test]
    fn gradient_kernels_are_valid() {
        for (lanes, width) in [(4, 1), (4, 3), (1, 1), (1, 5), (4, 64)] {
            for silu in [false, true] {
                let kernel = gradient_kernel(lanes, width, silu);
                wgsl::check::<GradientParams>(kernel, gradient_threads(961, lanes, width));
            }
        }
    }
}
