//! The page against the native program: the same files, requests and seeds, through the documented JavaScript API.

use std::fs;

use base64::{Engine, prelude::BASE64_STANDARD};
use pollster::block_on;
use scorefield::dequantise::Dequantisation;
use scorefield::flow::{Endpoint, Likelihood, Product, Tolerance, interpolate};
use scorefield::model::ScoreModel;
use scorefield::rng::Noise;
use scorefield::run::{Run, Solution};
use scorefield::sampler::Sampler;
use scorefield::weights::{ModelFile, shipped};
use serde_json::{Value, json};

use super::{
    harness::{Browser, Gpu, WASM_BYTES},
    models::{PLAIN, site_with},
    site::{Site, dist},
    visit::PATIENCE,
};
use crate::support::{cheap, cpu, digits, figure, options_of, relative_error, trials, values};

trials! {
    cpu: [
        cpu_of_the_page_draws_the_native_picture,
        webgpu_draws_the_native_picture,
        interpolation_of_the_page_is_the_native_one,
        cancel_takes_effect_within_a_step,
        densities_are_the_native_ones,
        mistakes_of_the_caller_are_named,
        evaluations_are_replayed_on_webgpu,
        two_thousand_steps_leave_nothing_behind,
    ],
}

/// The largest difference of a value, relative to the largest value of the pictures (1 to 10, since few steps do
/// not finish an image). Both compute in f32 in another order; a wrong draw or option would be off by 0.1 or more.
pub const TOLERANCE: f64 = 3e-4;

/// The same for interpolation. Encoding starts where the noise is a hundredth of the data or less, and the score
/// there magnifies rounding.
const ENCODED_TOLERANCE: f64 = 1e-2;

/// Every choice that a sampler makes a claim for.
fn cpu_of_the_page_draws_the_native_picture() {
    let mut api = Api::open("cpu", Gpu::None);
    for model in ["mnist-vp", "mnist-ve"] {
        for claim in Sampler::claims() {
            let sampler = (12..=64).find_map(|nfe| claim.method.within(nfe)).expect("options for 64 NFE");
            api.draws_what(&sampler, model, 3);
        }
    }
    api.browser.assert_console_clean();
}

fn webgpu_draws_the_native_picture() {
    let mut api = Api::open("gpu", Gpu::Software);
    let models = ["mnist-vp", "mnist-ve", "mnist-ve", "mnist-vp"].into_iter().cycle();
    for (sampler, model) in cheap().iter().zip(models) {
        api.draws_what(sampler, model, if sampler.evaluations().is_none() { 1 } else { 2 });
    }
    // Still the GPU: a fallback would have drawn the same.
    assert_eq!(api.browser.eval("engine.device.kind"), "gpu");
    api.browser.assert_console_clean();
}

fn interpolation_of_the_page_is_the_native_one() {
    let mut api = Api::open("cpu", Gpu::None);
    let digit = test_digit(4);
    // Ten times as coarse, VE brings back another picture: 0.04 of its values off, on average.
    let options = json!({"rtol": 0.001, "atol": 0.001});
    let tolerance = Tolerance { rtol: 0.001, atol: 0.001, ..Tolerance::default() };
    let ends = [Endpoint::Pixels(digit.clone()), Endpoint::Seed(Noise::new(7).at(1))];
    for model in ["mnist-vp", "mnist-ve"] {
        let request = json!({
            "model": model, "a": {"pixels": digit}, "b": {"seed": 7, "index": 1}, "frames": 5, "options": options,
        });
        let (nfe, shape, images) = api.call("interpolate", &request);
        let net = native(model);
        let expected =
            block_on(interpolate(&net, &ends[0], &ends[1], 5, 1.0, tolerance, &mut Run::default()))
                .expect("frames");
        assert_eq!((nfe, shape), (expected.nfe, expected.images.dims()));
        let error = relative_error(&images, &values(expected.images));
        // The first frame is the digit, up to the solver's tolerance and the denoising at the end.
        let back: f32 = images[..784].iter().zip(&digit).map(|(a, b)| (a - b).abs()).sum::<f32>() / 784.0;
        figure(format_args!(
            "{model} interpolate, {nfe} NFE: {error:.1e}; its first frame is {back:.4} from A"
        ));
        assert!(error < ENCODED_TOLERANCE, "{model}: {error:.1e}");
        assert!(back < 0.015, "{model}: the first frame is {back} from the digit, on average");
    }
    api.browser.assert_console_clean();
}

