//! Every sampler of the registry against distributions whose score is known exactly, so that what is
//! judged is the sampler alone.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use burn::tensor::Tensor;
use pollster::block_on;
use scorefield::Error;
use scorefield::cancel::CancelToken;
use scorefield::images::DataRange;
use scorefield::model::{Denoiser, Learned, ScoreModel};
use scorefield::rng::Noise;
use scorefield::run::{Event, Run};
use scorefield::sampler::Sampler;
use scorefield::schedule::geometric;
use scorefield::sde::AnySde;
use scorefield::toy::GaussianMixture;
use scorefield::weights::shipped;
use serde_json::json;

use crate::support::{
    GAUSSIAN, MIXTURE, Part, analytic, cheap, cpu, draw, estimate, figure, gpu, lively_model, mixture, named,
    relative_error, sdes, small_unet, trials,
};

trials! {
    cpu: [
        every_sampler_finds_the_distribution,
        ald_follows_its_own_recursion,
        the_corrector_with_its_default_size_fits_many_dimensions,
        evaluations_are_counted_and_are_what_is_documented,
        budgets_are_kept_and_used,
        a_sample_alone_is_the_same_as_in_a_batch,
        the_same_seed_gives_the_same_bits,
        events_arrive_in_order,
        cancelling_stops_within_a_step,
        samples_that_are_not_finite_are_an_error,
    ],
    gpu: [
        the_gpu_draws_the_same_pictures_alone_and_in_a_batch,
    ],
}

fn ve() -> AnySde {
    sdes()[0].0
}

pub fn vp() -> AnySde {
    sdes()[1].0
}

/// Weights, means and covariances of what every sampler draws, for the options of its claims: for every diffusion, of a
/// Gaussian and of a mixture.
///
/// An estimate may be off by five of its own standard errors, which chance exceeds once in a million, plus the bias that
/// the sampler claims for its finite steps: for means and covariances in units of a component's deviations and
/// variances, for weights as it stands. Where it claims noise on top, the components overlap, and what is compared is
/// the mean and the covariance of all.
fn every_sampler_finds_the_distribution() {
    for claim in Sampler::claims() {
        let (nfe, bias) = claim.bias;
        // Those at the floor after just as many evaluations are held to the same bias there (`convergence`).
        if nfe == claim.floor_nfe && claim.sigma == 0.0 {
            continue;
        }
        let sampler = claim.method.within(nfe).unwrap();
        for (sde, sde_name) in sdes() {
            // What takes many evaluations is tried on fewer samples, of the target that asks more.
            let slow = nfe >= 500;
            let targets = [(MIXTURE, "mixture"), (GAUSSIAN, "Gaussian")];
            for (parts, target) in targets.into_iter().take(if slow { 1 } else { 2 }) {
                let what = format!("{} on the {sde_name} {target}", json!(sampler));
                let n = if slow { 2048 } else { 8192 };
                let samples = draw(&sampler, &analytic(&mixture(parts), sde), Noise::new(11), n);
                let samples: Vec<[f64; 2]> =
                    samples.chunks_exact(2).map(|x| [f64::from(x[0]), f64::from(x[1])]).collect();
                let blurred;
                let parts = if claim.sigma > 0.0 {
                    blurred = [as_one(parts, claim.sigma)];
                    &blurred
                } else {
                    parts
                };
                compare(&what, &samples, parts, bias);
            }
        }
    }
}

/// The Gaussian with the mean and the covariance of a mixture with noise.
fn as_one(parts: &[Part], sigma: f64) -> Part {
    let mean = [0, 1].map(|i| parts.iter().map(|(weight, mean, _)| weight * mean[i]).sum::<f64>());
    let covariance = [(0, 0), (0, 1), (1, 1)].map(|(i, j)| {
        let of = |(weight, m, c): &Part| weight * (c[i + j] + (m[i] - mean[i]) * (m[j] - mean[j]));
        parts.iter().map(of).sum::<f64>() + if i == j { sigma * sigma } else { 0.0 }
    });
    (1.0, mean, covariance)
}

