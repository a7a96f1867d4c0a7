//! The probability-flow ODE: how fast its solvers converge, that encoding and decoding are inverse to each
//! other, and interpolation between codes.

use burn::tensor::Tensor;
use pollster::block_on;
use scorefield::Error;
use scorefield::flow::{Endpoint, Tolerance, decode, encode, interpolate, slerp};
use scorefield::model::{Learned, ScoreModel};
use scorefield::rng::Noise;
use scorefield::run::Run;
use scorefield::sampler::{Order, Sampler};
use scorefield::sde::Sde;
use scorefield::toy::GaussianMixture;
use serde_json::json;

use crate::support::{
    analytic, brief, cpu, draw, figure, lively_model, log_log_slope, sdes, small_unet, tensor, trials, values,
};

trials! {
    cpu: [
        fixed_steps_converge_with_their_order,
        the_adaptive_error_follows_the_tolerance,
        a_gaussian_is_encoded_as_its_closed_form_says,
        decoding_inverts_encoding_of_a_mixture,
        decoding_inverts_encoding_of_a_network,
        codes_of_data_are_normal,
        decoding_the_prior_is_sampling,
        a_code_does_not_depend_on_the_batch,
        interpolation_ends_at_its_ends,
        interpolation_refuses_what_it_cannot_do,
        a_model_without_a_score_is_refused,
    ],
}

const MEAN: [f64; 2] = [0.4, -0.3];
/// Variances along the axes (0.6, 0.8) and (-0.8, 0.6).
const VARIANCES: [f64; 2] = [0.5, 0.02];
const AXES: [[f64; 2]; 2] = [[0.6, 0.8], [-0.8, 0.6]];

fn gaussian() -> GaussianMixture {
    let covariance = (0..2)
        .map(|i| (0..2).map(|j| (0..2).map(|k| VARIANCES[k] * AXES[k][i] * AXES[k][j]).sum()).collect())
        .collect();
    GaussianMixture::new(&[1.0], &[MEAN.to_vec()], &[covariance]).unwrap()
}

fn mixture() -> GaussianMixture {
    let covariances = [vec![vec![0.05, 0.02], vec![0.02, 0.04]], vec![vec![0.04, -0.01], vec![-0.01, 0.06]]];
    GaussianMixture::new(&[0.2, 0.8], &[vec![-1.0, -0.6], vec![0.8, 0.7]], &covariances).unwrap()
}

/// Multiplies the part of `x - mean` along each axis by `factor` of its variance.
///
/// The flow of a Gaussian is `y(sigma) - mean ~ sqrt(variance + sigma²)` along each axis.
fn stretch(x: &[f64], factor: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut out = MEAN.to_vec();
    for (axis, variance) in AXES.iter().zip(VARIANCES) {
        let along: f64 = (0..2).map(|i| axis[i] * (x[i] - MEAN[i])).sum();
        (0..2).for_each(|i| out[i] += along * factor(variance) * axis[i]);
    }
    out
}

/// What an exact solver makes of the prior's `noise`: the flow from `t = 1` to the last time, and from
/// there the denoising step, whose factor is `variance/(variance + sigma²)`.
fn exact_samples(sde: &dyn Sde, noise: Noise, n: usize) -> Vec<f64> {
    let (first, last) = (sde.sigma(1.0), sde.sigma(sde.sampling_eps()));
    let scale = sde.prior_std() / sde.marginal_prob(1.0).0;
    let prior = noise.normal(0, n, 2);
    let factor = |v: f64| ((v + last * last) / (v + first * first)).sqrt() * v / (v + last * last);
    prior
        .chunks_exact(2)
        .flat_map(|z| stretch(&[f64::from(z[0]) * scale, f64::from(z[1]) * scale], factor))
        .collect()
}

fn encoded(model: &ScoreModel, images: Tensor<4>, tolerance: Tolerance) -> Tensor<4> {
    block_on(encode(model, images, tolerance, &mut Run::default())).unwrap()
}

fn decoded(model: &ScoreModel, codes: Tensor<4>, tolerance: Tolerance, denoise: bool) -> Tensor<4> {
    block_on(decode(model, codes, tolerance, denoise, &mut Run::default())).unwrap()
}

fn rms(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let sum: f64 = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
    (sum / found.len() as f64).sqrt()
}

fn sample(model: &ScoreModel, name: &str, options: serde_json::Value, n: usize) -> (Vec<f32>, usize) {
    let sampler = Sampler::with_options(name, options.as_object().unwrap()).unwrap();
    let solution = block_on(sampler.sample(model, &Noise::new(5), n, &mut Run::default())).unwrap();
    (values(solution.images), solution.nfe)
}

