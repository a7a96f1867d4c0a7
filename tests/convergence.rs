//! How fast every sampler converges for every diffusion, and what must hold by theory: orders, marginals,
//! the last step, and methods that are the same.

use std::cell::RefCell;
use std::rc::Rc;

use pollster::block_on;
use scorefield::Error;
use scorefield::rng::Noise;
use scorefield::run::{Event, Run};
use scorefield::sampler::{OptionKind, Order, Sampler};
use scorefield::schedule::natural;
use scorefield::sde::Sde;
use scorefield::toy::GaussianMixture;
use serde_json::{Value, json};

use crate::support::{
    MIXTURE, Truth, analytic, brief, draw, estimate, figure, figures, log_log_slope, mixture, named,
    relative_error, sdes, trials,
};

trials! {
    cpu: [
        samples_reach_the_statistical_floor,
        stochastic_samplers_have_the_weak_order_they_claim,
        stochastic_steps_follow_their_recursion,
        the_sde_and_the_ode_have_the_same_marginals,
        the_last_denoising_is_tweedies,
        methods_that_are_the_same_agree,
        fresh_noise_stays_within_its_levels,
        what_makes_no_sense_is_refused,
    ],
}

/// Samples of a set: the more, the smaller the errors that show.
const N: usize = 1024;

fn pairs(values: &[f32]) -> Vec<[f64; 2]> {
    values.chunks_exact(2).map(|x| [f64::from(x[0]), f64::from(x[1])]).collect()
}

/// Every sampler, with the options of each of its claims, is at the statistical floor after the evaluations that it
/// claims: its samples are as near to the distribution as exact samples are.
fn samples_reach_the_statistical_floor() {
    for claim in Sampler::claims() {
        let truth = Truth::new(MIXTURE, claim.sigma, 4 * N, N);
        for (sde, sde_name) in sdes() {
            let model = analytic(&mixture(MIXTURE), sde);
            let drawn = |sampler: &Sampler| pairs(&draw(sampler, &model, Noise::new(5), 3 * N));
            // The energy distance, of two sets, follows the share of a mode, which is up to chance: even of exact sets one in
            // twenty is three floors off. Weights and moments, below, are of three sets and within their standard errors.
            let distance = |samples: &[[f64; 2]]| {
                samples.chunks(N).take(2).map(|set| truth.energy_distance(set)).sum::<f64>() / 2.0
            };
            let name = claim.method.info().name;
            if figures() {
                let row: Vec<String> = [10, 20, 50, 100, 200, 500]
                    .into_iter()
                    .filter_map(|nfe| {
                        Some(format!("{nfe}: {:.1e}", distance(&drawn(&claim.method.within(nfe)?))))
                    })
                    .collect();
                figure(format_args!("{sde_name}, {}, by NFE {}", json!(claim.method), row.join(", ")));
            }
            let sampler = claim.method.within(claim.floor_nfe).unwrap();
            let samples = drawn(&sampler);
            let (found, floor) = (distance(&samples), truth.floor);
            figure(format_args!(
                "{sde_name}, {name}: {:.2} of the floor at {} NFE",
                found / floor,
                claim.floor_nfe
            ));
            assert!(found < 3.0 * floor, "{sde_name}, {sampler:?}: {found:.1e}, exact samples {floor:.1e}");
            // With the noise of a claim on top the components overlap.
            if claim.sigma == 0.0 {
                let order = match claim.order {
                    Order::Ode(order) | Order::Weak(order) => order,
                    Order::Adaptive | Order::None => 1,
                };
                // What the claim for another number of evaluations comes to for this one.
                let bias = claim.bias.1 * (claim.bias.0 as f64 / claim.floor_nfe as f64).powi(order as i32);
                assert_fits(&format!("{sde_name}, {sampler:?}"), &samples, bias);
            }
        }
    }
}

