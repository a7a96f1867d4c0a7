//! Golden updates: some steps of every sampler against its formula, written out in `f64`, with the very noise that its
//! chain draws. All states are compared that a preview shows, so that an error of one step cannot hide behind the next.

use pollster::block_on;
use scorefield::rng::Noise;
use scorefield::schedule;
use scorefield::sde::AnySde;
use serde_json::{Value, json};

use crate::formulas::Formulas;
use crate::support::{GAUSSIAN, analytic, mixture, named, trials, values};
use crate::walk::{N, SEED, State, Walk, compare, sum, watching};

trials! {
    cpu: [
        single_steps,
        predictors_and_correctors,
        ddim_steps,
        dpm_solver_steps,
        heun_steps_and_churn,
        annealed_langevin_steps,
        langevin_steps,
    ],
}

/// Enough for a first, a middle and a last one.
const STEPS: usize = 3;

/// What `f32` rounds in three steps, relative to the state; found: 2e-6 at most.
const ROUNDING: f64 = 1e-5;

/// A sampler's pictures and samples against those of the same walk in `f64`, for every diffusion.
fn check(name: &str, options: impl Fn(&AnySde) -> Value, walk: impl Fn(&mut Walk) -> State) {
    check_within(ROUNDING, name, options, walk);
}

fn check_within(
    bound: f64,
    name: &str,
    options: impl Fn(&AnySde) -> Value,
    walk: impl Fn(&mut Walk) -> State,
) {
    for (sde, formulas) in Formulas::all() {
        let sampler = named(name, options(&sde));
        let model = analytic(&mixture(GAUSSIAN), sde);
        let mut pictures = Vec::new();
        let mut run = watching(&mut pictures);
        let solution = block_on(sampler.sample(&model, &Noise::new(SEED), N, &mut run)).unwrap();
        drop(run);
        pictures.push(values(solution.images));

        let mut expected = Walk::new(formulas);
        let samples = walk(&mut expected);
        compare(&format!("{formulas:?}, {}", json!(sampler)), &pictures, &expected.finished(samples), bound);
    }
}

/// The walk of the methods that step down their diffusion's own grid.
fn descend(walk: &mut Walk, last_step: &str, step: impl Fn(&mut Walk, State, f64, f64) -> State) -> State {
    let ts = walk.formulas.natural(STEPS + 1);
    let mut x = walk.prior();
    for pair in ts.windows(2) {
        x = step(walk, x, pair[0], pair[1]);
        let y = sum(&[(1.0 / walk.formulas.mean(pair[1]), &x)]);
        walk.show(&y, walk.formulas.sigma(pair[1]));
    }
    let y = sum(&[(1.0 / walk.formulas.mean(ts[STEPS]), &x)]);
    end(walk, last_step, y, walk.formulas.sigma(ts[STEPS]))
}

/// The last denoising, if it is asked for.
fn end(walk: &Walk, last_step: &str, y: State, sigma: f64) -> State {
    if last_step == "denoise" { walk.denoised(&y, sigma) } else { y }
}

/// Song et al. 2021, equation 13: `x + (f·x - g²·score/2)·dt`.
fn euler(walk: &mut Walk, x: State, t_cur: f64, t_next: f64) -> State {
    let (dt, g_sq) = (t_next - t_cur, walk.formulas.diffusion_sq(t_cur));
    let score = walk.score(&x, t_cur);
    sum(&[(1.0 + walk.formulas.drift(t_cur) * dt, &x), (-0.5 * g_sq * dt, &score)])
}

/// Equation 6: `x + (f·x - g²·score)·dt + g·sqrt(-dt)·z`.
fn euler_maruyama(walk: &mut Walk, x: State, t_cur: f64, t_next: f64) -> State {
    let (dt, g_sq) = (t_next - t_cur, walk.formulas.diffusion_sq(t_cur));
    let (score, z) = (walk.score(&x, t_cur), walk.noise());
    sum(&[(1.0 + walk.formulas.drift(t_cur) * dt, &x), (-g_sq * dt, &score), ((-g_sq * dt).sqrt(), &z)])
}

/// Equation 46: `(2 - a)·x + b²·score + b·z`.
fn reverse_diffusion(walk: &mut Walk, x: State, t_cur: f64, t_next: f64) -> State {
    let (a, b_sq) = walk.formulas.forward(t_next, t_cur);
    let (score, z) = (walk.score(&x, t_cur), walk.noise());
    sum(&[(2.0 - a, &x), (b_sq, &score), (b_sq.sqrt(), &z)])
}

