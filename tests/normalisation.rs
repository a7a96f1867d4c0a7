//! Group normalisation against its plain twin and its definition, forward and backward, on both devices.

use burn::tensor::{Device, Tensor};
use scorefield::ops::{self, GROUP_NORM_EPSILON, Norm};

use crate::parity::{BOUND, BOUND_GPU, PARTS, differences, dot, narrow, normal, wide};
use crate::support::{brief, cpu, figure, gpu, relative_error, tensor, trials, values};

trials! {
    cpu: [
        normalisation_equals_its_plain_twin,
        normalisation_survives_extreme_input,
        gradients_of_the_normalisation_are_its_differences,
    ],
    gpu: [
        normalisation_on_the_gpu_equals_the_cpu,
    ],
}

pub fn group_norm_silu(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, groups: usize) -> Tensor<4> {
    ops::group_norm_silu(x.into(), &Norm { gamma, beta, groups, epsilon: GROUP_NORM_EPSILON })
}

fn plain_norm_silu(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, groups: usize) -> Tensor<4> {
    ops::group_norm_silu_plain(x.into(), &Norm { gamma, beta, groups, epsilon: GROUP_NORM_EPSILON })
}

fn group_norm(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, groups: usize) -> Tensor<4> {
    ops::group_norm(x, &Norm { gamma, beta, groups, epsilon: GROUP_NORM_EPSILON })
}

fn plain_norm(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, groups: usize) -> Tensor<4> {
    ops::group_norm_plain(x, &Norm { gamma, beta, groups, epsilon: GROUP_NORM_EPSILON })
}

type Normalisation = fn(Tensor<4>, Tensor<1>, Tensor<1>, usize) -> Tensor<4>;

/// With and without the SiLU: our own and its twin.
const NORMALISATIONS: [(Normalisation, Normalisation); 2] =
    [(group_norm_silu, plain_norm_silu), (group_norm, plain_norm)];

/// `[b, h, w, c]` and the number of groups.
fn norm_cases() -> Vec<([usize; 4], usize)> {
    vec![
        ([1, 2, 1, 1], 1),
        ([1, 1, 1, 4], 1),
        ([2, 3, 5, 4], 1),
        ([2, 3, 5, 4], 2),
        ([2, 3, 5, 4], 4),
        ([3, 7, 1, 12], 3),
        ([5, 4, 4, 20], 5),
        ([1, 27, 31, 8], 2),
        ([2, 14, 14, 96], 24),
    ]
}

fn norm_inputs([b, h, w, c]: [usize; 4]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    // Off centre and of unequal size, so that mean and variance matter.
    let x = normal(5, b * h * w * c).into_iter().enumerate().map(|(i, z)| 3.0 * z + 1.5 + (i % c) as f32);
    (x.collect(), normal(6, c), normal(7, c))
}

pub fn run_norm(dims: [usize; 4], groups: usize, device: &Device, f: Normalisation) -> [Vec<f32>; 4] {
    let (x, gamma, beta) = norm_inputs(dims);
    let device = device.clone().autodiff();
    let x = tensor(&x, dims, &device).require_grad();
    let gamma = tensor(&gamma, [dims[3]], &device).require_grad();
    let beta = tensor(&beta, [dims[3]], &device).require_grad();
    let y = f(x.clone(), gamma.clone(), beta.clone(), groups);
    assert_eq!(y.dims(), dims);
    let probe = tensor(&normal(8, dims.iter().product()), dims, &device);
    let gradients = (y.clone() * probe).sum().backward();
    [
        values(y.inner()),
        values(x.grad(&gradients).unwrap()),
        values(gamma.grad(&gradients).unwrap()),
        values(beta.grad(&gradients).unwrap()),
    ]
}

/// As [`relative_error`], for gradients that cancel to rounding noise: two values of a group normalise to
/// plus and minus one whatever they are, so the true gradient of `x` is zero.
pub fn norm_error(found: &[f32], expected: &[f32]) -> f64 {
    let floor = expected.iter().map(|v| v.abs()).fold(0.0, f32::max).max(1e-2);
    f64::from(found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / floor)
}

fn normalisation_equals_its_plain_twin() {
    let mut worst = [0.0_f64; 4];
    let cases = norm_cases().into_iter().flat_map(|case| NORMALISATIONS.map(|twins| (case, twins)));
    for ((dims, groups), (own, plain)) in cases {
        let fused = run_norm(dims, groups, &cpu(), own);
        let plain = run_norm(dims, groups, &cpu(), plain);
        for (i, part) in PARTS.iter().enumerate() {
            let error = norm_error(&fused[i], &plain[i]);
            assert!(
                error < BOUND,
                "{dims:?}, {groups} groups: {part} (of x, gamma, beta) is off by {error:e}"
            );
            worst[i] = worst[i].max(error);
        }
    }
    figure(format_args!("group norm and SiLU, fused against plain: {}", brief(&worst)));
}

