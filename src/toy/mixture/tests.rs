use super::*;
use crate::toy::Toy;
use burn::tensor::Device;

fn three() -> GaussianMixture {
    let covariances = [
        vec![vec![0.5, 0.3, 0.0], vec![0.3, 0.4, -0.1], vec![0.0, -0.1, 0.2]],
        vec![vec![0.1, 0.0, 0.0], vec![0.0, 0.2, 0.0], vec![0.0, 0.0, 0.3]],
        vec![vec![0.0; 3]; 3],
    ];
    let means = [vec![1.0, -1.0, 0.5], vec![-1.0, 0.0, 0.0], vec![0.0, 2.0, 0.0]];
    GaussianMixture::new(&[2.0, 1.0, 1.0], &means, &covariances).unwrap()
}

/// Tweedie: the denoiser is `x + sigma²·(gradient of the log density)`, here by central differences.
#[test]
fn the_denoiser_belongs_to_the_density() {
    let mixture = three();
    for (x, sigma) in [([0.3, -0.2, 0.1], 0.3), ([1.0, 1.0, 1.0], 1.0), ([-9.0, 4.0, 2.0], 8.0)] {
        let input: Vec<f32> = x.iter().map(|v| *v as f32).collect();
        let input = Tensor::<1>::from_floats(input.as_slice(), &Device::flex()).reshape([1, 3, 1, 1]);
        let denoised: Vec<f32> = mixture.denoise(input, &[sigma]).into_data().try_to_vec().unwrap();
        for i in 0..3 {
            let at = |h: f64| {
                let mut moved = x;
                moved[i] += h;
                mixture.log_density(&moved, sigma)
            };
            let expected = x[i] + sigma * sigma * (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((f64::from(denoised[i]) - expected).abs() < 1e-5, "{denoised:?} at {x:?}, {expected}");
        }
    }
}

/// Bayes' formula: what is left of the prior, times the likelihood of the noise, over the evidence.
#[test]
fn what_is_left_where_the_noisy_point_is_known_is_bayes() {
    let mixture = GaussianMixture::new(
        &[0.3, 0.7],
        &[vec![1.0, 0.0], vec![-1.0, 1.0]],
        &[vec![vec![0.3, 0.2], vec![0.2, 0.4]], vec![vec![0.1, 0.0], vec![0.0, 0.2]]],
    )
    .unwrap();
    let (x, sigma) = ([0.2, 0.7], 0.6);
    let left = mixture.given(&x, sigma);
    let noise = GaussianMixture::new(&[1.0], &[x.to_vec()], &[vec![vec![0.0; 2]; 2]]).unwrap();
    for x0 in [[0.0, 0.0], [1.0, 0.3], [-1.2, 1.1], [4.0, -3.0]] {
        let expected =
            mixture.log_density(&x0, 0.0) + noise.log_density(&x0, sigma) - mixture.log_density(&x, sigma);
        assert!((left.log_density(&x0, 0.0) - expected).abs() < 1e-9, "{x0:?}");
    }
    let (mean, score) = (left.mean(), mixture.score(&x, sigma));
    for i in 0..2 {
        assert!((mean[i] - x[i] - sigma * sigma * score[i]).abs() < 1e-12, "{mean:?}");
    }
}

#[test]
fn the_score_is_the_gradient_of_the_log_density() {
    let mixture = three();
    for (x, sigma) in [([0.3, -0.2, 0.1], 0.3), ([1.0, 1.0, 1.0], 1.0), ([-900.0, 400.0, 200.0], 8.0)] {
        let score = mixture.score(&x, sigma);
        for axis in 0..3 {
            let h = 1e-5 * f64::max(1.0, x[axis].abs());
            let at = |h: f64| {
                let mut moved = x;
                moved[axis] += h;
                mixture.log_density(&moved, sigma)
            };
            let slope = (at(h) - at(-h)) / (2.0 * h);
            assert!((slope - score[axis]).abs() < 1e-4 * score[axis].abs().max(1.0), "{score:?} at {x:?}");
        }
    }
}

/// Five standard errors: of the weights at most .018, of the covariances (variances up to 1.5) .053.
#[test]
fn samples_have_the_weights_means_and_covariances() {
    let (n, sigma) = (20_000, 0.5);
    let covariances = [vec![vec![0.3, 0.2], vec![0.2, 0.4]], vec![vec![0.0; 2]; 2]];
    let mixture =
        GaussianMixture::new(&[0.3, 0.7], &[vec![9.0, 0.0], vec![-9.0, 1.0]], &covariances).unwrap();
    let samples = mixture.sample(&Noise::new(3), n, sigma);
    assert_eq!(samples[200..202], mixture.sample(&Noise::new(3).at(100), 1, sigma));
    let of = |right: bool| samples.chunks_exact(2).filter(move |x| (x[0] > 0.0) == right);
    assert!((of(true).count() as f64 / n as f64 - 0.3).abs() < 0.018);
    for (right, mean, covariance) in
        [(true, [9.0, 0.0], &covariances[0]), (false, [-9.0, 1.0], &covariances[1])]
    {
        let count = of(right).count() as f64;
        for i in 0..2 {
            for j in 0..2 {
                let found = of(right).map(|x| (x[i] - mean[i]) * (x[j] - mean[j])).sum::<f64>() / count;
                let expected = covariance[i][j] + if i == j { sigma * sigma } else { 0.0 };
                assert!((found - expected).abs() < 0.053, "{right}: {found} instead of {expected}");
            }
        }
    }
}

#[test]
fn the_density_integrates_to_one() {
    let covariances = [vec![vec![0.3, 0.2], vec![0.2, 0.4]], vec![vec![0.0; 2]; 2]];
    let mixture =
        GaussianMixture::new(&[0.3, 0.7], &[vec![1.0, 0.0], vec![-1.0, 1.0]], &covariances).unwrap();
    let grid = || (-80..=80).map(|i| f64::from(i) * 0.1);
    let integral: f64 =
        grid().flat_map(|a| grid().map(move |b| [a, b])).map(|x| mixture.log_density(&x, 0.5).exp()).sum();
    assert!((integral * 0.01 - 1.0).abs() < 1e-9, "{integral}");
}

fn floats(x: Tensor<4>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

/// Own code against burn's operations, for the widest and the narrowest worlds, also without any width and far outside.
#[test]
fn the_planes_own_code_equals_stock_operations() {
    for toy in Toy::ALL {
        let mixture = toy.mixture().unwrap();
        for sigma in [0.02, 0.5, 20.0] {
            let n = 37;
            let mut points = mixture.sample(&Noise::new(4), n, sigma);
            points[0] = 30.0;
            let values: Vec<f32> = points.iter().map(|x| *x as f32).collect();
            let x = ops::upload(&values, [n, 2, 1, 1], &Device::flex());
            let tangent = Noise::new(5).normal(0, n, 2);
            let x = Dual { value: x, tangent: ops::upload(&tangent, [n, 2, 1, 1], &Device::flex()) };
            let sigma = vec![sigma; n];
            let own = mixture.denoise_dual(x.clone(), &sigma);
            let stock = mixture.denoise_dual_plain(x.clone(), &sigma);
            let alone = mixture.denoise(x.value.clone(), &sigma);
            // Beside a point of another level, alone, and among those of its own it comes out the same.
            let other: Vec<f64> = (0..n).map(|i| if i % 3 == 0 { 0.7 } else { sigma[0] }).collect();
            let among = floats(mixture.denoise(x.value.clone(), &other));
            let kept = |all: &[f32]| -> Vec<f32> {
                all.chunks_exact(2)
                    .enumerate()
                    .filter(|(i, _)| i % 3 != 0)
                    .flat_map(|(_, x)| x.to_vec())
                    .collect()
            };
            assert_eq!(kept(&among), kept(&floats(own.value.clone())), "{toy:?}");
            // Where two components share a point their shares are differences of large numbers, over a small sigma.
            for (a, b, room) in [
                (&own.value, &alone, 0.0),
                (&own.value, &stock.value, 2e-4),
                (&own.tangent, &stock.tangent, 2e-2),
            ] {
                let error = (a.clone() - b.clone()).abs().max().into_scalar::<f32>();
                assert!(error <= room, "{toy:?} at {}: {error}", sigma[0]);
            }
        }
    }
}

#[test]
fn what_is_no_mixture_is_refused() {
    let one = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
    let new = |weights: &[f64], mean: Vec<f64>, covariance: Vec<Vec<f64>>| {
        GaussianMixture::new(weights, &[mean], &[covariance])
    };
    assert!(new(&[1.0], vec![0.0; 2], one.clone()).is_ok());
    for bad in [
        new(&[], vec![0.0; 2], one.clone()),
        new(&[-1.0], vec![0.0; 2], one.clone()),
        new(&[1.0], vec![0.0; 3], one.clone()),
        new(&[1.0], vec![f64::NAN, 0.0], one),
        new(&[1.0], vec![0.0; 2], vec![vec![1.0, 2.0], vec![2.0, 1.0]]),
        new(&[1.0], vec![0.0; 2], vec![vec![1.0, 0.5], vec![0.4, 1.0]]),
        new(&[1.0], vec![0.0; 2], vec![vec![f64::NAN, 0.0], vec![0.0, 1.0]]),
    ] {
        assert!(bad.unwrap_err().to_string().contains("Gaussian mixture"));
    }
}
