//! How fast every sampler converges for every diffusion, and what must hold by theory.

use crate::support::*;
use burn::tensor::Tensor;
use scorefield::rng::Noise;
use scorefield::sampler::Sampler;
use serde_json::{Value, json};
use std::time::Instant;

trials! {
    cpu: [
        samples_reach_the_statistical_floor,
    ],
}

/// Samples of each set: the floor falls with their number, so that smaller errors of a method show.
const N: usize = 1024;

fn distances(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    let sum: f64 = a
        .iter()
        .map(|x| b.iter().map(|y| ((x[0] - y[0]).powi(2) + (x[1] - y[1]).powi(2)).sqrt()).sum::<f64>())
        .sum();
    sum / (a.len() * b.len()) as f64
}

fn energy(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    2.0 * distances(a, b) - distances(a, a) - distances(b, b)
}

fn pairs(values: &[f32]) -> Vec<[f64; 2]> {
    values.chunks_exact(2).map(|x| [f64::from(x[0]), f64::from(x[1])]).collect()
}

fn methods() -> Vec<(&'static str, fn(usize) -> Value)> {
    vec![
        ("ald", |nfe| json!({"n_steps": (nfe - 1) / 4, "n_steps_each": 4})),
        ("heun", |nfe| json!({"n_steps": (nfe + 1) / 2})),
        ("heun", |nfe| json!({"n_steps": (nfe + 1) / 2, "s_churn": 40.0})),
        ("dpmpp_2m", |nfe| json!({"n_steps": nfe})),
        ("dpmpp_2m", |nfe| json!({"n_steps": nfe, "grid": "log_snr"})),
        ("dpmpp_2m", |nfe| json!({"n_steps": nfe, "grid": "time"})),
        ("ddim", |nfe| json!({"n_steps": nfe})),
        ("ddim", |nfe| json!({"n_steps": nfe, "eta": 1.0})),
        ("euler", |nfe| json!({"n_steps": nfe - 1})),
        ("ancestral", |nfe| json!({"n_steps": nfe - 1})),
        ("ancestral", |nfe| json!({"n_steps": nfe - 1, "variance": "beta"})),
        ("reverse_diffusion", |nfe| json!({"n_steps": nfe - 1})),
        ("euler_maruyama", |nfe| json!({"n_steps": nfe - 1})),
        ("pc", |nfe| json!({"n_steps": (nfe - 1) / 2})),
        ("pc", |nfe| json!({"n_steps": (nfe - 1) / 2, "corrector": "ald"})),
        ("pc", |nfe| json!({"n_steps": (nfe - 1) / 2, "predictor": "euler_maruyama"})),
        ("pc", |nfe| json!({"n_steps": (nfe - 1) / 2, "predictor": "euler_maruyama", "corrector": "ald"})),
        ("pc", |nfe| json!({"n_steps": (nfe - 1) / 2, "predictor": "ancestral"})),
        ("pc", |nfe| json!({"n_steps": (nfe - 1) / 2, "predictor": "ancestral", "corrector": "ald"})),
        ("pc", |nfe| json!({"n_steps": (nfe - 1) / 4, "predictor": "none", "n_corrector": 4})),
        (
            "pc",
            |nfe| json!({"n_steps": (nfe - 1) / 4, "predictor": "none", "n_corrector": 4, "corrector": "ald"}),
        ),
    ]
}

fn samples_reach_the_statistical_floor() {
    let truth = exact(MIXTURE, 0.0, 1, 4 * N);
    let floors: Vec<f64> = (2..10).map(|seed| energy(&exact(MIXTURE, 0.0, seed, N), &truth)).collect();
    figure(format_args!("floor {}", brief(&floors)));
    for (sde, name) in sdes() {
        let model = analytic(&mixture(MIXTURE), sde);
        for (method, options) in methods() {
            let mut row = Vec::new();
            let start = Instant::now();
            for nfe in [10, 20, 50, 100, 200, 500] {
                let sampler = named(method, options(nfe));
                row.push(energy(&pairs(&draw(&sampler, &model, Noise::new(5), N)), &truth));
            }
            figure(format_args!(
                "{name} {method} {}: {} in {:.1?}",
                options(10),
                brief(&row),
                start.elapsed()
            ));
        }
    }
}
