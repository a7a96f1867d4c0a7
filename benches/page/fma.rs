//! `shaders/multiply_adds.wgsl` for one thread of WebAssembly: `make bench` compiles it by itself, without the crate.

#![no_std]

use core::arch::wasm32::{f32x4, f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_splat, v128};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

/// Does `64·rounds` floating-point operations.
#[unsafe(no_mangle)]
pub extern "C" fn run(rounds: u32, start: f32) -> f32 {
    let (x, y) = (f32x4_splat(start), f32x4_splat(0.25));
    let mut a: [v128; 8] = core::array::from_fn(|i| f32x4(i as f32, start, -start, 1.0));
    for _ in 0..rounds {
        for a in &mut a {
            *a = f32x4_add(f32x4_mul(*a, x), y);
        }
    }
    f32x4_extract_lane::<0>(a.into_iter().fold(x, |sum, a| f32x4_add(sum, a)))
}