/// Samples of [`MIXTURE`] have its weights, means and spread: the share of the first component, how far a component's mean
/// is off in its own deviations, and the mean square of the distance from it in them, which is 2 in the plane. Four
/// standard errors (six of a mean in the plane), and for the spread the bias of finite steps: an eighth of the deviation at
/// most.
fn assert_fits(what: &str, samples: &[[f64; 2]], bias: f64) {
    let parts = MIXTURE;
    let centred = |x: &[f64; 2], k: usize| [x[0] - parts[k].1[0], x[1] - parts[k].1[1]];
    // In coordinates in which the component is a standard normal: by Cholesky's factor of its covariance.
    let standard = |x: &[f64; 2], k: usize| {
        let ([dx, dy], [xx, xy, yy]) = (centred(x, k), parts[k].2);
        let first = dx / xx.sqrt();
        [first, (dy - xy / xx.sqrt() * first) / (yy - xy * xy / xx).sqrt()]
    };
    let length = |[x, y]: [f64; 2]| x.hypot(y);
    let nearest = |x: &[f64; 2]| usize::from(length(centred(x, 1)) < length(centred(x, 0)));
    let (mut square, mut off) = (0.0, [0.0; 2]);
    for (k, off) in off.iter_mut().enumerate() {
        let of_k: Vec<[f64; 2]> =
            samples.iter().filter(|x| nearest(x) == k).map(|x| standard(x, k)).collect();
        let n = of_k.len() as f64;
        *off = length([0, 1].map(|i| of_k.iter().map(|x| x[i]).sum::<f64>() / n)) * n.sqrt();
        square += of_k.iter().map(|x| length(*x).powi(2)).sum::<f64>();
    }
    let n = samples.len() as f64;
    let share = samples.iter().filter(|x| nearest(x) == 0).count() as f64 / n;
    let spread = square / n / 2.0;
    figure(format_args!(
        "{what}: share {share:.4}, means off by {off:.2?} standard errors, spread {spread:.4}"
    ));
    assert!((share - parts[0].0).abs() < 4.0 * (0.16 / n).sqrt(), "{what}: share {share}");
    assert!(off.iter().all(|off| *off < 6.0), "{what}: means off by {off:?} standard errors");
    assert!((spread - 1.0).abs() < 4.0 / n.sqrt() + bias, "{what}: spread {spread}");
}

/// The variance of what a stochastic sampler draws of a narrow Gaussian is off by an error that falls, with each doubling
/// of the evaluations, by the factor of the order that it claims: by a sixth less, as higher orders play a part, and up to
/// four standard errors.
fn stochastic_samplers_have_the_weak_order_they_claim() {
    let (variance, n) = (0.1, 16_384);
    let target = GaussianMixture::new(&[1.0], &[vec![0.0]], &[vec![vec![variance]]]).unwrap();
    let standard_error = (2.0 / f64::from(n)).sqrt();
    for (sde, sde_name) in sdes() {
        let last = sde.sigma(sde.sampling_eps()).powi(2);
        let model = analytic(&target, sde);
        for claim in Sampler::claims() {
            let Order::Weak(order) = claim.order else { continue };
            let errors = [64, 128, 256].map(|nfe| {
                let samples = draw(&claim.method.within(nfe).unwrap(), &model, Noise::new(6), n as usize);
                let (found, _) = estimate(samples.iter().map(|x| f64::from(*x).powi(2)));
                // What is left of the variance when the last noise is removed.
                (found / (variance * variance / (variance + last)) - 1.0).abs()
            });
            figure(format_args!("{sde_name}, {}: errors {}", json!(claim.method), brief(&errors)));
            for pair in errors.windows(2) {
                let bound = pair[0] / 2.0_f64.powf(f64::from(order) - 0.25) + 4.0 * standard_error;
                assert!(pair[1] < bound, "{sde_name}, {:?}: {errors:?}", claim.method);
            }
        }
    }
}

/// The coefficients of one step `x ← a·x + b·z` of a stochastic method, and `b²`, when the score at `t_cur`
/// is `-score·x`.
type Step = fn(&dyn Sde, t_cur: f64, t_next: f64, score: f64) -> (f64, f64);