/// Against the exact flow; Euler's first steps are already in the range where the error is proportional.
fn fixed_steps_converge_with_their_order() {
    for (sde, name) in sdes() {
        let exact = exact_samples(&*sde, Noise::new(5), 64);
        let model = analytic(&gaussian(), sde);
        for claim in Sampler::claims() {
            let Order::Ode(order) = claim.order else { continue };
            let order = f64::from(order);
            let budgets = if order < 2.0 { [50, 100, 200, 400] } else { [48, 96, 192, 384] };
            let errors: Vec<(f64, f64)> = budgets
                .map(|nfe| {
                    let drawn = draw(&claim.method.within(nfe).unwrap(), &model, Noise::new(5), 64);
                    (nfe as f64, rms(&drawn, &exact))
                })
                .to_vec();
            let found = -log_log_slope(&errors);
            let solver = json!(claim.method);
            figure(format_args!(
                "{solver}, {name}: order {found:.3}, errors {}",
                brief(&errors.iter().map(|e| e.1).collect::<Vec<_>>())
            ));
            let off = if order < 2.0 { 0.1 } else { 0.3 };
            assert!((found - order).abs() < off, "{solver}, {name}: order {found}, errors {errors:?}");
            if order >= 2.0 {
                assert!(errors[3].1 < 1e-3, "{solver}, {name}: {errors:?}");
            }
        }
    }
}

fn the_adaptive_error_follows_the_tolerance() {
    for (sde, name) in sdes() {
        let exact = exact_samples(&*sde, Noise::new(5), 64);
        let model = analytic(&gaussian(), sde);
        let mut last = 0.0;
        // A step's tolerance, so the error at the end may be larger; below 1e-5 is f32's own rounding.
        for tolerance in [1e-2, 1e-3, 1e-4, 1e-5, 1e-6] {
            let (found, nfe) = sample(&model, "ode", json!({"rtol": tolerance, "atol": tolerance}), 64);
            let error = rms(&found, &exact);
            figure(format_args!(
                "ode, {name}: tolerance {tolerance:e}, error {error:.1e}, {nfe} evaluations"
            ));
            assert!(error < 5.0 * tolerance + 5e-4, "{name}: error {error} at tolerance {tolerance}");
            last = error;
        }
        assert!(last < 5e-5, "{name}: error {last} at the smallest tolerance");
    }
}

fn a_gaussian_is_encoded_as_its_closed_form_says() {
    let images = [0.9, 0.1, -0.4, -0.9, 0.4, -0.3, 1.5, 1.0];
    let pixels: Vec<f32> = images.iter().map(|v| *v as f32).collect();
    for (sde, name) in sdes() {
        let model = analytic(&gaussian(), sde);
        let (first, last) = (sde.sigma(sde.sampling_eps()), sde.sigma(1.0));
        let mean_coeff = sde.marginal_prob(1.0).0;
        let exact: Vec<f64> = images
            .chunks_exact(2)
            .flat_map(|x| stretch(x, |v| ((v + last * last) / (v + first * first)).sqrt()))
            .map(|v| v * mean_coeff)
            .collect();
        let tolerance = Tolerance { rtol: 1e-5, atol: 1e-5, ..Tolerance::default() };
        let codes = encoded(&model, tensor(&pixels, [4, 2, 1, 1], &cpu()), tolerance);
        let error = rms(&values(codes), &exact) / sde.prior_std();
        figure(format_args!("encoding, {name}: error {error:.1e} of the prior's deviation"));
        assert!(error < 5e-4, "{name}: error {error}");
    }
}

