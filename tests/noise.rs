//! Noise: its statistics, its independence of the batch, and the kernel against its host twin.

use burn::tensor::{DType, Device, Tensor};
use scorefield::ops::noise;
use scorefield::rng::{Domain, Noise};

use crate::support::{figure, gpu, trials, values};

trials! {
    cpu: [
        normals_have_the_moments_of_a_normal,
        uniforms_pass_the_kolmogorov_smirnov_test,
        neighbours_of_every_kind_are_uncorrelated,
        a_sample_is_the_same_in_any_batch_and_at_any_length,
        the_cpu_device_gets_the_bits_of_the_host,
        noise_is_a_constant_to_autodiff,
    ],
    gpu: [
        the_kernel_makes_the_same_words,
        the_kernel_agrees_with_the_host,
        the_kernel_makes_a_sample_alone_as_in_a_batch,
    ],
}

const MILLION: usize = 1 << 20;

/// Five standard errors: a right generator stays below it for all but one seed in a million.
fn bound(n: usize) -> f64 {
    5.0 / (n as f64).sqrt()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

/// Mean of the products of two standard normal sequences, and of their centred squares (of variance 2).
fn correlations(a: &[f32], b: &[f32]) -> [f64; 2] {
    let pairs = || a.iter().zip(b).map(|(&a, &b)| (f64::from(a), f64::from(b)));
    [mean(pairs().map(|(a, b)| a * b)), mean(pairs().map(|(a, b)| (a * a - 1.0) * (b * b - 1.0) / 2.0))]
}

fn normals_have_the_moments_of_a_normal() {
    let values = Noise::new(1).normal(0, 16, MILLION / 16);
    let moment = |power: i32| mean(values.iter().map(|&z| f64::from(z).powi(power)));
    // The variance of z^k is E z^2k - (E z^k)^2: 1, 2, 15, 96 for k = 1 to 4.
    for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0f64)] {
        let error = (moment(power) - expected).abs();
        assert!(error < bound(MILLION) * variance.sqrt(), "moment {power} is off by {error}");
    }
    // P(|z| > 4) = 6.334e-5: 66 expected of 2^20, with a standard deviation of 8.
    let tail = values.iter().filter(|z| z.abs() > 4.0).count();
    assert!((26..=106).contains(&tail), "{tail} values beyond 4");
}

fn uniforms_pass_the_kolmogorov_smirnov_test() {
    let mut values = Noise::new(2).uniform(0, 1, MILLION);
    values.sort_by(f32::total_cmp);
    let distance = values
        .iter()
        .enumerate()
        .map(|(i, &u)| (f64::from(u) - i as f64 / MILLION as f64).abs())
        .fold(0.0, f64::max);
    // sqrt(n) D exceeds 2.7 for one seed in a million.
    assert!(distance < 2.7 / (MILLION as f64).sqrt(), "distance {distance}");
}

fn neighbours_of_every_kind_are_uncorrelated() {
    let len = MILLION / 4;
    let noise = Noise::new(3);
    let base = noise.normal(0, 1, len);
    let others = [
        ("sample", noise.at(1).normal(0, 1, len)),
        ("draw", noise.normal(1, 1, len)),
        ("seed", Noise::new(2).normal(0, 1, len)),
        ("high seed", Noise::new(3 + (1 << 32)).normal(0, 1, len)),
        ("domain", noise.domain(Domain::Training).normal(0, 1, len)),
        // The key words swapped: seed 0 of sample 3 for seed 3 of sample 0.
        ("swapped key", Noise::new(0).at(3).normal(0, 1, len)),
    ];
    for (name, other) in &others {
        for r in correlations(&base, other) {
            assert!(r.abs() < bound(len), "correlation {r} with the next {name}");
        }
    }
    for lag in 1..=8 {
        for r in correlations(&base[lag..], &base[..len - lag]) {
            assert!(r.abs() < bound(len - lag), "correlation {r} at lag {lag}");
        }
    }
}

fn a_sample_is_the_same_in_any_batch_and_at_any_length() {
    let noise = Noise::new(4);
    let batch = noise.normal(5, 9, 37);
    for k in 0..9 {
        assert_eq!(batch[37 * k..37 * (k + 1)], noise.at(k as u32).normal(5, 1, 37));
    }
    assert_eq!(batch[..7], noise.normal(5, 1, 7));
    let last = noise.at(u32::MAX).normal(5, 2, 37);
    assert_eq!(last[37..], batch[..37]);
    assert!(noise.normal(0, 0, 5).is_empty() && noise.normal(0, 5, 0).is_empty());
}

fn the_cpu_device_gets_the_bits_of_the_host() {
    let noise = Noise::new(6).at(7);
    for device in [Device::flex(), Device::flex().autodiff()] {
        let tensor = noise::normal(&noise, 3, 5, 11, &device);
        assert_eq!((tensor.dims(), tensor.dtype()), ([5, 11], DType::F32));
        assert_eq!(values(tensor), noise.normal(3, 5, 11));
        assert_eq!(values(noise::uniform(&noise, 3, 5, 11, &device)), noise.uniform(3, 5, 11));
        assert_eq!(noise::normal(&noise, 3, 0, 11, &device).dims(), [0, 11]);
    }
}

fn noise_is_a_constant_to_autodiff() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::ones([2, 3], &device).require_grad();
    let z = noise::normal(&Noise::new(7), 0, 2, 3, &device);
    assert!(!z.is_autodiff());
    let gradients = (x.clone() * z.clone()).sum().backward();
    assert_eq!(x.grad(&gradients).map(values), Some(values(z)));
}

fn the_kernel_makes_the_same_words() {
    // Shapes around the block of 4, the workgroup of 64 blocks, and the limit of 65535 workgroups in a row.
    let shapes = [[1, 1], [3, 5], [7, 64], [2, 256], [5, 257], [1000, 3], [1, MILLION], [65536 * 64 + 1, 1]];
    for (draw, [n, len]) in (0..).zip(shapes) {
        for noise in [Noise::new(u64::MAX - 3).at(u32::MAX - 1), Noise::new(8).domain(Domain::Dropout)] {
            let tensor = noise::uniform(&noise, draw, n, len, &gpu());
            assert_eq!(tensor.dims(), [n, len]);
            assert!(values(tensor) == noise.uniform(draw, n, len), "words differ for [{n}, {len}]");
        }
    }
}

fn the_kernel_agrees_with_the_host() {
    let noise = Noise::new(9);
    let found = values(noise::normal(&noise, 0, 16, MILLION / 4 + 3, &gpu()));
    let expected = noise.normal(0, 16, MILLION / 4 + 3);
    let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    figure(format_args!("normals on the GPU: largest difference {worst:e} in {} values", found.len()));
    assert!(found.len() == expected.len() && worst < 1e-5, "largest difference {worst}");
}

fn the_kernel_makes_a_sample_alone_as_in_a_batch() {
    let (noise, device) = (Noise::new(10), gpu());
    let batch = values(noise::normal(&noise, 2, 6, 101, &device));
    for k in 0..6 {
        let alone = values(noise::normal(&noise.at(k as u32), 2, 1, 101, &device.clone().autodiff()));
        assert_eq!(batch[101 * k..101 * (k + 1)], alone);
    }
    assert_eq!(noise::normal(&noise, 0, 0, 5, &device).dims(), [0, 5]);
}
