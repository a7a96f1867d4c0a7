//! What was measured, as JSON and as a page for people.

mod cards;
mod page;

pub use page::is_software;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::{Compression, write::GzEncoder};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::networks::{BATCHES, Network, agree};
use crate::published::Published;
use crate::timing::Timing;

/// How often more than once the convolutions of a network are run to tell their time from the rest.
pub const REPEATS: usize = 2;

/// Who computes, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Engine {
    pub name: &'static str,
    pub device: &'static str,
}

impl Engine {
    pub const NATIVE_CPU: Self = Self { name: "Scorefield", device: "native CPU" };
    pub const NATIVE_GPU: Self = Self { name: "Scorefield", device: "native GPU" };
    pub const WASM: Self = Self { name: "Scorefield", device: "browser wasm" };
    pub const WASM_WORKERS: Self = Self { name: "Scorefield", device: "browser wasm, a worker per core" };
    pub const WEBGPU: Self = Self { name: "Scorefield", device: "browser WebGPU" };
    pub const ORT_WASM: Self = Self { name: "onnxruntime-web", device: "browser wasm" };
    pub const ORT_WEBGPU: Self = Self { name: "onnxruntime-web", device: "browser WebGPU" };
    pub const TORCH_CPU: Self = Self { name: "PyTorch", device: "native CPU" };
    pub const TORCH_CUDA: Self = Self { name: "PyTorch", device: "native GPU" };
    pub const TORCH_TF32: Self = Self { name: "PyTorch, tf32", device: "native GPU" };
    pub const TORCH_BF16: Self = Self { name: "PyTorch, bf16", device: "native GPU" };
    pub const COMPILED: Self = Self { name: "PyTorch compiled", device: "native GPU" };
    pub const COMPILED_TF32: Self = Self { name: "PyTorch compiled, tf32", device: "native GPU" };
    pub const COMPILED_BF16: Self = Self { name: "PyTorch compiled, bf16", device: "native GPU" };

    const ALL: [Self; 14] = [
        Self::NATIVE_CPU,
        Self::TORCH_CPU,
        Self::NATIVE_GPU,
        Self::TORCH_CUDA,
        Self::TORCH_TF32,
        Self::TORCH_BF16,
        Self::COMPILED,
        Self::COMPILED_TF32,
        Self::COMPILED_BF16,
        Self::WASM,
        Self::ORT_WASM,
        Self::WASM_WORKERS,
        Self::WEBGPU,
        Self::ORT_WEBGPU,
    ];

    /// The engine of another maker on the same device.
    fn peer(self) -> Option<Self> {
        Self::ALL.into_iter().find(|other| other.device == self.device && other.name != self.name)
    }
}

#[derive(Debug, Serialize)]
struct Row {
    engine: Engine,
    network: String,
    batch: usize,
    #[serde(flatten)]
    timing: Timing,
    images_per_second: f64,
    gflops: f64,
    /// Of [`Device::peak_gflops`].
    #[serde(skip_serializing_if = "Option::is_none")]
    share_of_peak: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Device {
    device: &'static str,
    adapter: String,
    peak_gflops: f64,
}

/// The largest difference of an engine's output from that of the native CPU, relative to its largest value.
#[derive(Debug, Serialize)]
struct Agreement {
    engine: Engine,
    network: String,
    relative_error: f64,
}

/// Numbers of WebGPU calls, by name.
type Counts = BTreeMap<String, f64>;

/// Time inside the 3x3 convolution.
#[derive(Debug, Serialize)]
struct Convolution {
    engine: Engine,
    what: String,
    gflops: f64,
    share_of_peak: Option<f64>,
}

/// A convolution with its work cut in one of several ways.
#[derive(Debug, Serialize)]
struct Tuned {
    what: String,
    cut: String,
    gflops: f64,
}

/// Bytes before and after long work.
#[derive(Debug, Serialize)]
struct Memory {
    device: &'static str,
    what: &'static str,
    work: &'static str,
    bytes: [f64; 2],
}

/// A buffer more or less is no leak: one of 100 bytes a step would be 200 kB in the page, 500 kB in training.
const STEADY_BYTES: f64 = 2e5;

/// One run of `make bench`.
#[derive(Debug, Serialize)]
pub struct Report {
    facts: Map<String, Value>,
    devices: Vec<Device>,
    agreements: Vec<Agreement>,
    forward: Vec<Row>,
    /// Software adapters: batches left out, because smaller ones took too long.
    skipped: Vec<(Engine, String, usize)>,
    training: Vec<Row>,
    /// Networks of others at their full size.
    published: Vec<Published>,
    /// By network: what one evaluation sends to WebGPU, and what the first one makes once for all.
    counts: Vec<(String, Counts, Counts)>,
    convolutions: Vec<Convolution>,
    tuned: Vec<Tuned>,
    memory: Vec<Memory>,
    /// By device: cold and warm.
    first_pictures: Vec<(String, [Timing; 2])>,
    /// Between pictures of the task Play.
    play: Option<Timing>,
    wasm_bytes: Map<String, Value>,
    /// Where [`Self::save`] writes.
    #[serde(skip)]
    file: Option<PathBuf>,
}

/// A batch of 16 that takes longer than this is not followed by one of 64.
const PATIENCE_MS: f64 = 3000.0;

impl Report {
    /// The machine, before anything runs. [`Self::save`] writes `file`.
    pub fn begin(file: Option<PathBuf>) -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let facts = [
            ("date", said("date", &["-u", "+%F"])),
            ("revision", env!("SCOREFIELD_REVISION").into()),
            ("processor", cpu.map_or("unknown", |(_, name)| name).into()),
            ("threads", threads.to_string()),
            ("system", said("uname", &["-sr"])),
            ("rustc", said("rustc", &["--version"])),
            ("load at the start", load()),
        ];
        Self {
            facts: facts.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            devices: vec![],
            agreements: vec![],
            forward: vec![],
            skipped: vec![],
            training: vec![],
            published: vec![],
            counts: vec![],
            convolutions: vec![],
            tuned: vec![],
            memory: vec![],
            first_pictures: vec![],
            play: None,
            wasm_bytes: Map::new(),
            file,
        }
    }