pub fn compare(what: &str, samples: &[[f64; 2]], parts: &[Part], bias: f64) {
    let nearest = |x: &[f64; 2]| {
        let distance = |part: &Part| (x[0] - part.1[0]).hypot(x[1] - part.1[1]);
        (0..parts.len()).min_by(|a, b| distance(&parts[*a]).total_cmp(&distance(&parts[*b]))).unwrap()
    };
    let mut worst = [0.0_f64; 3];
    let mut compare = |kind: usize, (found, error): (f64, f64), expected: f64, scale: f64| {
        let off = (found - expected).abs();
        worst[kind] = worst[kind].max(off / scale);
        assert!(
            off < 5.0 * error + bias * scale,
            "{what}: {} {found:.4} instead of {expected:.4}, standard error {error:.4}",
            ["weight", "mean", "covariance"][kind]
        );
    };
    for (k, (weight, mean, [xx, xy, yy])) in parts.iter().enumerate() {
        let of_k = || samples.iter().filter(|x| nearest(x) == k);
        let share = estimate(samples.iter().map(|x| f64::from(u8::from(nearest(x) == k))));
        compare(0, share, *weight, 1.0);
        for (i, variance) in [xx, yy].into_iter().enumerate() {
            compare(1, estimate(of_k().map(|x| x[i])), mean[i], variance.sqrt());
        }
        for (i, j, covariance, scale) in [(0, 0, xx, *xx), (0, 1, xy, (xx * yy).sqrt()), (1, 1, yy, *yy)] {
            let products = of_k().map(|x| (x[i] - mean[i]) * (x[j] - mean[j]));
            compare(2, estimate(products), *covariance, scale);
        }
    }
    let [weight, mean, covariance] = worst;
    figure(format_args!(
        "{what}, {} samples: weights off by {weight:.4}, means by {mean:.4} deviations, covariances by \
         {covariance:.4} (5 standard errors of a variance are {:.4})",
        samples.len(),
        5.0 * (2.0 / (samples.len() as f64 * parts[0].0)).sqrt()
    ));
}

/// On a Gaussian annealed Langevin is linear, so the variance it ends with is known for any number of levels:
/// far from the target's for few, which is the method's own error and not the code's.
fn ald_follows_its_own_recursion() {
    let (variance, n) = (0.09, 16_384);
    let target = GaussianMixture::new(&[1.0], &[vec![0.0]], &[vec![vec![variance]]]).unwrap();
    for (sde, name) in sdes() {
        // Two steps of no size are the start, the others have forgotten it.
        let cases = [(60, 4, 0.179, "prior"), (30, 8, 0.05, "uniform"), (100, 2, 0.3, "prior")];
        let starts = [(2, 1, 1e-4, "prior"), (2, 1, 1e-4, "uniform")];
        for (n_steps, n_steps_each, step_size, start) in cases.into_iter().chain(starts) {
            let options = json!({
                "n_steps": n_steps, "n_steps_each": n_steps_each, "step_size": step_size, "start": start
            });
            let samples = draw(&named("ald", options), &analytic(&target, sde), Noise::new(6), n);
            let (found, error) = estimate(samples.iter().map(|x| f64::from(*x).powi(2)));
            let ts = geometric(&*sde, 1.0, sde.time_of_sigma(0.01).max(sde.sampling_eps()), n_steps);
            let mut expected = match start {
                "uniform" => 1.0 / 3.0,
                _ => (sde.prior_std() / sde.marginal_prob(1.0).0).powi(2),
            };
            let mut sigma = 0.0;
            for t in ts {
                sigma = sde.sigma(t);
                let alpha = step_size * sigma * sigma;
                for _ in 0..n_steps_each {
                    expected = expected * (1.0 - alpha / (variance + sigma * sigma)).powi(2) + 2.0 * alpha;
                }
            }
            expected *= (variance / (variance + sigma * sigma)).powi(2);
            figure(format_args!(
                "ald, {name}, {n_steps}x{n_steps_each} from {start}: variance {:.4} ± {:.4} of the target's, {:.4} by the recursion",
                found / variance,
                error / variance,
                expected / variance
            ));
            assert!(
                (found - expected).abs() < 5.0 * error,
                "{name}, {start}: {found} ± {error} instead of {expected}"
            );
        }
    }
}

