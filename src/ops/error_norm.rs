//! The error of a step as an adaptive solver counts it.

use burn::tensor::Tensor;

use super::launch::wgsl::{self, Launch, params, shader};

/// Root mean square of `error/(atol + rtol·max(|x|, |x_next|))` of each sample (Hairer et al. 1993, II.4.11).
///
/// The tensors are `[n, c, h, w]`; returns `[n, 1]`.
pub fn error_norm([x, x_next, error]: [Tensor<4>; 3], rtol: f64, atol: f64) -> Tensor<2> {
    let [n, c, h, w] = x.dims();
    let launch = wgsl::row(n).and_then(|_| Launch::new(&x.device(), shader!("error_norm"), THREADS));
    let Some(launch) = launch else {
        return error_norm_plain([x, x_next, error], rtol, atol);
    };
    let params = Params { len: (c * h * w) as u32, rtol: rtol as f32, atol: atol as f32 };
    let launch = launch.input("x", x).input("x_next", x_next).input("error", error);
    launch.run_for("norms", [n, 1], &params, [n, 1, 1])
}

/// [`error_norm`] in burn's stock operations: the oracle of the tests.
pub fn error_norm_plain([x, x_next, error]: [Tensor<4>; 3], rtol: f64, atol: f64) -> Tensor<2> {
    let [n, c, h, w] = x.dims();
    let allowed = x.abs().max_pair(x_next.abs()) * rtol + atol;
    let share = (error / allowed).reshape([n, c * h * w]);
    (share.clone() * share).mean_dim(1).sqrt()
}

const THREADS: usize = 128;

params! {
    struct Params {
        len: u32,
        rtol: f32,
        atol: f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_is_valid() {
        wgsl::check::<Params>(shader!("error_norm"), THREADS);
    }
}