/// As their papers have them; `forward` is the forward transition.
const STEPS: &[(&str, &str, Step)] = &[
    ("euler_maruyama", "{}", |sde, t_cur, t_next, score| {
        let (dt, g_sq) = (t_cur - t_next, sde.diffusion(t_cur).powi(2));
        (1.0 - (sde.drift(t_cur) + g_sq * score) * dt, g_sq * dt)
    }),
    ("reverse_diffusion", "{}", |sde, t_cur, t_next, score| {
        let (a, b_sq) = forward(sde, t_cur, t_next);
        (2.0 - a - b_sq * score, b_sq)
    }),
    ("ancestral", r#"{"variance": "beta"}"#, |sde, t_cur, t_next, score| {
        let (a, b_sq) = forward(sde, t_cur, t_next);
        ((1.0 - b_sq * score) / a, b_sq)
    }),
    ("ancestral", "{}", |sde, t_cur, t_next, score| {
        let (a, b_sq) = forward(sde, t_cur, t_next);
        let ratio = sde.marginal_prob(t_next).1 / sde.marginal_prob(t_cur).1;
        ((1.0 - b_sq * score) / a, b_sq * ratio * ratio)
    }),
    ("ddim", r#"{"eta": 0.5}"#, |sde, t_cur, t_next, score| {
        let ((mean_cur, std_cur), (mean_next, std_next)) =
            (sde.marginal_prob(t_cur), sde.marginal_prob(t_next));
        let (_, b_sq) = forward(sde, t_cur, t_next);
        let s_sq = 0.25 * b_sq * (std_next / std_cur).powi(2);
        let eps = std_cur * score;
        let denoised = (1.0 - std_cur * eps) / mean_cur;
        (mean_next * denoised + (std_next * std_next - s_sq).sqrt() * eps, s_sq)
    }),
];

fn forward(sde: &dyn Sde, t_cur: f64, t_next: f64) -> (f64, f64) {
    let ((mean_cur, std_cur), (mean_next, std_next)) = (sde.marginal_prob(t_cur), sde.marginal_prob(t_next));
    let a = mean_cur / mean_next;
    (a, std_cur * std_cur - (a * std_next).powi(2))
}

/// On a Gaussian every method is linear, so the variance after any number of steps is known: the samples
/// must have it where the method is far off, and its error must fall with the first power of the number of
/// steps, the weak order. For VE the first-order error of Euler and Maruyama's rule on a Gaussian vanishes, since
/// `g²` grows as the variance does: order 2.
fn stochastic_steps_follow_their_recursion() {
    let (variance, n, few) = (0.3, 16_384, 50);
    let target = GaussianMixture::new(&[1.0], &[vec![0.0]], &[vec![vec![variance]]]).unwrap();
    for (sde, sde_name) in sdes() {
        let last = sde.sigma(sde.sampling_eps()).powi(2);
        let tweedie = variance / (variance + last);
        for (name, options, step) in STEPS {
            let recursion = |n_steps: usize| {
                // DDIM's last step is the denoising.
                let ts = natural(&*sde, if *name == "ddim" { n_steps } else { n_steps + 1 });
                let of_steps = ts.windows(2).fold(sde.prior_std().powi(2), |total, pair| {
                    let (mean_coeff, std) = sde.marginal_prob(pair[0]);
                    let score = 1.0 / (mean_coeff * mean_coeff * variance + std * std);
                    let (a, b_sq) = step(&*sde, pair[0], pair[1], score);
                    a * a * total + b_sq
                });
                of_steps * (tweedie / sde.marginal_prob(sde.sampling_eps()).0).powi(2)
            };
            let mut options: Value = serde_json::from_str(options).unwrap();
            options["n_steps"] = few.into();
            let samples = draw(&named(name, options.clone()), &analytic(&target, sde), Noise::new(6), n);
            let (found, error) = estimate(samples.iter().map(|x| f64::from(*x).powi(2)));
            let expected = recursion(few);
            let errors: Vec<(f64, f64)> = [400, 800, 1600]
                .map(|n_steps| (n_steps as f64, (recursion(n_steps) - variance * tweedie).abs() / variance))
                .to_vec();
            let order = -log_log_slope(&errors);
            figure(format_args!(
                "{name} {options}, {sde_name}: variance {:.4} ± {:.4} of the target's, {:.4} by the recursion; weak order \
                 {order:.3}, errors {}",
                found / variance,
                error / variance,
                expected / variance,
                brief(&errors.iter().map(|e| e.1).collect::<Vec<_>>())
            ));
            assert!(
                (found - expected).abs() < 5.0 * error,
                "{sde_name}, {name} {options}: {found}, {expected}"
            );
            let due = if *name == "euler_maruyama" && sde_name == "VE" { 2.0 } else { 1.0 };
            assert!((order - due).abs() < 0.1, "{sde_name}, {name} {options}: order {order}, {errors:?}");
        }
    }
}