fn cancel_takes_effect_within_a_step() {
    let mut api = Api::open("cpu", Gpu::None);
    // Steps that are long compared with a message from the page to its worker.
    let stopped = api.browser.eval_within(
        "const steps = [];
        const request = { model: 'mnist-vp', sampler: 'heun', options: { n_steps: 200 }, count: 32 };
        const run = engine.sample(request, {
            onProgress({ step }) {
                steps.push(step);
                if (step === 2) engine.cancel();
            },
        });
        const second = await engine.sample(request).catch((error) => error.code);
        [second, await run.catch((error) => error.code), steps.at(-1)]",
        PATIENCE,
    );
    assert_eq!([&stopped[0], &stopped[1]], ["busy", "cancelled"]);
    assert!(stopped[2].as_u64() <= Some(3), "it went on to step {}", stopped[2]);

    let aborted = api.browser.eval(
        "let began = false;
        await engine.sample({ model: 'mnist-vp', sampler: 'pc' },
            { signal: AbortSignal.abort(), onProgress: () => (began = true) }).catch((error) => [error.code, began])",
    );
    assert_eq!(aborted, json!(["cancelled", false]));
    api.draws_the_native_picture("mnist-vp", "heun", &json!({"n_steps": 3}), 1);
    api.browser.assert_console_clean();
}

/// The page dequantises as the program, with the noise of the same seed.
fn densities_are_the_native_ones() {
    let (bytes, seed) = (&digits()[..2 * 784], Noise::new(3));
    let tolerance = Tolerance { rtol: 0.01, atol: 0.01, ..Tolerance::default() };
    let model = shipped::open("mnist-vp").unwrap().score_model(&cpu()).unwrap();
    let native = |product| {
        let likelihood = Likelihood { product, tolerance: Some(tolerance), ..Likelihood::default() };
        block_on(likelihood.bits_per_dim(&model, bytes, &seed, &mut Run::default())).unwrap()
    };
    let (same, nfe) = native(Product::default());
    let (reverse, _) = native(Product::Reverse);

    let mut api = Api::open("cpu", Gpu::None);
    // Whoever has added noise already, as one had to, means the same bytes.
    let noisy = |seed| Dequantisation::Uniform.of(bytes, 784, 0.0, &Noise::new(seed));
    for images in [bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect(), noisy(8).pixels] {
        let request = json!({"model": "mnist-vp", "seed": 3, "tolerance": 0.01});
        let found = api.browser.eval(&format!(
            "await engine.likelihood({{ ...{request}, images: new Float32Array({}) }})",
            json!(images)
        ));
        assert_eq!(found["nfe"], nfe);
        for (k, (same, reverse)) in same.iter().zip(&reverse).enumerate() {
            let bits = found["bits_per_dim"][k].as_f64().expect("a number");
            let errors = [same, reverse].map(|native| (bits - native.mean).abs());
            figure(format_args!("density of digit {k}: {bits:.4} bits/dim, natively off by {errors:?}"));
            assert!(
                errors.iter().all(|error| *error < 1e-3),
                "{bits}, natively {same:?}, by reverse passes {reverse:?}"
            );
        }
        let nats: Vec<f64> = serde_json::from_value(found["nats"].clone()).expect("numbers");
        assert_eq!(json!(noisy(3).bits_per_dim(&nats, model.range)), found["bits_per_dim"]);
    }
    api.browser.assert_console_clean();
}

