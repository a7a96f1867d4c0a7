//! The most floating-point operations that a GPU does, to hold its kernels against.

use burn::tensor::{Device, Tensor};

use super::launch::wgsl::{Launch, params, shader};

/// Chains of multiply-add that touch no memory: how many operations they are, and a tensor that is there once they are
/// done. `None` where no kernel runs.
pub fn multiply_adds(device: &Device) -> Option<(f64, Tensor<2>)> {
    let launch = Launch::new(device, shader!("multiply_adds"), THREADS)?;
    let done = launch.run_for("done", [GROUPS, THREADS], &Params { rounds: ROUNDS }, [GROUPS, 1, 1]);
    // Eight chains of four lanes; two operations each.
    Some((((GROUPS * THREADS) as f64) * f64::from(ROUNDS) * 8.0 * 4.0 * 2.0, done))
}

const THREADS: usize = 64;
const GROUPS: usize = 1024;
const ROUNDS: u32 = 512;

params! {
    struct Params {
        rounds: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::super::launch::wgsl::check;
    use super::*;

    #[test]
    fn kernel_is_valid() {
        check::<Params>(shader!("multiply_adds"), THREADS);
    }
}