/// Of the reverse SDE (Euler-Maruyama) and of the probability-flow ODE (Euler) at five times each, against exact
/// samples of the data with the noise of that time (Song et al. 2021, section 4.3). The states are those
/// that previews show, with the fading for the eye undone.
fn the_sde_and_the_ode_have_the_same_marginals() {
    const STEPS: usize = 500;
    for (sde, sde_name) in sdes() {
        let ts = natural(&*sde, STEPS + 1);
        let truths: Vec<_> = (1..=5)
            .map(|k| {
                let sigma = sde.sigma(ts[k * STEPS / 5]);
                (sigma, Truth::new(MIXTURE, sigma, 2 * N, N))
            })
            .collect();
        for name in ["euler_maruyama", "euler"] {
            let states = Rc::new(RefCell::new(Vec::new()));
            let seen = states.clone();
            let on_event = move |event| {
                if let Event::Preview(preview) = event {
                    seen.borrow_mut().push(preview.images);
                }
            };
            let mut run =
                Run { preview_every: STEPS / 5, on_event: Some(Box::new(on_event)), ..Run::default() };
            let sampler = named(name, json!({"n_steps": STEPS}));
            let model = analytic(&mixture(MIXTURE), sde);
            block_on(sampler.sample(&model, &Noise::new(5), N, &mut run)).unwrap();
            assert_eq!(states.borrow().len(), 5);
            for (state, (sigma, truth)) in states.borrow().iter().zip(&truths) {
                let contrast = 1.0 / (1.0 + (sigma / 0.5).powi(2)).sqrt();
                let state: Vec<f32> =
                    state.iter().map(|v| ((f64::from(*v) - 0.5) / contrast + 0.5) as f32).collect();
                let found = truth.energy_distance(&pairs(&state)) / truth.floor;
                figure(format_args!("{sde_name}, {name}, sigma {sigma:.2e}: {found:.2} of the floor"));
                assert!(
                    found < 4.0,
                    "{sde_name}, {name}, sigma {sigma}: {found} times that of exact samples"
                );
            }
        }
    }
}

/// Kept and denoised samples of the same noise differ by the posterior mean, exactly known for a Gaussian:
/// here one as narrow as the last noise, whose every sample moves halfway to the mean.
fn the_last_denoising_is_tweedies() {
    for (sde, sde_name) in sdes() {
        let last = sde.sigma(sde.sampling_eps()).powi(2);
        let as_narrow = |variance: f64| {
            let target = GaussianMixture::new(&[1.0], &[vec![0.0]], &[vec![vec![variance]]]).unwrap();
            analytic(&target, sde)
        };
        for sampler in Sampler::all() {
            let info = sampler.info();
            if !info.options.iter().any(|option| option.name == "last_step") || info.name == "langevin" {
                continue;
            }
            // Annealed Langevin's levels end at 0.01, if the diffusion's do not before.
            let model = as_narrow(if info.name == "ald" { last.max(1e-4) } else { last });
            let ending = |last_step: &str| {
                let options = json!({"n_steps": 20, "last_step": last_step});
                draw(&named(info.name, options), &model, Noise::new(9), 32)
            };
            let expected: Vec<f32> = ending("keep").iter().map(|x| 0.5 * x).collect();
            let error = relative_error(&ending("denoise"), &expected);
            assert!(error < 1e-5, "{sde_name}, {}: off by {error:e}", info.name);
        }
        let model = as_narrow(last);
        let options = |last_step: &str| json!({"n_steps": 5, "sigma": 0.5, "last_step": last_step});
        let [kept, denoised] =
            ["keep", "denoise"].map(|end| draw(&named("langevin", options(end)), &model, Noise::new(9), 32));
        let expected: Vec<f32> = kept.iter().map(|x| x * (last / (last + 0.25)) as f32).collect();
        // The posterior mean is a small difference of the state and its noise where the data is narrow.
        let off = denoised.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5, "{sde_name}, langevin: off by {off:e}");
    }
}

