//! The built page in Chromium: the networks through the page's own API, onnxruntime-web beside them, and the first visit.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use std::{fs, thread};

use scorefield::weights::ModelFile;
use serde_json::{Value, json};

use crate::harness::{Browser, Gpu, WASM_BYTES};
use crate::native::first_estimate;
use crate::networks::{Network, agree};
use crate::peaks;
use crate::published::{DDPM, Published, forward_of};
use crate::report::{Engine, REPEATS, Report};
use crate::site::Site;
use crate::support::cpu;
use crate::timing::{Timing, time, time_within};

/// A run on a software GPU is slow.
const PATIENCE: Duration = Duration::from_secs(600);
const PAGES: [(&str, &str); 4] = [
    ("bench.html", include_str!("page/bench.html")),
    ("bench.js", include_str!("page/bench.js")),
    ("peers.html", include_str!("../tests/peers/peers.html")),
    ("peers.js", include_str!("../tests/peers/peers.js")),
];

/// Our networks in the browser, and the page's first picture.
pub fn run(dist: &Path, stage: &Path, networks: &[Network], report: &mut Report) {
    for device in ["cpu", "gpu"] {
        first_visits(dist, device, report);
    }
    play(dist, report);
    stage_page(dist, stage);
    let mut page = Page::open(stage, "bench.html", report);
    for (engine, kind) in [(Engine::WASM, "cpu"), (Engine::WEBGPU, "gpu")] {
        let name = page.call("start", json!([kind, 1]));
        page.browser.eval_in_worker(COUNT);
        let peak = match kind {
            "cpu" => page.number("wasmPeak", json!([peaks::SECONDS])),
            _ => {
                page.number("gpuPeak", json!([peaks::wgsl(), peaks::GROUPS, peaks::DISPATCH, peaks::SECONDS]))
            }
        };
        report.engine(engine, name.as_str().unwrap_or("unnamed"), peak);
        for network in networks {
            let found = page.floats("firstEstimate", json!([network.name]));
            report.same(engine, network, &found, &first_estimate(&network.score_model(&cpu())));
            report.forward(engine, network, |batch| {
                time(|nfe| page.number("seconds", json!([kind, network.name, batch, nfe])))
            });
            if kind == "gpu" {
                // Records what later evaluations replay.
                page.counts(network, 3);
                let once = page.counts(network, 1);
                let thrice = page.counts(network, 3);
                report.counts(network, once, thrice);
                page.browser.eval_in_worker(&format!("repeats = {REPEATS}"));
                let repeated =
                    time(|nfe| page.number("seconds", json!([kind, network.name, CONVOLVED, nfe])));
                page.browser.eval_in_worker("repeats = 0");
                report.repeated_convolutions(engine, network, CONVOLVED, repeated, REPEATS);
            }
        }
        memory(&mut page, engine, report);
    }
    page.call("start", json!(["cpu"]));
    for network in networks {
        report.forward(Engine::WASM_WORKERS, network, |batch| {
            time(|nfe| page.number("seconds", json!(["cpu", network.name, batch, nfe])))
        });
    }
}

/// How long Play's picture takes to follow a slider that moves with every frame of the display, on the CPU.
fn play(dist: &Path, report: &mut Report) {
    const LINK: &str = "#task=play&device=cpu&player=mnist-cm&leaps=1&run=1";
    const FOLLOW: &str = "const slider = document.querySelector('#play .across');
        const context = document.querySelector('#play .picture').getContext('2d');
        const draw = context.drawImage.bind(context);
        const drawn = [];
        context.drawImage = (...all) => (drawn.push(performance.now()), draw(...all));
        const began = performance.now();
        while (performance.now() - began < 10_000) {
            slider.value = 0.5 + 0.5 * Math.sin(performance.now() / 500);
            slider.dispatchEvent(new Event('input'));
            await new Promise(requestAnimationFrame);
        }
        drawn.slice(1).map((now, i) => (now - drawn[i]) / 1000)";
    let site = Site::serve_altered(dist, |_, bytes| bytes);
    let mut browser = Browser::launch(Gpu::None);
    browser.open(&site.url(LINK));
    browser.wait_for("document.querySelector('#play .pace').textContent !== ''", PATIENCE);
    let between = browser.eval_within(FOLLOW, PATIENCE);
    report.play(Timing::of(serde_json::from_value(between).expect("seconds")));
}

