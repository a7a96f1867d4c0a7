//! Which device computes, and what happens when it breaks.

use super::{
    harness::Gpu,
    models::{PLAIN, altered_site_with, site_with},
    visit::{GENERATE, PATIENCE, Visit},
};
use crate::support::{figure, trials};

trials! {
    cpu: [
        cpu_takes_over_where_webgpu_is_denied,
        automatic_prefers_the_cpu_to_a_software_gpu,
        plain_http_works_on_the_cpu,
        a_gpu_lost_in_mid_run_is_told_and_the_cpu_finishes,
        a_gpu_lost_between_runs_is_told,
        a_gpu_lost_in_any_phase_is_told_and_the_cpu_finishes,
        a_gpu_that_refuses_to_start_is_told,
        a_shader_that_fails_is_told_and_the_cpu_finishes,
        a_crash_on_the_gpu_is_told_and_the_cpu_finishes,
        a_gpu_may_lack_what_only_some_have,
        a_gpu_that_computes_wrongly_draws_nothing,
        a_gpu_is_tried_once,
        about_describes_the_device,
        automatic_takes_the_faster,
    ],
}

/// Small, as a software GPU takes seconds to compile what a shipped model needs.
const RUN: &str = "model=test-plain&sampler=heun&seed=7&count=1&n_steps=3&run=1";

fn cpu_takes_over_where_webgpu_is_denied() {
    let mut visit = visit(Gpu::None);
    for device in ["auto", "gpu"] {
        visit.open(&format!("#task=generate&device={device}&{RUN}"));
        visit.finish(GENERATE);
        let because = "Computing on the CPU with WebAssembly. WebGPU found no graphics adapter here, so the CPU does the work.";
        assert_eq!(visit.device(), because);
        assert!(visit.grid().contrast() > 20.0);
        visit.assert_clean();
    }
}

fn automatic_prefers_the_cpu_to_a_software_gpu() {
    let mut visit = visit(Gpu::Software);
    visit.open("#task=generate&device=auto");
    let note = visit.device();
    assert!(
        note.starts_with("Computing on the CPU") && note.contains("(google swiftshader) is itself software"),
        "{note}"
    );
    // The picker changes it, there and back.
    for (device, words) in
        [("gpu", "You chose the GPU."), ("cpu", "You chose the CPU."), ("auto", "is itself software")]
    {
        visit.set("#device", device);
        let condition = format!("document.querySelector('#device-note').textContent.includes('{words}')");
        visit.browser.wait_for(&condition, PATIENCE);
        assert!(visit.hash().contains(&format!("device={device}")), "{}", visit.hash());
    }
    visit.assert_clean();
}

/// From another machine over plain http, browsers offer no WebGPU, no `crypto.subtle` and no Cache API.
fn plain_http_works_on_the_cpu() {
    let mut visit = visit(Gpu::Software);
    let url = visit.site.insecure_url(&format!("#task=generate&{RUN}"));
    visit.browser.open(&url);
    visit.ready();
    visit.finish(GENERATE);
    assert!(visit.device().contains("WebGPU needs https"), "{}", visit.device());
    visit.click("#generate .share");
    visit.browser.wait_for(
        "document.querySelector('#generate .shared').textContent == 'The link is in the address bar.'",
        PATIENCE,
    );
    visit.assert_clean();
}

fn a_gpu_lost_in_mid_run_is_told_and_the_cpu_finishes() {
    let mut visit = visit(Gpu::Software);
    visit.open("#task=generate&device=gpu&model=test-plain&sampler=heun&seed=7&count=1&n_steps=30&run=1");
    visit.wait_for_step(GENERATE, 2);
    assert!(visit.device().contains("WebGPU"));
    visit.browser.eval_in_worker("scorefieldGpu.destroy()");
    visit.finish(GENERATE);
    assert_eq!(
        visit.device(),
        "Computing on the CPU with WebAssembly. The GPU cannot be used (Device was destroyed), so the CPU has taken over."
    );
    assert_eq!(visit.nfe(GENERATE), 59);
    let picture = visit.grid();

    // The same request, answered by the CPU from the start.
    visit.open("#task=generate&device=cpu&model=test-plain&sampler=heun&seed=7&count=1&n_steps=30&run=1");
    visit.finish(GENERATE);
    assert_eq!(visit.grid(), picture);
    visit.assert_clean();
}

fn a_gpu_lost_between_runs_is_told() {
    let mut visit = visit(Gpu::Software);
    visit.open("#task=generate&device=gpu&model=test-plain&sampler=heun&seed=7&count=1&n_steps=3");
    visit.browser.eval_in_worker("scorefieldGpu.destroy()");
    visit.browser.wait_for("document.querySelector('#device-note').dataset.kind == 'cpu'", PATIENCE);
    assert!(
        visit.device().contains("(Device was destroyed), so the CPU has taken over."),
        "{}",
        visit.device()
    );
    visit.start(GENERATE);
    visit.finish(GENERATE);
    visit.assert_clean();
}

