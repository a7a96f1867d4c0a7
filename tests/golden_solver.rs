//! Golden steps of the adaptive solver: Dormand and Prince's pair in `f64`, with the same control of the step of every
//! sample, from noise to data and from data to noise. The tolerances are loose, so that a wrong step shows in the result.

use pollster::block_on;
use scorefield::flow::{Tolerance, encode};
use scorefield::rng::Noise;
use serde_json::json;

use crate::formulas::Formulas;
use crate::support::{GAUSSIAN, analytic, cpu, mixture, named, tensor, trials, values};
use crate::walk::{N, SEED, State, Walk, compare, sum, watching};

trials! {
    cpu: [
        sampling_takes_the_steps_of_its_formulas,
        encoding_takes_the_steps_of_its_formulas,
    ],
}

/// Dormand and Prince (1980), table 2: the stages' nodes and weights; the last row is the result of order 5.
const STAGES: [(f64, &[f64]); 6] = [
    (1.0 / 5.0, &[1.0 / 5.0]),
    (3.0 / 10.0, &[3.0 / 40.0, 9.0 / 40.0]),
    (4.0 / 5.0, &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0]),
    (8.0 / 9.0, &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0]),
    (1.0, &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0]),
    (1.0, &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0]),
];
/// The weights of order 4.
const FOURTH: [f64; 7] = [
    5179.0 / 57600.0,
    0.0,
    7571.0 / 16695.0,
    393.0 / 640.0,
    -92097.0 / 339_200.0,
    187.0 / 2100.0,
    1.0 / 40.0,
];

/// What `f32` rounds: where the estimate of an error is small, a step's size has but four digits, and so has the state
/// on the way.
const ROUNDING: f64 = 5e-4;

/// One sample on its way.
struct Sample {
    t: f64,
    h: f64,
    x: State,
    slope: State,
}

/// Song et al. 2021, equation 13: `f·x - g²·score/2`.
fn slope(walk: &Walk, x: &State, t: f64) -> State {
    sum(&[(walk.formulas.drift(t), x), (-0.5 * walk.formulas.diffusion_sq(t), &walk.score(x, t))])
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
}

/// Where all samples arrive, and after how many steps.
fn solve(walk: &mut Walk, x: State, [from, to]: [f64; 2], tolerance: f64) -> (State, usize) {
    let (formulas, direction) = (walk.formulas, (to - from).signum());
    // At most two units of the logarithm of the noise level, and not beyond the end.
    let limited = |t: f64, h: f64| {
        let reach = formulas.time_of_sigma(formulas.sigma(t) * (2.0 * direction).exp());
        direction * h.abs().min((reach - t).abs()).min((to - t).abs())
    };
    let start = |x: &[f64]| {
        let x = x.to_vec();
        let slope = slope(walk, &x, from);
        Sample { t: from, h: limited(from, 0.01 * (rms(&x) + tolerance) / rms(&slope)), x, slope }
    };
    let mut samples: Vec<Sample> = x.chunks_exact(2).map(start).collect();
    for step in 1..1000 {
        for sample in samples.iter_mut().filter(|sample| sample.t != to) {
            advance(walk, sample, tolerance);
            match (to - sample.t) * direction > 1e-12 {
                true => sample.h = limited(sample.t, sample.h),
                false => sample.t = to,
            }
        }
        let x: State = samples.iter().flat_map(|sample| sample.x.clone()).collect();
        let left = |sample: &Sample| (to - sample.t).abs();
        let slowest = samples.iter().max_by(|a, b| left(a).total_cmp(&left(b))).unwrap().t;
        walk.show(&sum(&[(1.0 / formulas.mean(slowest), &x)]), formulas.sigma(slowest));
        if samples.iter().all(|sample| sample.t == to) {
            return (x, step);
        }
    }
    panic!("{formulas:?}: a thousand steps were not enough");
}