/// A constant image has variance zero, a bright one loses digits, a large scale saturates the SiLU: all stay
/// finite and near `f64`.
fn normalisation_survives_extreme_input() {
    let dims = [1, 4, 4, 8];
    for (offset, spread, gain) in [
        (0.0, 0.0, 1.0),
        (5.0, 0.0, 1.0),
        (1e3, 1.0, 1.0),
        (0.0, 1e-4, 1.0),
        (0.0, 1e6, 1.0),
        (0.0, 1.0, 200.0),
    ] {
        let x: Vec<f32> = normal(9, 128).into_iter().map(|z| offset + spread * z).collect();
        let (gamma, beta) = (vec![gain; 8], vec![0.3; 8]);
        let expected = narrow(&normalise(dims, 2, &wide(&x), &wide(&gamma), &wide(&beta)));
        for tracked in [false, true] {
            let device = if tracked { cpu().autodiff() } else { cpu() };
            let x = tensor(&x, dims, &device);
            let x = if tracked { x.require_grad() } else { x };
            let y = group_norm_silu(x.clone(), tensor(&gamma, [8], &device), tensor(&beta, [8], &device), 2);
            let error = relative_error(&values(y.clone()), &expected);
            // f32 holds 1000 + z to 3e-5 only.
            let bound = if offset > 100.0 { 2e-4 } else { BOUND };
            assert!(error < bound, "{offset} + {spread}·z, scale {gain}: off by {error:e}");
            if tracked {
                let gradient = values(x.grad(&y.sum().backward()).unwrap());
                assert!(gradient.iter().all(|v| v.is_finite()), "{offset} + {spread}·z, scale {gain}");
            }
        }
    }
}

/// The definition in `f64`.
fn normalise([b, h, w, c]: [usize; 4], groups: usize, x: &[f64], gamma: &[f64], beta: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; x.len()];
    for (image, group) in (0..b).flat_map(|b| (0..groups).map(move |g| (b, g))) {
        let channels = group * (c / groups)..(group + 1) * (c / groups);
        let places: Vec<usize> =
            (0..h * w).flat_map(|p| channels.clone().map(move |j| (image * h * w + p) * c + j)).collect();
        let n = places.len() as f64;
        let mean = places.iter().map(|i| x[*i]).sum::<f64>() / n;
        let variance = places.iter().map(|i| (x[*i] - mean).powi(2)).sum::<f64>() / n;
        for i in places {
            let h = (x[i] - mean) / (variance + f64::from(GROUP_NORM_EPSILON)).sqrt() * gamma[i % c]
                + beta[i % c];
            y[i] = h / (1.0 + (-h).exp());
        }
    }
    y
}

/// Central differences of the `f64` definition with steps of 1e-4: off by 1e-8 of its third derivative.
fn gradients_of_the_normalisation_are_its_differences() {
    for (dims, groups) in [([2, 3, 2, 6], 1), ([2, 3, 2, 6], 2), ([1, 2, 2, 6], 3)] {
        let (x, gamma, beta) = norm_inputs(dims);
        let (x, gamma, beta) = (wide(&x), wide(&gamma), wide(&beta));
        let probe = normal(8, dims.iter().product());
        let [y, dx, dgamma, dbeta] = run_norm(dims, groups, &cpu(), group_norm_silu);
        let expected = [
            narrow(&normalise(dims, groups, &x, &gamma, &beta)),
            differences(&x, |x| dot(&normalise(dims, groups, x, &gamma, &beta), &probe)),
            differences(&gamma, |gamma| dot(&normalise(dims, groups, &x, gamma, &beta), &probe)),
            differences(&beta, |beta| dot(&normalise(dims, groups, &x, &gamma, beta), &probe)),
        ];
        for ((found, expected), part) in [y, dx, dgamma, dbeta].iter().zip(&expected).zip(PARTS) {
            let error = relative_error(found, expected);
            assert!(
                error < BOUND,
                "{dims:?}, {groups} groups: {part} (of x, gamma, beta) is off by {error:e}"
            );
        }
    }
}

fn normalisation_on_the_gpu_equals_the_cpu() {
    let mut worst = [0.0_f64; 4];
    for (dims, groups) in
        [([2, 3, 5, 4], 1), ([2, 3, 5, 4], 4), ([3, 8, 8, 32], 8), ([1, 27, 31, 8], 2), ([2, 3, 3, 24], 2)]
    {
        for (own, _) in NORMALISATIONS {
            let (on_cpu, on_gpu) = (run_norm(dims, groups, &cpu(), own), run_norm(dims, groups, &gpu(), own));
            for (i, part) in PARTS.iter().enumerate() {
                let error = norm_error(&on_gpu[i], &on_cpu[i]);
                assert!(
                    error < BOUND_GPU,
                    "{dims:?}, {groups} groups: {part} (of x, gamma, beta) is off by {error:e}"
                );
                worst[i] = worst[i].max(error);
            }
        }
    }
    figure(format_args!("group norm and SiLU, GPU against CPU: {}", brief(&worst)));
}