fn mistakes_of_the_caller_are_named() {
    let mut api = Api::open("cpu", Gpu::None);
    for (method, request, words) in [
        ("sample", json!({"model": "mnist-vq", "sampler": "pc"}), "mnist-ve"),
        ("sample", json!({"model": "mnist-vp", "sampler": "leapfrog"}), "heun"),
        ("sample", json!({"model": "mnist-vp", "sampler": "pc", "options": {"snr": 1}}), "corrector_snr"),
        ("sample", json!({"model": "mnist-vp", "sampler": "pc", "options": {"n_steps": 0}}), "from 2 to"),
        ("sample", json!({"model": "mnist-vp", "sampler": "pc", "options": {"predictor": 1}}), "one of"),
        ("sample", json!({"model": "mnist-vp", "sampler": "pc", "count": 0}), "1 to"),
        ("sample", json!({"model": "mnist-vp"}), "sampler"),
        ("sample", json!({"model": "mnist-vp", "sampler": "pc", "class": 99}), "the class = 99"),
        (
            "sample",
            json!({"model": "mnist-vp", "sampler": "pc", "condition": {"edit": {"image": [1], "strength": 0.5}}}),
            "1 x 28 x 28",
        ),
        (
            "interpolate",
            json!({"model": "mnist-vp", "a": {"seed": 1}, "b": {"seed": 2}, "frames": 1}),
            "2 to",
        ),
        (
            "interpolate",
            json!({"model": "mnist-vp", "a": {"seed": 1}, "b": {"pixels": [1]}, "frames": 2}),
            "784",
        ),
        ("interpolate", json!({"model": "mnist-vp", "a": {}, "b": {"seed": 2}, "frames": 2}), "endpoint a"),
    ] {
        let script = format!(
            "await engine.{method}({request}).then(() => 'worked', (e) => `${{e.code}}: ${{e.message}}`)"
        );
        let answer = api.browser.eval(&script);
        let answer = answer.as_str().expect("text");
        assert!(answer.starts_with("request: ") && answer.contains(words), "{request}: {answer}");
    }
    api.draws_the_native_picture("mnist-vp", "heun", &json!({"n_steps": 3}), 1);
    api.browser.assert_console_clean();
}

/// Bind groups are what a launch costs the page most. A recording has them, so evaluations after it need but those of
/// the sampler.
fn evaluations_are_replayed_on_webgpu() {
    const COUNT: &str = "globalThis.counts = { groups: 0, dispatches: 0 };
        const count = (type, method, name) => {
            const original = type.prototype[method];
            type.prototype[method] = function (...args) {
                counts[name] += 1;
                return original.apply(this, args);
            };
        };
        count(GPUDevice, 'createBindGroup', 'groups');
        count(GPUComputePassEncoder, 'dispatchWorkgroups', 'dispatches');";
    let mut api = Api::open("gpu", Gpu::Software);
    api.browser.eval_in_worker(&format!("{{ {COUNT} }}"));
    let mut run = |n_steps: usize| {
        let request =
            json!({"model": "mnist-vp", "sampler": "euler", "options": {"n_steps": n_steps}, "count": 1});
        api.call("sample", &request);
        ["groups", "dispatches"]
            .map(|name| api.browser.eval_in_worker(&format!("counts.{name}")).as_f64().expect("a number"))
    };
    // The first evaluation is launched and the second recorded; then all are replayed.
    let [_, two, seven] = [2, 2, 7].map(&mut run);
    let [groups, dispatches] = [0, 1].map(|i| (seven[i] - two[i]) / 7.0);
    figure(format_args!("bind groups of an evaluation: {groups:.1}, dispatches: {dispatches:.1}"));
    assert!(groups < 20.0 && dispatches > 60.0, "{groups} bind groups, {dispatches} dispatches");
}