fn stage_page(dist: &Path, stage: &Path) {
    for file in fs::read_dir(dist).expect("the built page").flatten().filter(|file| file.path().is_file()) {
        fs::copy(file.path(), stage.join(file.file_name())).expect("a place for the stage");
    }
    for folder in ["engine", "wasm"] {
        copy(&dist.join(folder), &stage.join(folder), |name| Some(name.to_owned()));
    }
}

/// Batch and extra runs of the convolutions that are timed by themselves.
const CONVOLVED: usize = 16;

/// What 2,000 steps leave behind in the worker, after 200 that warm up.
fn memory(page: &mut Page, engine: Engine, report: &mut Report) {
    let mut sizes = Vec::new();
    for steps in [200, 2000] {
        page.number("steps", json!(["mnist-vp", steps]));
        sizes.push([
            page.browser.eval_in_worker(WASM_BYTES).as_f64().expect("bytes"),
            page.browser.worker_heap(),
            page.browser.eval_in_worker("counts.bytes").as_f64().expect("bytes"),
        ]);
    }
    for (i, what) in ["wasm memory", "JavaScript heap", "GPU buffers"].into_iter().enumerate() {
        let bytes = [sizes[0][i], sizes[1][i]];
        // Without a GPU there are no buffers.
        if bytes != [0.0; 2] {
            report.memory(engine.device, what, "2,000 sampling steps", bytes);
        }
    }
}

const COUNT: &str = include_str!("page/count.js");

/// The same networks in onnxruntime-web, from the files that PyTorch has written.
pub fn onnxruntime(stage: &Path, peers: &Path, networks: &[Network], report: &mut Report) {
    let mut page = open_onnxruntime(stage, peers, report);
    report.fact("onnxruntime-web", page.call("version", json!([])));
    for (engine, provider) in [(Engine::ORT_WASM, "wasm"), (Engine::ORT_WEBGPU, "webgpu")] {
        for network in networks {
            let found = page.floats("example", json!([provider, network.name, network.shape]));
            let [_, _, expected] = network.example();
            report.same(engine, network, &found, &expected);
            let [c, h, w] = network.shape;
            report.forward(engine, network, |batch| {
                let shape = [batch, c, h, w];
                time(|runs| page.number("seconds", json!([provider, network.name, shape, runs])))
            });
        }
    }
}

fn open_onnxruntime(stage: &Path, peers: &Path, report: &mut Report) -> Page {
    let dist = peers.join("node_modules/onnxruntime-web/dist");
    copy(&dist, &stage.join("ort"), |name| match name {
        // The server knows the type of `.js`.
        "ort.wasm.bundle.min.mjs" => Some("wasm.js".into()),
        "ort.webgpu.bundle.min.mjs" => Some("webgpu.js".into()),
        _ => name.ends_with(".wasm").then(|| name.to_owned()),
    });
    Page::open(stage, "peers.html", report)
}

/// The published network that `published::run` has staged, in our page and in onnxruntime-web: one image at a time.
pub fn published(dist: &Path, stage: &Path, peers: &Path, report: &mut Report) {
    const WAYS: [(&str, &str, &str); 2] =
        [("cpu", "wasm", "browser wasm"), ("gpu", "webgpu", "browser WebGPU")];
    const WITHIN: f64 = 20.0;
    stage_page(dist, stage);
    let bytes = fs::read(stage.join(format!("models/{DDPM}.safetensors"))).expect("it is staged");
    let model = ModelFile::parse(DDPM, &bytes).and_then(|file| file.score_model(&cpu())).expect("a model");
    let expected = first_estimate(&model);
    let mut page = Page::open(stage, "bench.html", report);
    let ours = WAYS.map(|(kind, _, device)| {
        page.call("start", json!([kind, 1]));
        agree(device, &page.floats("firstEstimate", json!([DDPM])), &expected);
        time_within(WITHIN, |nfe| page.number("seconds", json!([kind, DDPM, 1, nfe])))
    });
    drop(page);
    let mut page = open_onnxruntime(stage, peers, report);
    let expected = fs::read(stage.join(format!("examples/{DDPM}.output.f32"))).expect("an example");
    let expected: Vec<f32> = bytemuck::pod_collect_to_vec(&expected);
    for ((_, provider, device), ours) in WAYS.into_iter().zip(ours) {
        let found = page.floats("example", json!([provider, DDPM, [3, 32, 32]]));
        agree(&format!("onnxruntime-web, {provider}"), &found, &expected);
        let theirs =
            time_within(WITHIN, |runs| page.number("seconds", json!([provider, DDPM, [1, 3, 32, 32], runs])));
        let theirs = Some(("onnxruntime-web", theirs));
        report.published(Published { network: DDPM, what: forward_of(1), device, ours, theirs });
    }
}