fn the_corrector_with_its_default_size_fits_many_dimensions() {
    const D: usize = 48;
    // Neighbours correlated by 0.7: variances along the axes from 0.05 to 1.6.
    let covariance: Vec<Vec<f64>> =
        (0..D).map(|i: usize| (0..D).map(|j| 0.3 * 0.7_f64.powi(i.abs_diff(j) as i32)).collect()).collect();
    let target = GaussianMixture::new(&[1.0], &[vec![0.5; D]], std::slice::from_ref(&covariance)).unwrap();
    for (sde, name) in sdes() {
        let n = 256;
        let samples = draw(&named("pc", json!({"n_steps": 250})), &analytic(&target, sde), Noise::new(3), n);
        let at = |sample: usize, i: usize| f64::from(samples[sample * D + i]);
        let all = || (0..n).flat_map(|sample| (0..D).map(move |i| (sample, i)));
        // Averaged over the positions, which are alike; the standard error is that of independent samples.
        let of_samples = |f: &dyn Fn(usize) -> f64| estimate((0..n).map(f).collect::<Vec<_>>().into_iter());
        let mean = of_samples(&|s| (0..D).map(|i| at(s, i)).sum::<f64>() / D as f64);
        let lag = |lag: usize| {
            let product = |s: usize, i: usize| (at(s, i) - 0.5) * (at(s, i + lag) - 0.5);
            of_samples(&|s| (0..D - lag).map(|i| product(s, i)).sum::<f64>() / (D - lag) as f64)
        };
        assert!(all().all(|(s, i)| at(s, i).is_finite()));
        assert!((mean.0 - 0.5).abs() < 5.0 * mean.1 + 0.01, "{name}: mean {mean:?}");
        for k in [0, 1, 5] {
            let (found, error) = lag(k);
            let expected = covariance[0][k];
            figure(format_args!(
                "pc, {name}, {D} dimensions: covariance at lag {k} {found:.4} ± {error:.4}, {expected:.4}"
            ));
            // 1.5 % for the corrector's step, which depends on the state, and 2.5 % for the finite steps.
            let bias = 0.04 * 0.3;
            assert!(
                (found - expected).abs() < 5.0 * error + bias,
                "{name}, lag {k}: {found} instead of {expected}"
            );
        }
    }
}

/// Counts what really reaches the denoiser.
struct Counted {
    inner: GaussianMixture,
    calls: Rc<Cell<usize>>,
}

impl Denoiser for Counted {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        self.calls.set(self.calls.get() + 1);
        self.inner.denoise(x, sigma)
    }
}

fn evaluations_are_counted_and_are_what_is_documented() {
    let calls = Rc::new(Cell::new(0));
    let denoiser = Counted { inner: mixture(MIXTURE), calls: calls.clone() };
    let model = ScoreModel::new(Box::new(denoiser), ve(), DataRange::UNIT, [2, 1, 1], &cpu());
    let few = [1, 2, 5, 12, 33];
    let claims = Sampler::claims();
    let cases = claims.iter().flat_map(|claim| few.iter().filter_map(|nfe| claim.method.within(*nfe)));
    for sampler in cases {
        let documented = sampler.evaluations();
        let before = calls.get();
        let last_step = Rc::new(Cell::new(0));
        let steps = last_step.clone();
        let on_event = move |event| {
            if let Event::Progress { step, .. } = event {
                steps.set(step);
            }
        };
        let mut run = Run { on_event: Some(Box::new(on_event)), ..Run::default() };
        let solution = block_on(sampler.sample(&model, &Noise::new(1), 3, &mut run)).unwrap();
        assert_eq!(solution.nfe, calls.get() - before, "{sampler:?}: counted and real evaluations");
        // The adaptive one: the first slope, six for every attempted step, and the denoising.
        let expected = documented.unwrap_or(1 + 6 * last_step.get() + 1);
        assert_eq!(solution.nfe, expected, "{sampler:?}");
    }
    assert_eq!(model.nfe(), calls.get());
}

