//! The most floating-point operations that a device does in a second, by chains of multiply-add.

use std::time::Instant;

use burn::tensor::wgpu::wgpu::{self, util::DeviceExt};
use pollster::block_on;
use pulp::{Arch, Simd, WithSimd};

/// Operations of one dispatch of `fma.wgsl`: threads, rounds, chains, lanes, multiplication and addition.
pub const DISPATCH: f64 = GROUPS as f64 * 64.0 * 512.0 * 8.0 * 4.0 * 2.0;
pub const GROUPS: u32 = 4096;
pub const WGSL: &str = include_str!("page/fma.wgsl");
/// A measurement lasts at least this long.
pub const SECONDS: f64 = 0.2;

/// The best of three times of more and more rounds: operations per second.
fn best(mut seconds_of: impl FnMut(u32) -> f64, flops_of_round: f64) -> f64 {
    let mut rounds = 1;
    while seconds_of(rounds) < SECONDS {
        rounds *= 2;
    }
    let fastest = (0..3).map(|_| seconds_of(rounds)).fold(f64::INFINITY, f64::min);
    flops_of_round * f64::from(rounds) / fastest
}

/// Of all threads.
pub fn cpu() -> f64 {
    struct Chains {
        rounds: usize,
        start: f32,
    }
    impl WithSimd for Chains {
        type Output = (f32, usize);

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let (x, y) = (simd.splat_f32s(self.start), simd.splat_f32s(0.25));
            let mut a: [S::f32s; 16] = std::array::from_fn(|i| simd.splat_f32s(i as f32));
            for _ in 0..self.rounds {
                for a in &mut a {
                    *a = simd.mul_add_f32s(*a, x, y);
                }
            }
            let sum = a.into_iter().fold(x, |sum, a| simd.add_f32s(sum, a));
            (simd.reduce_sum_f32s(sum), 16 * S::F32_LANES * 2)
        }
    }
    const ROUND: usize = 1 << 20;
    let chains = |rounds| Arch::new().dispatch(Chains { rounds, start: std::hint::black_box(0.5) });
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let seconds_of = |rounds| {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| std::hint::black_box(chains(rounds as usize * ROUND)));
            }
        });
        begun.elapsed().as_secs_f64()
    };
    best(seconds_of, (threads * ROUND * chains(1).1) as f64)
}

/// Of the adapter that [`scorefield::device::open`] takes.
pub fn gpu() -> f64 {
    let instance = wgpu::Instance::default();
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    };
    let adapter = block_on(instance.request_adapter(&options)).expect("it was opened a moment ago");
    let (device, queue) = block_on(adapter.request_device(&Default::default())).expect("a device");
    let source = wgpu::ShaderSource::Wgsl(WGSL.into());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    let buffer = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
        label: None,
        contents: &vec![0; GROUPS as usize * 64 * 16],
        usage: wgpu::BufferUsages::STORAGE,
    });
    let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }],
    });
    let seconds_of = |rounds| {
        let begun = Instant::now();
        let mut encoder = device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            for _ in 0..rounds {
                pass.dispatch_workgroups(GROUPS, 1, 1);
            }
        }
        queue.submit([encoder.finish()]);
        device.poll(wgpu::PollType::wait_indefinitely()).expect("an answer");
        begun.elapsed().as_secs_f64()
    };
    best(seconds_of, DISPATCH)
}