fn copy(from: &Path, to: &Path, name: impl Fn(&str) -> Option<String>) {
    fs::create_dir_all(to).expect("a place for the stage");
    for file in fs::read_dir(from).unwrap_or_else(|e| panic!("{}: {e}", from.display())).flatten() {
        if let Some(name) = file.file_name().to_str().and_then(&name) {
            fs::copy(file.path(), to.join(name)).expect("a place for the stage");
        }
    }
}

/// A page of functions to call.
struct Page {
    browser: Browser,
    _site: Site,
}

impl Page {
    fn open(stage: &Path, file: &str, report: &mut Report) -> Self {
        for (name, text) in PAGES {
            fs::write(stage.join(name), text).expect("a place for the stage");
        }
        let site = Site::serve(stage);
        let mut browser = Browser::launch(Gpu::Software);
        report.fact("browser", browser.call("Browser.getVersion", json!({}))["product"].clone());
        browser.open(&site.url(file));
        browser.wait_for("window.bench != undefined", PATIENCE);
        Self { browser, _site: site }
    }

    fn call(&mut self, function: &str, arguments: Value) -> Value {
        self.browser.eval_within(&format!("await bench.{function}(...{arguments})"), PATIENCE)
    }

    fn number(&mut self, function: &str, arguments: Value) -> f64 {
        self.call(function, arguments).as_f64().expect("a number")
    }

    /// What `nfe` evaluations send to WebGPU, by name.
    fn counts(&mut self, network: &Network, nfe: usize) -> BTreeMap<String, f64> {
        let counts = |page: &mut Self| -> BTreeMap<String, f64> {
            serde_json::from_value(page.browser.eval_in_worker("counts")).expect("numbers")
        };
        let before = counts(self);
        self.number("seconds", json!(["gpu", network.name, CONVOLVED, nfe]));
        counts(self).into_iter().map(|(name, count)| (name.clone(), count - before[&name])).collect()
    }

    fn floats(&mut self, function: &str, arguments: Value) -> Vec<f32> {
        serde_json::from_value(self.call(function, arguments)).expect("numbers")
    }
}

/// What 2 MB of weights take on a line of 16 Mbit/s.
const WEIGHTS_TAKE: Duration = Duration::from_secs(1);

/// From a link to the picture it describes, for a visitor who never came and for one who comes again.
fn first_visits(dist: &Path, device: &str, report: &mut Report) {
    let link =
        format!("#task=generate&device={device}&model=mnist-vp&sampler=heun&seed=7&count=1&n_steps=10&run=1");
    const WATCH: &str = "new MutationObserver(() => {
        const text = document.querySelector('#generate .progress-text')?.textContent;
        if (text === 'Done.') window.pictureAt ??= performance.now();
    }).observe(document, { subtree: true, childList: true, characterData: true });";
    const VISITS: usize = 3;

    let site = Site::serve_altered(dist, |path, bytes| {
        if path.ends_with(".safetensors") {
            thread::sleep(WEIGHTS_TAKE);
        }
        bytes
    });
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..VISITS {
        let mut browser = Browser::launch(Gpu::Software);
        browser.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": WATCH}));
        for times in [&mut cold, &mut warm] {
            browser.open("about:blank");
            browser.open(&site.url(&link));
            browser.wait_for("window.pictureAt > 0", PATIENCE);
            times.push(browser.eval("window.pictureAt").as_f64().expect("a time") / 1000.0);
        }
    }
    report.first_picture(device, Timing::of(cold), Timing::of(warm));
    for program in ["gpu", "cpu"] {
        report.download(dist, program);
    }
}
