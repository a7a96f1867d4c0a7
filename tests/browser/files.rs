//! What the page fetches: damaged, missing, late, and kept for the next visit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::json;

use super::{
    harness::Gpu,
    site::{Site, dist},
    visit::{GENERATE, INTERPOLATE, PATIENCE, Visit, seconds},
};
use crate::support::trials;

trials! {
    cpu: [
        damaged_weights_are_told_and_not_kept,
        missing_files_are_told_and_fetched_again,
        weights_are_kept_for_the_next_visit,
        a_slow_download_can_be_cancelled,
        gpu_is_prepared_during_the_download,
        a_host_need_not_know_the_types_of_files,
    ],
}

const HASH: &str = "#task=generate&device=cpu&model=mnist-vp&sampler=heun&seed=7&count=1&n_steps=3";
const WEIGHTS: &str = "models/mnist-vp.safetensors";
const KEPT: &str = "(await (await caches.open('scorefield-weights')).keys()).length";

/// The page on a server that answers with `alter` while the flag is up.
fn site(alter: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>> + Send + Sync + 'static) -> (Site, Arc<AtomicBool>) {
    let broken = Arc::new(AtomicBool::new(true));
    let flag = broken.clone();
    let site = Site::serve_altered(dist().expect("a built page"), move |path, bytes| {
        if flag.load(Ordering::Relaxed) { alter(path, bytes?) } else { bytes }
    });
    (site, broken)
}

fn damaged_weights_are_told_and_not_kept() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 4] = [
        |bytes| *bytes.last_mut().expect("bytes") ^= 1,
        |bytes| bytes.truncate(bytes.len() / 2),
        Vec::clear,
        |bytes| *bytes = b"<!doctype html><title>Log in to this network</title>".to_vec(),
    ];
    for damage in damages {
        let (site, broken) = site(move |path, mut bytes| {
            if path == WEIGHTS {
                damage(&mut bytes);
            }
            Some(bytes)
        });
        let mut visit = Visit::to(site, Gpu::None);
        visit.open(HASH);
        visit.start(GENERATE);
        visit.wait(GENERATE);
        let alert = visit.alert();
        assert!(alert.contains("mnist-vp") && alert.contains("damaged"), "{alert}");
        assert!(alert.contains("try again") && !alert.contains('\n') && alert.len() < 200, "{alert}");
        assert_eq!(visit.progress(GENERATE), "");
        assert_eq!(visit.browser.eval(KEPT), 0);

        // Another model works meanwhile, and this one once its file is whole.
        visit.run(GENERATE, &format!("{}&run=1", HASH.replace("mnist-vp", "mnist-ve")));
        visit.follow(HASH);
        visit.start(GENERATE);
        visit.wait(GENERATE);
        broken.store(false, Ordering::Relaxed);
        visit.try_again();
        visit.finish(GENERATE);
        assert_eq!(visit.browser.eval(KEPT), 2);
        visit.assert_clean();
    }
}

fn missing_files_are_told_and_fetched_again() {
    for (file, words) in [
        ("models/manifest.json", "The list of models"),
        ("wasm/cpu_bg.wasm", "The program could not be loaded"),
        ("wasm/cpu.js", "The program could not be loaded"),
        ("engine/worker.js", "could not be loaded"),
        (WEIGHTS, "could not be downloaded: the server answered 404 for"),
        ("digits.json", "The test digits could not be read: the server answered 404."),
    ] {
        let (site, broken) = site(move |path, bytes| (path != file).then_some(bytes));
        let mut visit = Visit::to(site, Gpu::None);
        let hash = if file == "digits.json" {
            "#task=interpolate&model=mnist-vp&frames=2&rtol=0.1&atol=0.1"
        } else {
            HASH
        };
        visit.open(hash);
        if file == WEIGHTS {
            visit.start(GENERATE);
            visit.wait(GENERATE);
        }
        let alert = visit.alert();
        assert!(alert.contains(words) && alert.ends_with('.') && alert.len() < 200, "{file}: {alert}");
        visit.assert_only_missing(file);
        broken.store(false, Ordering::Relaxed);
        if file == "digits.json" {
            // There is no need of them: seeds stand in.
            visit.browser.wait_for("!document.querySelector('#interpolate form').inert", PATIENCE);
            visit.start(INTERPOLATE);
            visit.finish(INTERPOLATE);
        } else {
            visit.try_again();
            if file != WEIGHTS {
                visit.browser.wait_for("!document.querySelector('#generate form').inert", PATIENCE);
                visit.start(GENERATE);
            }
            visit.finish(GENERATE);
        }
        visit.assert_clean();
    }
}