/// On the CPU; `make bench` measures the same on WebGPU, where it takes minutes.
fn two_thousand_steps_leave_nothing_behind() {
    let mut api = Api::at(site_with(&[PLAIN]), "cpu", Gpu::None);
    let mut sizes = |n_steps: usize| {
        let request =
            json!({"model": PLAIN, "sampler": "euler", "options": {"n_steps": n_steps}, "count": 1});
        api.call("sample", &request);
        let wasm = api.browser.eval_in_worker(WASM_BYTES).as_f64().expect("bytes");
        [wasm, api.browser.worker_heap()]
    };
    // The levels of so many steps take a page of memory themselves.
    let (before, after) = (sizes(2000), sizes(2000));
    figure(format_args!("worker, bytes of wasm and JavaScript: {before:?}, 2,000 steps later {after:?}"));
    assert_eq!(before[0], after[0], "wasm memory has grown");
    // One object of 100 bytes a step would be twice as much.
    assert!(after[1] - before[1] < 1e5, "{} bytes of JavaScript more", after[1] - before[1]);
}

/// A page that uses the API by itself, in the global `engine`.
pub struct Api {
    pub browser: Browser,
    _site: Site,
}

impl Api {
    fn open(device: &str, gpu: Gpu) -> Self {
        Self::at(Site::of_page(), device, gpu)
    }

    pub fn at(site: Site, device: &str, gpu: Gpu) -> Self {
        let mut browser = Browser::launch(gpu);
        browser.open(&site.url("#task=about&device=cpu"));
        let kind = browser.eval(&format!(
            "const {{ open }} = await import('./scorefield.js');
            globalThis.engine = await open({{ device: '{device}' }});
            engine.device.kind"
        ));
        assert_eq!(kind, device);
        Self { browser, _site: site }
    }

    /// NFE, shape and values of what a method of the engine returns.
    #[track_caller]
    pub fn call(&mut self, method: &str, request: &Value) -> (usize, [usize; 4], Vec<f32>) {
        let result = self.browser.eval_within(
            &format!(
                "const r = await engine.{method}({request});
                [r.nfe, [r.count, r.channels, r.height, r.width], Array.from(r.images)]"
            ),
            PATIENCE,
        );
        serde_json::from_value(result).expect("NFE, shape and values")
    }

    #[track_caller]
    fn draws_what(&mut self, sampler: &Sampler, model: &str, count: usize) {
        let options = Value::Object(options_of(sampler));
        self.draws_the_native_picture(model, sampler.info().name, &options, count);
    }

    #[track_caller]
    fn draws_the_native_picture(&mut self, model: &str, sampler: &str, options: &Value, count: usize) {
        let seed = 7;
        let request =
            json!({"model": model, "sampler": sampler, "options": options, "seed": seed, "count": count});
        let (nfe, shape, images) = self.call("sample", &request);
        let expected = sample(model, sampler, options, seed, count);
        assert_eq!((nfe, shape), (expected.nfe, expected.images.dims()), "{request}");
        let error = relative_error(&images, &values(expected.images));
        figure(format_args!("{model} {sampler}, {nfe} NFE: {error:.1e}"));
        assert!(error < TOLERANCE, "{request}: {error:.1e}");
    }
}

/// The model of the file that the page is served.
fn native(model: &str) -> ScoreModel {
    let file = dist().expect("a built page").join(format!("models/{model}.safetensors"));
    let file = ModelFile::parse(model, &fs::read(file).expect("weights")).expect("a model");
    file.score_model(&cpu()).expect("a score model")
}

fn sample(model: &str, sampler: &str, options: &Value, seed: u64, count: usize) -> Solution {
    let sampler = Sampler::with_options(sampler, options.as_object().expect("options")).expect("a sampler");
    let run = &mut Run::default();
    block_on(sampler.sample(&native(model), &Noise::new(seed), count, run)).expect("images")
}

/// One of the test digits that come with the page, as pixel values.
pub fn test_digit(index: usize) -> Vec<f32> {
    let file = fs::read(dist().expect("a built page").join("digits.json")).expect("the test digits");
    let digits: Value = serde_json::from_slice(&file).expect("JSON");
    let pixels = BASE64_STANDARD.decode(digits["pixels"].as_str().expect("text")).expect("base64");
    pixels[index * 784..][..784].iter().map(|byte| f32::from(*byte) / 255.0).collect()
}