/// Names for one method are one method: bit for bit where the code is, else up to rounding.
fn methods_that_are_the_same_agree() {
    let pc = |predictor: &str, more: Value| {
        let mut options = json!({"n_steps": 30, "predictor": predictor});
        more.as_object().unwrap().iter().for_each(|(name, value)| options[name] = value.clone());
        named("pc", options)
    };
    for (sde, sde_name) in sdes() {
        let model = analytic(&mixture(MIXTURE), sde);
        let drawn = |sampler: &Sampler| draw(sampler, &model, Noise::new(4), 64);
        for predictor in ["reverse_diffusion", "euler_maruyama", "ancestral"] {
            let alone = drawn(&named(predictor, json!({"n_steps": 30})));
            for nothing in [json!({"corrector": "none"}), json!({"n_corrector": 0})] {
                assert_eq!(drawn(&pc(predictor, nothing)), alone, "{sde_name}, {predictor}");
            }
        }
        let close = |a: Sampler, b: Sampler| {
            let error = relative_error(&drawn(&a), &drawn(&b));
            figure(format_args!("{sde_name}: {} and {} differ by {error:.1e}", a.info().name, b.info().name));
            assert!(error < 1e-3, "{sde_name}: {a:?} and {b:?} differ by {error:e}");
        };
        // DDIM takes its last step to zero noise, where the ancestral sampler denoises.
        close(named("ddim", json!({"n_steps": 31, "eta": 1.0})), named("ancestral", json!({"n_steps": 30})));
        if sde.drift(0.5) == 0.0 {
            let beta = json!({"n_steps": 30, "variance": "beta"});
            close(named("ancestral", beta), named("reverse_diffusion", json!({"n_steps": 30})));
        }
        if sde_name == "EDM" {
            close(named("ddim", json!({"n_steps": 31})), named("euler", json!({"n_steps": 30})));
        }
    }
}

/// Churn outside its levels, or none, is the deterministic method bit for bit.
fn fresh_noise_stays_within_its_levels() {
    for (sde, sde_name) in sdes() {
        let model = analytic(&mixture(MIXTURE), sde);
        let drawn = |options: Value| draw(&named("heun", options), &model, Noise::new(4), 16);
        let plain = drawn(json!({}));
        let above = 1.1 * sde.sigma(1.0);
        assert_eq!(drawn(json!({"s_churn": 40.0, "s_tmin": above})), plain, "{sde_name}");
        assert_eq!(drawn(json!({"s_churn": 40.0, "s_tmax": 0.0})), plain, "{sde_name}");
        assert_eq!(drawn(json!({"s_noise": 1.1})), plain, "{sde_name}");
        let churned = drawn(json!({"s_churn": 40.0}));
        assert_ne!(churned, plain, "{sde_name}");
        assert_ne!(drawn(json!({"s_churn": 40.0, "s_noise": 1.01})), churned, "{sde_name}");
        assert_ne!(drawn(json!({"s_churn": 40.0, "s_tmax": 1.0})), churned, "{sde_name}");
    }
}

fn what_makes_no_sense_is_refused() {
    let refused = |sampler: Sampler, which: usize, word: &str| {
        let (sde, sde_name) = sdes()[which];
        let model = analytic(&mixture(MIXTURE), sde);
        let result = block_on(sampler.sample(&model, &Noise::new(1), 1, &mut Run::default()));
        let Err(error @ Error::Config { .. }) = result else { panic!("{sde_name}, {sampler:?}: {result:?}") };
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(model.nfe(), 0);
    };
    refused(named("dpmpp_2m", json!({"grid": "time"})), 3, "karras or log_snr");
    for which in 0..4 {
        refused(named("langevin", json!({"sigma": 200.0})), which, "sigma = 200");
        refused(named("langevin", json!({"sigma": 1e-4})), which, "sigma = 0.0001");
    }
    // Every choice is understood, and so is every pair but those refused.
    for sampler in Sampler::all() {
        let info = sampler.info();
        for option in info.options {
            let OptionKind::Choice { choices } = option.kind else { continue };
            for choice in choices {
                let options = json!({(option.name): choice.name});
                let chosen = named(info.name, options);
                assert_eq!(serde_json::to_value(&chosen).unwrap()[option.name], choice.name);
            }
        }
    }
}