    /// A line about the machine or a version.
    pub fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.insert(name.into(), value.into());
    }

    /// A device of ours: its adapter, and the most operations it does in a second.
    pub fn engine(&mut self, engine: Engine, adapter: &str, peak: f64) {
        eprintln!("{}: {adapter}, {:.1} GFLOP/s", engine.device, peak / 1e9);
        let device = Device { device: engine.device, adapter: adapter.into(), peak_gflops: peak / 1e9 };
        self.devices.push(device);
    }

    /// Checks that `found` is the network's output.
    pub fn same(&mut self, engine: Engine, network: &Network, found: &[f32], expected: &[f32]) {
        let relative_error = agree(&format!("{} on {}", engine.name, engine.device), found, expected);
        self.agreed(engine, network, relative_error);
    }

    /// The same for an engine that has compared by itself.
    pub fn agreed(&mut self, engine: Engine, network: &Network, relative_error: f64) {
        eprintln!("{} {}: {} agrees to {relative_error:.1e}", engine.name, engine.device, network.name);
        self.agreements.push(Agreement { engine, network: network.name.clone(), relative_error });
    }

    /// Times every batch, until one takes too long.
    pub fn forward(&mut self, engine: Engine, network: &Network, mut time: impl FnMut(usize) -> Timing) {
        let mut slow = false;
        for batch in BATCHES {
            if slow {
                self.skipped.push((engine, network.name.clone(), batch));
                continue;
            }
            let timing = time(batch);
            slow = batch > 1 && timing.median_ms > PATIENCE_MS;
            let row = self.row(engine, network, batch, timing, 1.0);
            self.forward.push(row);
            self.save();
        }
    }

    /// The time of a step of `network.training_batch` images: forward, backward, Adam, moving average.
    pub fn training(&mut self, engine: Engine, network: &Network, timing: Timing) {
        // The backward pass costs two forward passes.
        let row = self.row(engine, network, network.training_batch, timing, 3.0);
        self.training.push(row);
        self.save();
    }

    /// A published network beside the code it is from.
    pub fn published(&mut self, row: Published) {
        let Published { network, what, device, ours, theirs } = &row;
        let theirs = theirs.map_or("alone".into(), |(who, theirs)| format!("{who} {:.0}", theirs.median_ms));
        eprintln!("{network}, {device}, {what}: {:.0} ms, {theirs}", ours.median_ms);
        self.published.push(row);
        self.save();
    }

    fn find<'a>(rows: &'a [Row], engine: Engine, network: &Network, batch: usize) -> Option<&'a Row> {
        rows.iter().find(|row| row.engine == engine && row.network == network.name && row.batch == batch)
    }

    fn row(&self, engine: Engine, network: &Network, batch: usize, timing: Timing, passes: f64) -> Row {
        let Timing { median_ms, min_ms, runs } = timing;
        let what = if passes > 1.0 { "training step" } else { "forward" };
        eprintln!(
            "{} {}: {} {what}, batch {batch}: {median_ms:.1} ms (at best {min_ms:.1}, {runs} runs)",
            engine.name, engine.device, network.name
        );
        let gflops = passes * network.flops * batch as f64 / median_ms / 1e6;
        let device = self.devices.iter().find(|device| device.device == engine.device);
        Row {
            engine,
            network: network.name.clone(),
            batch,
            timing,
            images_per_second: 1e3 * batch as f64 / median_ms,
            gflops,
            share_of_peak: device.map(|device| gflops / device.peak_gflops),
        }
    }

    /// From a link to its picture: without anything stored, and with.
    pub fn first_picture(&mut self, device: &str, cold: Timing, warm: Timing) {
        eprintln!("first picture, {device}: {:.0} ms cold, {:.0} ms warm", cold.median_ms, warm.median_ms);
        self.first_pictures.push((device.into(), [cold, warm]));
    }

    /// How long the picture of Play takes to follow.
    pub fn play(&mut self, between: Timing) {
        eprintln!("Play, cpu: {:.1} ms a picture, {} pictures", between.median_ms, between.runs);
        self.play = Some(between);
    }

    /// What a run of one evaluation and a run of three sent to WebGPU: half the difference is of one evaluation.
    pub fn counts(&mut self, network: &Network, once: Counts, thrice: Counts) {
        let each = once.iter().map(|(name, once)| (name.clone(), (thrice[name] - once) / 2.0)).collect();
        eprintln!("{}: WebGPU calls per evaluation {each:?}", network.name);
        self.counts.push((network.name.clone(), each, once));
    }

    /// `flops` inside a convolution that takes `ms`.
    pub fn convolution(&mut self, engine: Engine, what: &str, flops: f64, ms: f64) {
        let gflops = flops / ms / 1e6;
        let device = self.devices.iter().find(|device| device.device == engine.device);
        let share_of_peak = device.map(|device| gflops / device.peak_gflops);
        let share = 100.0 * share_of_peak.unwrap_or(f64::NAN);
        eprintln!("{}: convolution, {what}: {gflops:.1} GFLOP/s, {share:.1} %", engine.device);
        self.convolutions.push(Convolution { engine, what: what.into(), gflops, share_of_peak });
        self.save();
    }

    /// A convolution, its work cut like this, does so many operations.
    pub fn tuned(&mut self, what: &str, cut: &str, gflops: f64) {
        eprintln!("{what}: {gflops:.1} GFLOP/s by {cut}");
        self.tuned.push(Tuned { what: what.into(), cut: cut.into(), gflops });
        self.save();
    }

    /// An evaluation of `batch` images whose convolutions run `repeats` more times took `timing`.
    pub fn repeated_convolutions(
        &mut self,
        engine: Engine,
        network: &Network,
        batch: usize,
        timing: Timing,
        repeats: usize,
    ) {
        if let Some(plain) = Self::find(&self.forward, engine, network, batch) {
            let ms = (timing.median_ms - plain.timing.median_ms) / repeats as f64;
            let what = format!("all of `{}`, batch {batch}", network.name);
            self.convolution(engine, &what, network.convolution_flops * batch as f64, ms);
        }
    }

    /// `bytes` before and after `work`.
    pub fn memory(&mut self, device: &'static str, what: &'static str, work: &'static str, bytes: [f64; 2]) {
        eprintln!("{device}, {what}: {:.2} MB, after {work} {:.2} MB", bytes[0] / 1e6, bytes[1] / 1e6);
        self.memory.push(Memory { device, what, work, bytes });
    }

    /// Fails if some memory has grown.
    pub fn assert_steady(&self) {
        for Memory { device, what, work, bytes: [before, after] } in &self.memory {
            let growth = after - before;
            assert!(growth < STEADY_BYTES, "{device}, {what}: {growth} bytes more after {work}");
        }
    }

    /// The size of a page's program as servers send it; Brotli where there is a Node.js to do it.
    pub fn download(&mut self, dist: &Path, program: &str) {
        let file = dist.join(format!("wasm/{program}_bg.wasm"));
        let bytes = fs::read(&file).expect("the built page");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes).expect("memory");
        let mut tell = |how, bytes: usize| self.wasm_bytes.insert(format!("{program}, {how}"), bytes.into());
        tell("raw", bytes.len());
        tell("gzip -9", encoder.finish().expect("memory").len());
        let script = "console.log(zlib.brotliCompressSync(fs.readFileSync(process.argv[1])).length)";
        if let Ok(length) = said("node", &["-e", script, &file.display().to_string()]).parse::<usize>() {
            tell("brotli 11", length);
        }
    }

    /// Writes `benches/results.json` and `BENCHMARKS.md`.
    pub fn write(&mut self, networks: &[Network], root: &Path) {
        self.fact("load at the end", load());
        let json = serde_json::to_string_pretty(&json!(self)).expect("plain values");
        fs::write(root.join("benches/results.json"), json + "\n").expect("a writable folder");
        let page = root.join("BENCHMARKS.md");
        fs::write(&page, self.markdown(networks).expect("memory")).expect("a writable folder");
        eprintln!("written: {}", page.display());
    }

    /// Writes what is known so far, if there is a file for it.
    pub fn save(&self) {
        if let Some(file) = &self.file {
            let json = serde_json::to_string_pretty(self).expect("plain values");
            fs::write(file, json + "\n").expect("a writable file");
        }
    }

    /// Prints the page for people.
    pub fn print(&self, networks: &[Network]) {
        println!("{}", self.markdown(networks).expect("memory"));
    }
}

/// What a program says, or nothing.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().into())
}

/// Waiting and running processes of the last minute: other work makes all times longer.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().into()
}