/// The device is destroyed as it opens, compiles, takes weights, computes, and hands back what it computed: by the call, or
/// that many of its kind, before which it happens. Every time the CPU draws the whole picture.
fn a_gpu_lost_in_any_phase_is_told_and_the_cpu_finishes() {
    let expected = {
        let mut visit = visit(Gpu::None);
        visit.open(&format!("#task=generate&device=cpu&{RUN}"));
        visit.finish(GENERATE);
        visit.grid()
    };
    for (class, method, call) in [
        ("GPUDevice", "createShaderModule", 1),
        ("GPUDevice", "createComputePipeline", 9),
        ("GPUQueue", "writeBuffer", 30),
        ("GPUQueue", "submit", 12),
        ("GPUBuffer", "mapAsync", 3),
    ] {
        let mut visit = broken(format!(
            "let calls = 0;
            const whole = {class}.prototype.{method};
            {class}.prototype.{method} = function (...args) {{
                if (++calls === {call}) self.scorefieldGpu.destroy();
                return whole.apply(this, args);
            }};"
        ));
        visit.open(&format!("#task=generate&device=gpu&{RUN}"));
        visit.finish(GENERATE);
        let note = visit.device();
        assert!(
            note.starts_with("Computing on the CPU") && note.contains("so the CPU has taken over"),
            "{method}: {note}"
        );
        assert_eq!((visit.nfe(GENERATE), visit.alert().as_str()), (5, ""), "{method}");
        assert_eq!(visit.grid(), expected, "{method}");
    }
}

fn a_gpu_that_refuses_to_start_is_told() {
    let mut visit =
        broken("GPUAdapter.prototype.requestDevice = async () => { throw new TypeError('not today'); };");
    visit.open(&format!("#task=generate&device=gpu&{RUN}"));
    visit.finish(GENERATE);
    assert_eq!(
        visit.device(),
        "Computing on the CPU with WebAssembly. The GPU cannot be used (not today), so the CPU has taken over."
    );
    visit.assert_clean();
}

fn a_shader_that_fails_is_told_and_the_cpu_finishes() {
    let mut visit = broken(
        "const make = GPUDevice.prototype.createShaderModule;
        GPUDevice.prototype.createShaderModule = function (module) {
            return make.call(this, { ...module, code: `${module.code} nonsense` });
        };",
    );
    visit.open(&format!("#task=generate&device=gpu&{RUN}"));
    visit.finish(GENERATE);
    let note = visit.device();
    assert!(note.starts_with("Computing on the CPU") && note.contains("The GPU cannot be used ("), "{note}");
    assert!(!note.contains('\n') && note.len() < 250, "{note}");
    assert_eq!(visit.nfe(GENERATE), 5);
    // It is right that the console has the compiler's message; nothing else may be there.
    let complaints = visit.browser.complaints();
    assert!(!complaints.is_empty());
    assert!(
        complaints.iter().all(|complaint| complaint.text.contains("WGSL compilation failed")),
        "{complaints:#?}"
    );
    assert_eq!(visit.alert(), "");
}

fn a_crash_on_the_gpu_is_told_and_the_cpu_finishes() {
    let mut visit = broken(
        "GPUDevice.prototype.createComputePipeline = () => { throw new TypeError('no pipeline'); };
        GPUDevice.prototype.createComputePipelineAsync = GPUDevice.prototype.createComputePipeline;",
    );
    visit.open(&format!("#task=generate&device=gpu&{RUN}"));
    visit.finish(GENERATE);
    let note = visit.device();
    assert!(
        note.contains("The computation on the GPU crashed (no pipeline), so the CPU has taken over."),
        "{note}"
    );
    visit.assert_clean();
}

/// A driver that miscompiles raises no error: here every normalisation is a hundredth too large.
fn a_gpu_that_computes_wrongly_draws_nothing() {
    let mut visit = broken(
        "const make = GPUDevice.prototype.createShaderModule;
        GPUDevice.prototype.createShaderModule = function (module) {
            return make.call(this, { ...module, code: module.code.replaceAll('inverseSqrt(', '1.01 * inverseSqrt(') });
        };",
    );
    visit.open(&format!("#task=generate&device=gpu&{RUN}"));
    visit.finish(GENERATE);
    let note = visit.device();
    assert!(note.starts_with("Computing on the CPU") && note.contains("computes wrongly"), "{note}");
    assert!(note.contains("“Check my device” in About tells more"), "{note}");
    let picture = visit.grid();
    visit.run(GENERATE, &format!("#task=generate&device=cpu&{RUN}"));
    assert_eq!(visit.grid(), picture);
    visit.assert_clean();
}

fn a_gpu_is_tried_once() {
    const KNOWN: &str =
        "Array.from(await (await caches.open('scorefield-devices')).keys(), ({ url }) => url)";
    let mut visit = visit(Gpu::Software);
    let mut known = || {
        visit.open(&format!("#task=generate&device=gpu&{RUN}"));
        visit.finish(GENERATE);
        assert!(visit.device().contains("WebGPU"), "{}", visit.device());
        visit.browser.eval(KNOWN)
    };
    let first = known();
    assert_eq!(first.as_array().map(Vec::len), Some(1), "{first}");
    assert!(first[0].as_str().is_some_and(|url| url.contains("swiftshader")), "{first}");
    assert_eq!(known(), first);
    visit.assert_clean();
}