/// Ho et al. 2020, algorithm 2, with the variance `beta`: `(x + b²·score)/a + b·z`.
fn ancestral_beta(walk: &mut Walk, x: State, t_cur: f64, t_next: f64) -> State {
    let (a, b_sq) = walk.formulas.forward(t_next, t_cur);
    let (score, z) = (walk.score(&x, t_cur), walk.noise());
    sum(&[(1.0 / a, &x), (b_sq / a, &score), (b_sq.sqrt(), &z)])
}

/// And with the posterior's, `b²·std_next²/std_cur²`.
fn ancestral(walk: &mut Walk, x: State, t_cur: f64, t_next: f64) -> State {
    let (a, b_sq) = walk.formulas.forward(t_next, t_cur);
    let ratio = walk.formulas.std(t_next) / walk.formulas.std(t_cur);
    let (score, z) = (walk.score(&x, t_cur), walk.noise());
    sum(&[(1.0 / a, &x), (b_sq / a, &score), (b_sq.sqrt() * ratio, &z)])
}

/// No predictor: the image stays, on the scale of the next time.
fn stay(walk: &mut Walk, x: State, t_cur: f64, t_next: f64) -> State {
    sum(&[(walk.formulas.mean(t_next) / walk.formulas.mean(t_cur), &x)])
}

/// `corrector_snr` of the tests.
const SNR: f64 = 0.3;

/// `x + epsilon·score + sqrt(2·epsilon)·z`, one `epsilon` for each sample.
fn langevin_step(walk: &mut Walk, x: State, t: f64, epsilon: impl Fn(&[f64]) -> f64) -> State {
    let (score, z) = (walk.score(&x, t), walk.noise());
    let of_sample = |i: usize| epsilon(&score[i - i % 2..][..2]);
    (0..x.len()).map(|i| x[i] + of_sample(i) * score[i] + (2.0 * of_sample(i)).sqrt() * z[i]).collect()
}

/// Song et al. 2021, algorithms 4 and 5: `epsilon = 2·alpha·(snr·|z|/|score|)²` with `alpha = a²`, `|z|²` its
/// expectation 2, and the score's norm as if a hundred values of pure noise, of size `1/std`, belonged to it.
fn langevin_corrector(walk: &mut Walk, x: State, t_cur: f64, t_next: f64) -> State {
    let (alpha, std) = (walk.formulas.forward(t_next, t_cur).0.powi(2), walk.formulas.std(t_next));
    langevin_step(walk, x, t_next, |score| {
        let mean_square = (score.iter().map(|s| s * s).sum::<f64>() + 100.0 / (std * std)) / 102.0;
        2.0 * alpha * SNR * SNR / mean_square
    })
}

/// Annealed Langevin dynamics as a corrector: `epsilon = 2·alpha·(snr·std)²`.
fn ald_corrector(walk: &mut Walk, x: State, t_cur: f64, t_next: f64) -> State {
    let (alpha, std) = (walk.formulas.forward(t_next, t_cur).0.powi(2), walk.formulas.std(t_next));
    langevin_step(walk, x, t_next, |_| 2.0 * alpha * (SNR * std).powi(2))
}

type Step = fn(&mut Walk, State, f64, f64) -> State;

const ENDS: [&str; 2] = ["denoise", "keep"];

fn single_steps() {
    let cases: [(&str, Value, Step); 5] = [
        ("euler", json!({}), euler),
        ("euler_maruyama", json!({}), euler_maruyama),
        ("reverse_diffusion", json!({}), reverse_diffusion),
        ("ancestral", json!({}), ancestral),
        ("ancestral", json!({"variance": "beta"}), ancestral_beta),
    ];
    for (name, mut options, step) in cases {
        for last_step in ENDS {
            options["n_steps"] = STEPS.into();
            options["last_step"] = last_step.into();
            check(name, |_| options.clone(), |walk| descend(walk, last_step, step));
        }
    }
}