/// A budget is never exceeded, less than a step of it is left over, and what is too little is refused.
fn budgets_are_kept_and_used() {
    for sampler in Sampler::all() {
        let name = sampler.info().name;
        assert_eq!(sampler.within(0), None, "{name}");
        for nfe in 1..=250 {
            let Some(chosen) = sampler.within(nfe) else {
                let least = if sampler.evaluations().is_none() { 32 } else { 5 };
                assert!(nfe < least, "{name} refuses {nfe}");
                continue;
            };
            let Some(cost) = chosen.evaluations() else { continue };
            assert!(cost <= nfe && nfe - cost < 4, "{name} costs {cost} of {nfe}");
        }
    }
    // The adaptive one aims: with the shipped model it is at most a fourth above its budget, and uses more of
    // more.
    let model = shipped::open("mnist-vp").unwrap().score_model(&cpu()).unwrap();
    let ode = Sampler::named("ode").unwrap();
    let counted: Vec<usize> = [35, 70, 140]
        .into_iter()
        .map(|nfe| {
            let drawn = ode.within(nfe).unwrap();
            let solution = block_on(drawn.sample(&model, &Noise::new(0), 2, &mut Run::default())).unwrap();
            assert!(solution.nfe * 4 <= nfe * 5, "{} of {nfe}", solution.nfe);
            solution.nfe
        })
        .collect();
    figure(format_args!("ode within 35, 70 and 140 evaluations takes {counted:?}"));
    assert!(counted.is_sorted_by(|a, b| a < b), "{counted:?}");
}

fn a_sample_alone_is_the_same_as_in_a_batch() {
    for (sde, _) in sdes() {
        for sampler in Sampler::all() {
            let model = analytic(&mixture(MIXTURE), sde).having_learned(sampler.info().needs);
            let noise = Noise::new(0x1234_5678_9abc);
            let batch = draw(&sampler, &model, noise.at(40), 6);
            for k in 0..6 {
                let alone = draw(&sampler, &model, noise.at(40 + k as u32), 1);
                assert_eq!(alone, batch[2 * k..2 * k + 2], "{sampler:?}, sample {k}");
            }
            let shard = draw(&sampler, &model, noise.at(42), 3);
            assert_eq!(shard, batch[4..10], "{sampler:?}, samples 2 to 4");
        }
    }
}

fn the_same_seed_gives_the_same_bits() {
    for sampler in Sampler::all() {
        let model = analytic(&mixture(MIXTURE), vp()).having_learned(sampler.info().needs);
        let first = draw(&sampler, &model, Noise::new(1), 4);
        assert_eq!(first, draw(&sampler, &model, Noise::new(1), 4), "{sampler:?}");
        assert_ne!(first, draw(&sampler, &model, Noise::new(2), 4), "{sampler:?}");
    }
}

fn events_arrive_in_order() {
    let model = analytic(&mixture(MIXTURE), ve());
    for sampler in Sampler::fitting(Learned::Score) {
        let events = Rc::new(RefCell::new(Vec::new()));
        let pauses = Rc::new(Cell::new(0));
        let (seen, paused) = (events.clone(), pauses.clone());
        let mut run = Run { preview_every: 3, ..Run::default() };
        run.on_event = Some(Box::new(move |event| seen.borrow_mut().push(event)));
        run.pause = Some(Box::new(move || {
            paused.set(paused.get() + 1);
            Box::pin(async {})
        }));
        let solution = block_on(sampler.sample(&model, &Noise::new(1), 2, &mut run)).unwrap();

        let (mut last_step, mut last_nfe, mut total, mut previews) = (0, 0, 0, 0);
        for event in events.borrow().iter() {
            match event {
                Event::Progress { step, n_steps, nfe } => {
                    assert_eq!(*step, last_step + 1, "{sampler:?}");
                    assert!(
                        step <= n_steps && *nfe > last_nfe && *nfe <= solution.nfe,
                        "{sampler:?} {event:?}"
                    );
                    (last_step, last_nfe, total) = (*step, *nfe, *n_steps);
                }
                Event::Preview(preview) => {
                    previews += 1;
                    assert_eq!(
                        last_step + 1,
                        3 * previews,
                        "{sampler:?}: a preview comes just before its step"
                    );
                    assert_eq!((preview.shape, preview.images.len()), ([2, 2, 1, 1], 4), "{sampler:?}");
                    let denoised = preview.denoised.as_deref().expect("the model was asked");
                    assert!(denoised.len() == 4 && denoised.iter().all(|v| v.is_finite()), "{sampler:?}");
                    // Mid-grey noise of a contrast below one, or the data itself.
                    assert!(
                        preview.images.iter().all(|v| (-6.0..6.0).contains(v)),
                        "{sampler:?} {preview:?}"
                    );
                }
            }
        }
        assert_eq!((last_step, previews), (total, total / 3), "{sampler:?}");
        assert_eq!(pauses.get(), last_step, "{sampler:?}: one pause for each step");
    }
}