fn weights_are_kept_for_the_next_visit() {
    let requests = Arc::<AtomicUsize>::default();
    let counter = requests.clone();
    let site = Site::serve_altered(dist().expect("a built page"), move |path, bytes| {
        if path == WEIGHTS {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        bytes
    });
    let mut visit = Visit::to(site, Gpu::None);
    let hash = format!("{HASH}&run=1");
    for _ in 0..2 {
        visit.open(&hash);
        visit.finish(GENERATE);
        assert_eq!(requests.load(Ordering::Relaxed), 1);
    }
    let picture = visit.grid();

    // What is kept is checked like what is fetched.
    visit.browser.eval(
        "const cache = await caches.open('scorefield-weights');
        const [key] = await cache.keys();
        await cache.put(key, new Response('damaged on the disk'));",
    );
    for _ in 0..2 {
        visit.open(&hash);
        visit.finish(GENERATE);
        assert_eq!(requests.load(Ordering::Relaxed), 2);
        assert_eq!(visit.grid(), picture);
    }

    // Of an older version of the model nothing stays.
    visit.browser.eval(
        "const cache = await caches.open('scorefield-weights');
        const [{ url }] = await cache.keys();
        await cache.delete(url);
        await cache.put(url.replace(/sha256=.*/, 'sha256=00'), new Response('older'));",
    );
    visit.open(&hash);
    visit.finish(GENERATE);
    assert_eq!(visit.browser.eval(KEPT), 1);
    visit.assert_clean();
}

fn a_slow_download_can_be_cancelled() {
    let (site, broken) = site(|path, bytes| {
        if path == WEIGHTS {
            thread::sleep(Duration::from_secs(8));
        }
        Some(bytes)
    });
    let mut visit = Visit::to(site, Gpu::None);
    visit.open(HASH);
    visit.start(GENERATE);
    thread::sleep(Duration::from_millis(500));
    let time = seconds(|| {
        visit.click("#generate .cancel");
        visit.wait(GENERATE);
    });
    assert_eq!(visit.progress(GENERATE), "Cancelled.");
    // Neither at the end of the download nor by putting a new worker in the old one's place after 5 s.
    assert!(time < 4.0, "cancelled only after {time:.1} s");
    broken.store(false, Ordering::Relaxed);
    visit.start(GENERATE);
    visit.finish(GENERATE);
    assert_eq!(visit.browser.eval(&format!("[{KEPT}]")), json!([1]));
    visit.assert_clean();
}

/// Browsers compile wasm on its way only where its type is exactly `application/wasm`.
fn a_host_need_not_know_the_types_of_files() {
    let types =
        [Some("application/octet-stream"), Some("text/plain"), Some("application/wasm; charset=utf-8"), None];
    for other in types {
        let mut visit = Visit::to(Site::of_page_with_type(other), Gpu::None);
        visit.open(&HASH.replace("count=1", "count=2"));
        assert_eq!(visit.alert(), "", "{other:?}");
        visit.start(GENERATE);
        visit.finish(GENERATE);
        visit.assert_clean();
    }
}

/// The weights come only after the GPU has compiled something, which the visitor is told of.
fn gpu_is_prepared_during_the_download() {
    let late = Arc::new(AtomicBool::new(true));
    let flag = late.clone();
    let site = Site::serve_altered(dist().expect("a built page"), move |path, bytes| {
        while path == WEIGHTS && flag.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
        bytes
    });
    let mut visit = Visit::to(site, Gpu::Software);
    visit.open(&format!("{}&run=1", HASH.replace("device=cpu", "device=gpu")));
    let text = "document.querySelector('#generate .progress-text').textContent";
    visit.browser.wait_for(&format!("/GPU: [1-9]\\d* of \\d+ programs/.test({text})"), PATIENCE);
    late.store(false, Ordering::Relaxed);
    visit.finish(GENERATE);
    assert!(visit.device().contains("WebGPU"), "{}", visit.device());
    visit.assert_clean();
}