fn predictors_and_correctors() {
    let predictors: [(&str, Step); 4] = [
        ("reverse_diffusion", reverse_diffusion),
        ("euler_maruyama", euler_maruyama),
        ("ancestral", ancestral),
        ("none", stay),
    ];
    let correctors: [(&str, Step); 2] = [("langevin", langevin_corrector), ("ald", ald_corrector)];
    for (predictor, predict) in predictors {
        for (corrector, correct) in correctors {
            for (n_corrector, last_step) in [(1, "denoise"), (2, "keep")] {
                let options = json!({
                    "n_steps": STEPS, "predictor": predictor, "corrector": corrector, "n_corrector": n_corrector,
                    "corrector_snr": SNR, "last_step": last_step,
                });
                let step = |walk: &mut Walk, x, t_cur, t_next| {
                    let x = predict(walk, x, t_cur, t_next);
                    (0..n_corrector).fold(x, |x, _| correct(walk, x, t_cur, t_next))
                };
                check("pc", |_| options.clone(), |walk| descend(walk, last_step, step));
            }
        }
    }
}

/// Song, Meng and Ermon 2021, equation 12: `mean_next·D + sqrt(std_next² - s²)·eps + s·z`, and `D` at last.
fn ddim_steps() {
    for eta in [0.0, 0.7, 1.0] {
        check(
            "ddim",
            |_| json!({"n_steps": STEPS, "eta": eta}),
            |walk| {
                let formulas = walk.formulas;
                let ts = formulas.natural(STEPS);
                let mut x = walk.prior();
                for pair in ts.windows(2) {
                    let [t_cur, t_next] = [pair[0], pair[1]];
                    let denoised =
                        walk.denoised(&sum(&[(1.0 / formulas.mean(t_cur), &x)]), formulas.sigma(t_cur));
                    let eps = sum(&[(-formulas.std(t_cur), &walk.score(&x, t_cur))]);
                    let (_, b_sq) = formulas.forward(t_next, t_cur);
                    let s = eta * b_sq.sqrt() * formulas.std(t_next) / formulas.std(t_cur);
                    let direct = (formulas.std(t_next).powi(2) - s * s).sqrt();
                    x = sum(&[(formulas.mean(t_next), &denoised), (direct, &eps)]);
                    if eta > 0.0 {
                        x = sum(&[(1.0, &x), (s, &walk.noise())]);
                    }
                    walk.show(&sum(&[(1.0 / formulas.mean(t_next), &x)]), formulas.sigma(t_next));
                }
                let t = ts[STEPS - 1];
                let y = walk.denoised(&sum(&[(1.0 / formulas.mean(t), &x)]), formulas.sigma(t));
                walk.show(&y, 0.0);
                y
            },
        );
    }
}

/// Lu et al. 2022b, algorithm 2, in `lambda = -ln sigma` and `y = x_t/mean`.
fn dpm_solver_steps() {
    for grid in ["karras", "log_snr", "time"] {
        let n = STEPS + 1;
        // Equal steps of time are refused for EDM's diffusion.
        let grid_of = move |edm: bool| if edm && grid == "time" { "karras" } else { grid };
        let options = |sde: &AnySde| json!({"n_steps": n, "grid": grid_of(sde.grid_exponent().is_some())});
        check("dpmpp_2m", options, |walk| {
            let formulas = walk.formulas;
            let ts = match grid_of(matches!(formulas, Formulas::Edm)) {
                "karras" => formulas.karras(n, 7.0),
                "log_snr" => formulas.geometric(n, formulas.sigma(formulas.last())),
                _ => formulas.uniform(n),
            };
            let lambda = |i: usize| -formulas.sigma(ts[i]).ln();
            let mut y = sum(&[(1.0 / formulas.mean(1.0), &walk.prior())]);
            let mut last: Option<State> = None;
            for i in 0..n {
                let denoised = walk.denoised(&y, formulas.sigma(ts[i]));
                let Some(t_next) = ts.get(i + 1) else {
                    y = denoised;
                    walk.show(&y, 0.0);
                    break;
                };
                let h = lambda(i + 1) - lambda(i);
                let extrapolated = match &last {
                    None => denoised.clone(),
                    Some(last) => {
                        let r = (lambda(i) - lambda(i - 1)) / h;
                        sum(&[(1.0 + 0.5 / r, &denoised), (-0.5 / r, last)])
                    }
                };
                y = sum(&[((-h).exp(), &y), (1.0 - (-h).exp(), &extrapolated)]);
                walk.show(&y, formulas.sigma(*t_next));
                last = Some(denoised);
            }
            y
        });
    }
}

