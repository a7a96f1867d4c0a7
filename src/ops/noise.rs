//! Noise on any device: the numbers of [`rng`](crate::rng), made where they are used.
//!
//! On a device that takes WGSL, `shaders/noise.wgsl` fills the tensor without a transfer; everywhere else the
//! host computes it and uploads. A source has no input tensor to pick a backend from, so this asks the device
//! itself instead of going through a backend extension.

use burn::backend::wgpu::{CubeTensor, KernelSource, SourceKernel, SourceTemplate};
use burn::backend::{
    BackendTensor, CubeDevice, DispatchAutodiffContext, DispatchDevice, DispatchTensor, DispatchTensorKind,
};
use burn::cubecl::client::Client;
use burn::cubecl::prelude::{CubeDim, KernelId};
use burn::cubecl::server::{CubeCountSelection, KernelArguments, MetadataBindingInfo};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::rng::Noise;

/// Standard normal values on `device`.
///
/// The same as [`Noise::normal`], bit for bit where the host computes them and within `1e-5` where the kernel
/// does. No readback. The tensor has no autodiff: beside tensors that have it, it is a constant.
///
/// # Shapes
/// returns `[n, len]`, `f32`; row `i` is sample [`noise.first() + i`](Noise::first).
pub fn normal(noise: &Noise, draw: u32, n: usize, len: usize, device: &Device) -> Tensor<2> {
    fill(noise, draw, [n, len], device, Distribution::Normal)
}

/// Uniform values in `[0, 1)` on `device`, multiples of 2⁻²⁴.
///
/// The same bits as [`Noise::uniform`] on every device. No readback, no autodiff.
///
/// # Shapes
/// returns `[n, len]`, `f32`; row `i` is sample [`noise.first() + i`](Noise::first).
pub fn uniform(noise: &Noise, draw: u32, n: usize, len: usize, device: &Device) -> Tensor<2> {
    fill(noise, draw, [n, len], device, Distribution::Uniform)
}

/// Whether kernels written in WGSL run on `device`: true for wgpu unless it compiles to SPIR-V or MSL.
///
/// Opens the device if nothing has used it yet; in a browser it must have been initialised before.
pub fn takes_wgsl(device: &Device) -> bool {
    wgsl_client(device).is_some()
}

#[derive(Clone, Copy)]
enum Distribution {
    Normal,
    Uniform,
}

fn fill(noise: &Noise, draw: u32, [n, len]: [usize; 2], device: &Device, kind: Distribution) -> Tensor<2> {
    let device = device.clone().without_autodiff();
    match wgsl_client(&device) {
        Some((cube, client)) if n * len > 0 => {
            let tensor = launch(&client, cube, &Params::new(noise, draw, [n, len], kind));
            Tensor::from_dispatch(DispatchTensor {
                kind: DispatchTensorKind::Cube(BackendTensor::Float(tensor)),
                autodiff: DispatchAutodiffContext::Disabled,
            })
        }
        _ => {
            let values = match kind {
                Distribution::Normal => noise.normal(draw, n, len),
                Distribution::Uniform => noise.uniform(draw, n, len),
            };
            Tensor::from_data(TensorData::new(values, [n, len]), (&device, DType::F32))
        }
    }
}

/// The runtime is named after its compiler, which is settled only when the adapter is known.
fn wgsl_client(device: &Device) -> Option<(CubeDevice, Client)> {
    match device.clone().without_autodiff().as_dispatch() {
        DispatchDevice::Cube(cube) => {
            let client = cube.client();
            (client.name() == "wgpu<wgsl>").then(|| (cube.clone(), client))
        }
        _ => None,
    }
}

fn launch(client: &Client, device: CubeDevice, params: &Params) -> CubeTensor {
    let [rows, len] = [params.rows as usize, params.len as usize];
    let values = client.empty(rows * len * size_of::<f32>());
    let groups = (rows * len.div_ceil(4)).div_ceil(WG_SIZE as usize);
    client.launch(
        Box::new(SourceKernel::new(NoiseKernel, CubeDim::new_1d(WG_SIZE))),
        CubeCountSelection::new(client, groups as u32).cube_count(),
        KernelArguments::new()
            .with_buffer(values.clone().binding())
            .with_info(MetadataBindingInfo::custom(bytemuck::cast::<Params, [u64; 4]>(*params).to_vec())),
    );
    CubeTensor::new_contiguous(client.clone(), device, [rows, len].into(), values, DType::F32)
}

const WG_SIZE: u32 = 64;

/// The uniform of the kernel: `struct Params` there.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Params {
    seed_low: u32,
    sample: u32,
    draw: u32,
    seed_high: u32,
    domain: u32,
    is_uniform: u32,
    rows: u32,
    len: u32,
}

impl Params {
    fn new(noise: &Noise, draw: u32, [rows, len]: [usize; 2], kind: Distribution) -> Self {
        let ([seed_low, sample], [_, draw, seed_high, domain]) = noise.place(draw);
        let is_uniform = u32::from(matches!(kind, Distribution::Uniform));
        let [rows, len] = [rows as u32, len as u32];
        Self { seed_low, sample, draw, seed_high, domain, is_uniform, rows, len }
    }
}

struct NoiseKernel;

impl KernelSource for NoiseKernel {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(include_str!("../../shaders/noise.wgsl"))
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>().cube_dim(CubeDim::new_1d(WG_SIZE).0)
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    use std::mem::offset_of;

    #[test]
    fn kernel_is_valid_and_shares_params_and_workgroup_size() {
        let source = NoiseKernel.source().complete();
        let module = naga::front::wgsl::parse_str(&source).unwrap();
        Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module).unwrap();
        assert_eq!(module.entry_points[0].workgroup_size, [WG_SIZE, 1, 1]);

        let params = module.types.iter().find(|(_, kind)| kind.name.as_deref() == Some("Params"));
        let Some(naga::TypeInner::Struct { members, span }) = params.map(|(_, kind)| &kind.inner) else {
            panic!("no struct Params");
        };
        let found: Vec<_> = members.iter().map(|m| (m.name.as_deref().unwrap(), m.offset as usize)).collect();
        let expected = [
            ("seed_low", offset_of!(Params, seed_low)),
            ("sample", offset_of!(Params, sample)),
            ("draw", offset_of!(Params, draw)),
            ("seed_high", offset_of!(Params, seed_high)),
            ("domain", offset_of!(Params, domain)),
            ("is_uniform", offset_of!(Params, is_uniform)),
            ("rows", offset_of!(Params, rows)),
            ("len", offset_of!(Params, len)),
        ];
        assert_eq!((found, *span as usize), (expected.to_vec(), size_of::<Params>()));
    }
}