/// An adapter that hides that it is software, and is slower than the CPU; then one that was once found to be faster.
fn automatic_takes_the_faster() {
    let mut visit = broken(
        "for (const name of ['vendor', 'architecture', 'device', 'description'])
            Object.defineProperty(GPUAdapterInfo.prototype, name, { get: () => 'unheard-of' });
        Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', { get: () => false });",
    );
    visit.open(&format!("#task=generate&device=auto&{RUN}"));
    visit.finish(GENERATE);
    let note = visit.device();
    assert!(note.starts_with("Computing on the CPU") && note.contains("It is faster here"), "{note}");
    assert!(note.contains("ms on the GPU (unheard-of)"), "{note}");
    visit.browser.eval(
        "const cache = await caches.open('scorefield-devices');
        const speeds = (await cache.keys()).filter(({ url }) => url.includes('/evaluation?'));
        if (speeds.length !== 2) throw new Error(`${speeds.length} measurements`);
        for (const { url } of speeds)
            await cache.put(url, new Response(url.includes('unheard-of') ? '{\"ms\": 100}' : '{\"ms\": 1000}'));",
    );
    visit.open(&format!("#task=generate&device=auto&{RUN}"));
    visit.finish(GENERATE);
    assert!(visit.device().starts_with("Computing on the GPU"), "{}", visit.device());
    visit.assert_clean();
}

/// The GPU also where the CPU does the work.
fn about_describes_the_device() {
    let mut visit = Visit::with(Gpu::Software);
    visit.open("#task=about&device=auto");
    assert!(visit.device().starts_with("Computing on the CPU"));
    visit.click("#about .check-device");
    visit.browser.wait_for("!document.querySelector('#about .report').hidden", PATIENCE);
    assert_eq!(visit.text("#about .check-note"), "The GPU computes as it should.");
    let report = visit.text("#about .report");
    for words in
        ["google swiftshader", "convolution 3x3\n", "a small network", "mnist-vp", "GPU, CPU", "Chrome"]
    {
        assert!(report.contains(words), "{report}");
    }
    assert!(!report.contains("WRONG"), "{report}");
    figure(format_args!("the page's report:\n{report}"));
    visit.click("#about .copy-report");
    let copied = "/Copied|selected/.test(document.querySelector('#about .check-note').textContent)";
    visit.browser.wait_for(copied, PATIENCE);
    visit.assert_clean();
}

/// wgpu asks the browser for no subgroups, so the page does; cubecl wants timestamps, so the page hides that there are
/// none. A GPU with neither draws the same picture.
fn a_gpu_may_lack_what_only_some_have() {
    const DENY: &str = "
        const denied = ['subgroups', 'timestamp-query'];
        const claim = GPUSupportedFeatures.prototype.has;
        GPUSupportedFeatures.prototype.has = function (name) {
            return !denied.includes(name) && claim.call(this, name);
        };
        const request = GPUAdapter.prototype.requestDevice;
        GPUAdapter.prototype.requestDevice = async function (wanted) {
            if (wanted.requiredFeatures.some((name) => denied.includes(name))) throw new TypeError('not here');
            return request.call(this, wanted);
        };";
    const COUNT: &str = "
        const make = GPUDevice.prototype.createShaderModule;
        self.programs = { subgroups: 0, others: 0 };
        GPUDevice.prototype.createShaderModule = function (module) {
            programs[module.code.includes('subgroupBroadcast') ? 'subgroups' : 'others'] += 1;
            return make.call(this, module);
        };";
    // A model wide enough for the program that uses subgroups.
    let pictures = ["", DENY].map(|deny| {
        let mut visit = broken(format!("{deny}{COUNT}"));
        visit.open(&format!("#task=generate&device=gpu&{}", RUN.replace(PLAIN, "mnist-vp")));
        visit.finish(GENERATE);
        assert!(visit.device().contains("WebGPU"), "{}", visit.device());
        let programs = visit.browser.eval_in_worker("programs");
        assert!(programs["others"].as_u64() > Some(0), "{programs}");
        assert_eq!(programs["subgroups"].as_u64() > Some(0), deny.is_empty(), "{programs}");
        visit.assert_clean();
        visit.grid()
    });
    let [all, fewer] = pictures.map(|picture| picture.pixels);
    assert_eq!(all.len(), fewer.len());
    let difference = all.iter().zip(&fewer).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(difference <= Some(1), "{difference:?} grey levels apart");
}

/// The page and the model of [`RUN`].
fn visit(gpu: Gpu) -> Visit {
    Visit::to(site_with(&[PLAIN]), gpu)
}

/// The same with a browser whose WebGPU a script in the worker has changed.
fn broken(script: impl Into<String>) -> Visit {
    let script = script.into();
    let site = altered_site_with(&[PLAIN], move |path, bytes| match path {
        // Before the page watches the device, not after.
        "engine/wgpu-shim.js" => Some([script.as_bytes(), b"\n", &bytes?].concat()),
        _ => bytes,
    });
    Visit::to(site, Gpu::Software)
}