fn cancelling_stops_within_a_step() {
    let model = analytic(&mixture(MIXTURE), vp());
    for sampler in Sampler::fitting(Learned::Score) {
        for stop_at in [0, 1, 3] {
            let cancel = CancelToken::default();
            if stop_at == 0 {
                cancel.cancel();
            }
            let (token, last) = (cancel.clone(), Rc::new(Cell::new(0)));
            let seen = last.clone();
            let mut run = Run { cancel, ..Run::default() };
            run.on_event = Some(Box::new(move |event| {
                if let Event::Progress { step, .. } = event {
                    seen.set(step);
                    if step == stop_at {
                        token.cancel();
                    }
                }
            }));
            let result = block_on(sampler.sample(&model, &Noise::new(1), 2, &mut run));
            let expected = stop_at.max(1);
            assert!(
                matches!(result, Err(Error::Cancelled { step }) if step == expected && last.get() == step),
                "{sampler:?}: {result:?} after {}",
                last.get()
            );
        }
    }
}

/// A network gone wrong: NaN below a noise level.
#[derive(Debug)]
struct Broken;

impl Denoiser for Broken {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        if sigma[0] < 0.5 { x * f64::NAN } else { x * 0.5 }
    }
}

fn samples_that_are_not_finite_are_an_error() {
    for (sde, _) in sdes() {
        let model = ScoreModel::new(Box::new(Broken), sde, DataRange::UNIT, [1, 2, 2], &cpu());
        for sampler in Sampler::fitting(Learned::Score) {
            let result = block_on(sampler.sample(&model, &Noise::new(1), 2, &mut Run::default()));
            let Err(Error::NonFinite { step, .. }) = result else { panic!("{sampler:?}: {result:?}") };
            assert!(step > 0 && step < 240, "{sampler:?}: noticed at step {step}");
        }
    }
    let enough = named("ode", json!({"max_steps": 2}));
    let result =
        block_on(enough.sample(&analytic(&mixture(MIXTURE), vp()), &Noise::new(1), 2, &mut Run::default()));
    assert!(matches!(result, Err(Error::TooManySteps { max_steps: 2, .. })), "{result:?}");
}

/// A random network is no contraction, so rounding grows; 1e-3 of the range is a quarter of a grey level.
fn the_gpu_draws_the_same_pictures_alone_and_in_a_batch() {
    let [on_cpu, on_gpu] = [cpu(), gpu()].map(|device| lively_model(&small_unet(), vp(), [1, 9, 7], &device));
    for sampler in cheap() {
        let noise = Noise::new(3).at(20);
        let expected = draw(&sampler, &on_cpu, noise, 2);
        let found = draw(&sampler, &on_gpu, noise, 2);
        let error = relative_error(&found, &expected);
        figure(format_args!("{}: pictures on the GPU differ by {error:.1e}", sampler.info().name));
        assert!(error < 1e-3, "{sampler:?}: off by {error:e}");
        let alone = draw(&sampler, &on_gpu, noise.at(21), 1);
        assert!(relative_error(&alone, &found[63..]) < 1e-3, "{sampler:?}");
    }
}