/// Karras et al. 2022, algorithm 2, which never raises the noise above the largest level. The slope at the last level, for
/// sub-VP 1e-4, divides what `f32` rounds by it.
fn heun_steps_and_churn() {
    const N_STEPS: usize = 16;
    let (rho, s_noise) = (5.0, 1.3);
    // No fresh noise; some; as much as the cap of sqrt(2) - 1 allows, for the second level more than there is above it.
    for (s_churn, gamma) in [(0.0, 0.0), (3.2, 0.2), (40.0, 2.0_f64.sqrt() - 1.0)] {
        // At all levels but the first, or at the second alone, whose level is both ends of the range.
        for one_level in [false, true] {
            let options = |sde: &AnySde| {
                let ts = schedule::karras(&**sde, 1.0, sde.sampling_eps(), N_STEPS, rho);
                let second = sde.sigma(ts[1]);
                let s_tmin = if one_level { second } else { 0.0 };
                json!({
                    "n_steps": N_STEPS, "rho": rho, "s_churn": s_churn, "s_noise": s_noise, "s_tmin": s_tmin,
                    "s_tmax": second,
                })
            };
            check_within(5e-4, "heun", options, |walk| {
                let formulas = walk.formulas;
                let sigmas: Vec<f64> =
                    formulas.karras(N_STEPS, rho).iter().map(|t| formulas.sigma(*t)).collect();
                let mut y = sum(&[(1.0 / formulas.mean(1.0), &walk.prior())]);
                for (i, sigma) in sigmas.iter().enumerate() {
                    let churned = gamma > 0.0 && i > 0 && (!one_level || i == 1);
                    let hat = if churned { (sigma * (1.0 + gamma)).min(sigmas[0]) } else { *sigma };
                    if churned {
                        y = sum(&[(1.0, &y), (s_noise * (hat * hat - sigma * sigma).sqrt(), &walk.noise())]);
                    }
                    let slope = |y: &State, sigma: f64| {
                        sum(&[(1.0 / sigma, y), (-1.0 / sigma, &walk.denoised(y, sigma))])
                    };
                    let d_cur = slope(&y, hat);
                    let sigma_next = sigmas.get(i + 1).copied().unwrap_or(0.0);
                    let h = sigma_next - hat;
                    let euler = sum(&[(1.0, &y), (h, &d_cur)]);
                    y = match sigma_next > 0.0 {
                        true => sum(&[(1.0, &y), (h / 2.0, &d_cur), (h / 2.0, &slope(&euler, sigma_next))]),
                        false => euler,
                    };
                    walk.show(&y, sigma_next);
                }
                y
            });
        }
    }
}

/// Song and Ermon 2019, algorithm 1: `alpha = step·sigma²` at each of the geometric levels, of which the last is 0.01 or
/// the diffusion's own.
fn annealed_langevin_steps() {
    let (levels, each, step_size) = (3, 2, 0.2);
    for last_step in ENDS {
        let options =
            json!({"n_steps": levels, "n_steps_each": each, "step_size": step_size, "last_step": last_step});
        check(
            "ald",
            |_| options.clone(),
            |walk| {
                let formulas = walk.formulas;
                let mut y = sum(&[(1.0 / formulas.mean(1.0), &walk.prior())]);
                let mut sigma = 0.0;
                let last = formulas.sigma(formulas.last()).max(0.01);
                for t in formulas.geometric(levels, last) {
                    sigma = formulas.sigma(t);
                    for _ in 0..each {
                        y = langevin(walk, y, sigma, step_size * sigma * sigma);
                        walk.show(&y, sigma);
                    }
                }
                end(walk, last_step, y, sigma)
            },
        );
    }
}

/// `y + alpha·score + sqrt(2·alpha)·z` at one noise level.
fn langevin(walk: &mut Walk, y: State, sigma: f64, alpha: f64) -> State {
    let (score, z) = (walk.score_of_unscaled(&y, sigma), walk.noise());
    sum(&[(1.0, &y), (alpha, &score), ((2.0 * alpha).sqrt(), &z)])
}

/// Equation 4, from the middle of the range with the variance of uniform noise there and that of the level.
fn langevin_steps() {
    let (sigma, step_size) = (0.6_f64, 0.15);
    for last_step in ENDS {
        let options =
            json!({"n_steps": STEPS, "sigma": sigma, "step_size": step_size, "last_step": last_step});
        check(
            "langevin",
            |_| options.clone(),
            |walk| {
                let start = (1.0 / 12.0 + sigma * sigma).sqrt();
                let mut y: State = walk.noise().iter().map(|z| 0.5 + start * z).collect();
                for _ in 0..STEPS {
                    y = langevin(walk, y, sigma, step_size * sigma * sigma);
                    walk.show(&y, sigma);
                }
                end(walk, last_step, y, sigma)
            },
        );
    }
}