/// Tries one step, and chooses the next one's size (Hairer et al. 1993, II.4).
fn advance(walk: &Walk, sample: &mut Sample, tolerance: f64) {
    let Sample { t, h, x, slope: first } = sample;
    let mut slopes = vec![first.clone()];
    let mut x_next = x.clone();
    let mut difference = [0.0; 7];
    for (node, weights) in STAGES {
        let terms = weights.iter().zip(&slopes).map(|(weight, slope)| (*h * weight, slope));
        x_next = sum(&[(1.0, &*x)].into_iter().chain(terms).collect::<Vec<_>>());
        slopes.push(slope(walk, &x_next, *t + node * *h));
        difference[..weights.len()].copy_from_slice(weights);
    }
    (0..7).for_each(|i| difference[i] -= FOURTH[i]);
    let error = sum(&difference.iter().zip(&slopes).map(|(w, slope)| (*h * w, slope)).collect::<Vec<_>>());
    let allowed = |i: usize| tolerance + tolerance * x[i].abs().max(x_next[i].abs());
    let error = rms(&error.iter().enumerate().map(|(i, e)| e / allowed(i)).collect::<Vec<_>>());
    let most = if error <= 1.0 { 5.0 } else { 1.0 };
    if error <= 1.0 {
        *t += *h;
        (*x, *first) = (x_next, slopes.swap_remove(6));
    }
    *h *= (0.9 * error.powf(-0.2)).clamp(0.2, most);
}

fn sampling_takes_the_steps_of_its_formulas() {
    for (sde, formulas) in Formulas::all() {
        for tolerance in [0.2, 0.01] {
            let mut walk = Walk::new(formulas);
            let prior = walk.prior();
            let (x, steps) = solve(&mut walk, prior, [1.0, formulas.last()], tolerance);
            let last = formulas.last();
            let y = sum(&[(1.0 / formulas.mean(last), &x)]);
            let samples = walk.denoised(&y, formulas.sigma(last));
            let expected = walk.finished(samples);

            let model = analytic(&mixture(GAUSSIAN), sde);
            let sampler = named("ode", json!({"rtol": tolerance, "atol": tolerance}));
            let mut pictures = Vec::new();
            let mut run = watching(&mut pictures);
            let solution = block_on(sampler.sample(&model, &Noise::new(SEED), N, &mut run)).unwrap();
            drop(run);
            pictures.push(values(solution.images));
            // The first slope, six for every step, the denoising.
            assert_eq!(solution.nfe, 1 + 6 * steps + 1, "{formulas:?}, tolerance {tolerance}");
            compare(&format!("{formulas:?}, ode at {tolerance}"), &pictures, &expected, ROUNDING);
        }
    }
}

fn encoding_takes_the_steps_of_its_formulas() {
    let images = [0.9, 0.1, -0.4, -0.9, 0.4, -0.3];
    for (sde, formulas) in Formulas::all() {
        for tolerance in [0.2, 0.01] {
            let mut walk = Walk::new(formulas);
            let x = images.map(|v| v * formulas.mean(formulas.last())).to_vec();
            let (code, steps) = solve(&mut walk, x, [formulas.last(), 1.0], tolerance);
            let expected = walk.finished(code);

            let model = analytic(&mixture(GAUSSIAN), sde);
            let mut pictures = Vec::new();
            let mut run = watching(&mut pictures);
            let pixels = tensor(&images.map(|v| v as f32), [N, 2, 1, 1], &cpu());
            let allowed = Tolerance { rtol: tolerance, atol: tolerance, ..Tolerance::default() };
            let code = block_on(encode(&model, pixels, allowed, &mut run)).unwrap();
            drop(run);
            pictures.push(values(code));
            assert_eq!(model.nfe(), 1 + 6 * steps, "{formulas:?}, tolerance {tolerance}");
            compare(&format!("{formulas:?}, codes at {tolerance}"), &pictures, &expected, ROUNDING);
        }
    }
}