/// The largest difference between images and what their codes decode to.
fn round_trip(model: &ScoreModel, images: &Tensor<4>, tolerance: f64) -> f64 {
    let tolerance = Tolerance { rtol: tolerance, atol: tolerance, ..Tolerance::default() };
    let back = values(decoded(model, encoded(model, images.clone(), tolerance), tolerance, false));
    values(images.clone()).iter().zip(back).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

fn decoding_inverts_encoding_of_a_mixture() {
    // At the means and up to four deviations from one. Towards the divide between the two, decoding magnifies
    // errors by the ratio of the densities of code and image: ten times at (-0.5, -0.2), where a solver in f64
    // is off by 0.077 as well.
    let images = [-1.0, -0.6, 0.8, 0.7, 1.3, 0.0, -1.5, -0.3, -0.5, -0.2, 0.6, 0.65];
    for (sde, name) in sdes() {
        let model = analytic(&mixture(), sde);
        let images = tensor(&images, [6, 2, 1, 1], &cpu());
        let (coarse, fine) = (round_trip(&model, &images, 1e-3), round_trip(&model, &images, 5e-6));
        figure(format_args!("round trip of a mixture, {name}: {coarse:.1e} at 1e-3, {fine:.1e} at 5e-6"));
        assert!(coarse < 0.1 && fine < 5e-4, "{name}: {coarse} at 1e-3, {fine} at 5e-6");
    }
}

fn decoding_inverts_encoding_of_a_network() {
    let images = tensor(&Noise::new(8).uniform(0, 2, 63), [2, 1, 7, 9], &cpu());
    for (sde, name) in sdes() {
        let model = lively_model(&small_unet(), sde, [1, 7, 9], &cpu());
        let error = round_trip(&model, &images, 1e-4);
        figure(format_args!("round trip of a U-Net, {name}: {error:.1e} at 1e-4"));
        assert!(error < 5e-3, "{name}: {error}");
    }
}

/// Codes of samples of the data have the prior's mean and covariance, within five standard errors.
fn codes_of_data_are_normal() {
    let n = 2048;
    let noise = Noise::new(21);
    let [z, u] = [noise.normal(0, n, 2), noise.uniform(1, n, 1)];
    // Cholesky factors of the mixture's covariances.
    let factors = [[0.05_f64.sqrt(), 0.02 / 0.05_f64.sqrt()], [0.04_f64.sqrt(), -0.01 / 0.04_f64.sqrt()]];
    let parts = [([-1.0, -0.6], 0.04), ([0.8, 0.7], 0.06)];
    let data: Vec<f32> = z
        .chunks_exact(2)
        .zip(u)
        .flat_map(|(z, u)| {
            let k = usize::from(u >= 0.2);
            let ([a, b], (mean, variance)) = (factors[k], parts[k]);
            let (z0, z1) = (f64::from(z[0]), f64::from(z[1]));
            [(mean[0] + a * z0) as f32, (mean[1] + b * z0 + (variance - b * b).sqrt() * z1) as f32]
        })
        .collect();
    for (sde, name) in sdes() {
        let model = analytic(&mixture(), sde);
        let codes = encoded(&model, tensor(&data, [n, 2, 1, 1], &cpu()), Tolerance::default());
        let codes: Vec<f64> = values(codes).into_iter().map(|v| f64::from(v) / sde.prior_std()).collect();
        let mean = |f: &dyn Fn(&[f64]) -> f64| codes.chunks_exact(2).map(f).sum::<f64>() / n as f64;
        let (bound, off) = (5.0 / (n as f64).sqrt(), 0.03);
        // VE keeps the data's mean, 0.44/50, and adds its variance, 0.6/2500; 0.03 covers these and the solver.
        for i in 0..2 {
            assert!(mean(&|x| x[i]).abs() < bound + off, "{name}: mean {}", mean(&|x| x[i]));
            let variance = mean(&|x| x[i] * x[i]);
            assert!((variance - 1.0).abs() < bound * 2.0_f64.sqrt() + off, "{name}: variance {variance}");
            // The fourth moment tells a normal from any other two-humped distribution; its variance is 96.
            let fourth = mean(&|x| x[i].powi(4));
            assert!((fourth - 3.0).abs() < bound * 96.0_f64.sqrt() + off, "{name}: fourth moment {fourth}");
        }
        assert!(mean(&|x| x[0] * x[1]).abs() < bound + off, "{name}");
    }
}

fn decoding_the_prior_is_sampling() {
    for (sde, name) in sdes() {
        let model = analytic(&mixture(), sde);
        let (samples, _) = sample(&model, "ode", json!({"rtol": 1e-3, "atol": 1e-3}), 5);
        let prior = tensor(&Noise::new(5).normal(0, 5, 2), [5, 2, 1, 1], &cpu()) * sde.prior_std();
        assert_eq!(values(decoded(&model, prior, Tolerance::default(), true)), samples, "{name}");
    }
}

/// Exact for the mixture. A network's dense layers round differently for one row than for several, which
/// the tolerance of the solver hides.
fn a_code_does_not_depend_on_the_batch() {
    for (sde, name) in sdes() {
        let codes_of = |model: &ScoreModel, pixels: &[f32], n: usize| {
            let [c, h, w] = model.shape;
            values(encoded(model, tensor(pixels, [n, c, h, w], &cpu()), Tolerance::default()))
        };
        let model = analytic(&mixture(), sde);
        let pixels = [-1.0, -0.6, 0.8, 0.7, 1.3, 0.0, -1.5, 0.3];
        let codes = codes_of(&model, &pixels, 4);
        for k in 0..4 {
            assert_eq!(
                codes_of(&model, &pixels[2 * k..2 * k + 2], 1),
                codes[2 * k..2 * k + 2],
                "{name}, {k}"
            );
        }

        let model = lively_model(&small_unet(), sde, [1, 8, 8], &cpu());
        let pixels = Noise::new(8).uniform(0, 3, 64);
        let codes = codes_of(&model, &pixels, 3);
        for k in 0..3 {
            let alone = codes_of(&model, &pixels[64 * k..64 * (k + 1)], 1);
            let worst = alone.iter().zip(&codes[64 * k..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let worst = f64::from(worst) / sde.prior_std();
            figure(format_args!(
                "code of a network alone and in a batch, {name}, {k}: difference {worst:.1e}"
            ));
            assert!(worst < 1e-4, "{name}, {k}: {worst}");
        }
    }
}

fn interpolation_ends_at_its_ends() {
    let tolerance = Tolerance::default();
    for (sde, name) in sdes() {
        let model = analytic(&mixture(), sde);
        let pixels = vec![0.7, 0.5];
        let seed = Noise::new(5).at(3);
        let (a, b) = (Endpoint::Pixels(pixels.clone()), Endpoint::Seed(seed));
        let before = model.nfe();
        let solution = block_on(interpolate(&model, &a, &b, 5, 1.0, tolerance, &mut Run::default())).unwrap();
        assert_eq!(solution.nfe, model.nfe() - before);
        assert_eq!(solution.images.dims(), [5, 2, 1, 1]);
        let frames = values(solution.images);

        let frame = |code: Tensor<4>| values(decoded(&model, code, tolerance, true));
        let code = encoded(&model, tensor(&pixels, [1, 2, 1, 1], &cpu()), tolerance);
        let prior = tensor(&seed.normal(0, 1, 2), [1, 2, 1, 1], &cpu()) * sde.prior_std();
        assert_eq!(frames[..2], frame(code.clone()), "{name}: the first frame");
        assert_eq!(frames[8..], frame(prior.clone()), "{name}: the last frame");
        let middle = slerp(&values(code), &values(prior.clone()), 0.5);
        assert_eq!(frames[4..6], frame(tensor(&middle, [1, 2, 1, 1], &cpu())), "{name}: the middle frame");
        let colder = block_on(interpolate(&model, &a, &b, 5, 0.7, tolerance, &mut Run::default())).unwrap();
        assert_eq!(values(colder.images)[8..], frame(prior * 0.7), "{name}: the last frame at 0.7");
        // The image comes back, up to the solver and the last denoising.
        let off = (frames[0] - pixels[0]).abs().max((frames[1] - pixels[1]).abs());
        assert!(off < 2e-2, "{name}: {:?} instead of {pixels:?}", &frames[..2]);
    }
}

fn interpolation_refuses_what_it_cannot_do() {
    let model = analytic(&mixture(), sdes()[1].0);
    let good = Endpoint::Seed(Noise::new(1));
    for (end, frames) in [
        (good.clone(), 1),
        (good.clone(), 0),
        (good.clone(), 1025),
        (Endpoint::Pixels(vec![0.5; 3]), 4),
        (Endpoint::Pixels(vec![]), 4),
    ] {
        let result = block_on(interpolate(
            &model,
            &good,
            &end,
            frames,
            1.0,
            Tolerance::default(),
            &mut Run::default(),
        ));
        assert!(matches!(result, Err(Error::Config { .. })), "{end:?}, {frames}: {result:?}");
    }
    for temperature in [0.0, -1.0, 2.5, f64::NAN] {
        let (run, tolerance) = (&mut Run::default(), Tolerance::default());
        let result = block_on(interpolate(&model, &good, &good, 3, temperature, tolerance, run));
        assert!(result.unwrap_err().to_string().contains("use 0.1 to 2"), "{temperature}");
    }
    let nan = Endpoint::Pixels(vec![f32::NAN, 0.5]);
    let result =
        block_on(interpolate(&model, &nan, &good, 3, 1.0, Tolerance::default(), &mut Run::default()));
    assert!(matches!(result, Err(Error::NonFinite { .. } | Error::Config { .. })), "{result:?}");
}

/// Whatever follows the ODE, either way: of a consistency function it would be pictures of nothing.
fn a_model_without_a_score_is_refused() {
    let target = GaussianMixture::new(&[1.0], &[vec![0.0]], &[vec![vec![1.0]]]).unwrap();
    let model = analytic(&target, sdes()[0].0).having_learned(Learned::Consistency);
    let x = || tensor(&[0.5], [1, 1, 1, 1], &cpu());
    let refused = |result: scorefield::Result<Tensor<4>>| {
        let message = result.unwrap_err().to_string();
        assert!(
            message.contains("needs a score, but the model has learned a consistency function"),
            "{message}"
        );
    };
    refused(block_on(encode(&model, x(), Tolerance::default(), &mut Run::default())));
    refused(block_on(decode(&model, x(), Tolerance::default(), false, &mut Run::default())));
}
