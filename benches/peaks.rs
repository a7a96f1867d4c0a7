//! The most floating-point operations that a device does in a second, by chains of multiply-add.

use std::sync::OnceLock;
use std::time::Instant;

use burn::tensor::Device;
use pollster::block_on;
use pulp::{Arch, Simd, WithSimd};
use scorefield::checkup;

/// Operations of one dispatch in the page: threads, rounds, chains, lanes, multiplication and addition.
pub const DISPATCH: f64 = GROUPS as f64 * 64.0 * 512.0 * 8.0 * 4.0 * 2.0;
pub const GROUPS: u32 = 4096;
/// The kernel that [`gpu`] runs, for a page to run by itself.
pub fn wgsl() -> String {
    include_str!("../shaders/multiply_adds.wgsl")
        .replace(
            "@group(0) @binding({{ params }}) var<uniform> params: Params;",
            "const params = Params(512);",
        )
        .replace("{{ done }}", "0")
        .replace("{{ threads }}", "64")
}

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

/// Of a GPU; 0 where it takes no WGSL.
pub fn gpu(device: &Device) -> f64 {
    block_on(checkup::peak(device, seconds)).expect("values").unwrap_or(0.0)
}

/// Since the first call.
fn seconds() -> f64 {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    BEGUN.get_or_init(Instant::now).elapsed().as_secs_f64()
}
