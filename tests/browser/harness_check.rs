//! The harness itself: a test of the page that passes means only as much as this.

use std::{fs, panic, thread, time::Duration};

use serde_json::json;

use super::{
    harness::{Browser, Gpu, Message},
    site::Site,
};
use crate::support::trials;

trials! {
    cpu: [
        console_tells_of_page_and_workers,
        browser_has_the_gpu_it_was_launched_with,
        trouble_is_told_and_does_not_hang,
    ],
}

/// "No console errors" means something only if every kind of error is seen, wherever it happens.
fn console_tells_of_page_and_workers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name, text| fs::write(folder.path().join(name), text).expect("a file");
    write(
        "index.html",
        r#"<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
        <meta http-equiv="Content-Security-Policy" content="script-src 'self'">
        <script type="module" src="page.js"></script><script>inline()</script><input type="file">"#,
    );
    write(
        "page.js",
        "console.error('from the page', 1); console.log('harmless');
        fetch('missing.json'); fetch('https://elsewhere.test/').catch(() => {});
        new Worker('worker.js', { type: 'module' }).onmessage = ({ data }) => { globalThis.answer = data; };
        throw new Error('thrown by the page');",
    );
    write(
        "worker.js",
        "console.error('from the worker'); fetch('lost.bin').finally(() => postMessage('done'));
        Promise.reject(new Error('rejected in the worker'));",
    );

    let site = Site::serve_altered(folder.path(), |path, bytes| {
        let mut bytes = bytes?;
        if path == "worker.js" {
            bytes.extend(b"console.error('altered');");
        }
        Some(bytes)
    });
    let mut browser = Browser::launch(Gpu::None);
    browser.open(&site.url(""));
    browser.wait_for("globalThis.answer == 'done'", Duration::from_secs(20));
    assert_eq!(browser.eval_in_worker("self.constructor.name"), "DedicatedWorkerGlobalScope");

    for (source, text) in [
        ("page", "from the page 1"),
        ("page", "thrown by the page"),
        ("page", "Content Security Policy"),
        ("page", "missing.json"),
        ("page", "another host: https://elsewhere.test/"),
        ("worker", "from the worker"),
        ("worker", "altered"),
        ("worker", "rejected in the worker"),
        ("worker", "lost.bin"),
    ] {
        let seen = |browser: &Browser| {
            let fits = |message: &Message| message.source == source && message.text.contains(text);
            browser.console().iter().any(|message| message.level != "log" && fits(message))
        };
        let came = (0..100).any(|_| {
            seen(&browser) || {
                thread::sleep(Duration::from_millis(50));
                false
            }
        });
        assert!(came, "{source}: {text} is not in {:#?}", browser.console());
    }
    fails(|| browser.assert_console_clean());
    browser.assert_console_clean(); // It has forgotten them.
    assert!(browser.complaints().is_empty());

    browser.eval("globalThis.answer = null; location.hash = 'kept'");
    browser.reopen();
    browser.wait_for("globalThis.answer == 'done' && location.hash == '#kept'", Duration::from_secs(20));
    browser.choose_files("input", &[&folder.path().join("page.js")]);
    assert_eq!(browser.eval("document.querySelector('input').files[0].name"), "page.js");
    browser.press("Tab", 9);
    assert_eq!(browser.eval("document.activeElement.tagName"), "INPUT");
    browser.resize(320, 480);
    assert_eq!(browser.eval("[innerWidth, innerHeight]"), json!([320, 480]));
    let picture = folder.path().join("picture.png");
    browser.screenshot(&picture);
    assert!(fs::read(picture).expect("a file").starts_with(b"\x89PNG"));
}

fn browser_has_the_gpu_it_was_launched_with() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("index.html"), "").expect("a file");
    let site = Site::serve(folder.path());
    for (gpu, kind) in [(Gpu::Software, "swiftshader"), (Gpu::None, "none")] {
        let mut browser = Browser::launch(gpu);
        browser.open(&site.url(""));
        let architecture = "(await navigator.gpu.requestAdapter())?.info.architecture ?? 'none'";
        assert_eq!(browser.eval(architecture), kind);
        browser.open(&site.insecure_url(""));
        assert_eq!(browser.eval("[isSecureContext, typeof navigator.gpu]"), json!([false, "undefined"]));
    }
}

fn trouble_is_told_and_does_not_hang() {
    let mut browser = Browser::launch(Gpu::None);
    fails(|| browser.eval("await Promise.reject(new Error('no'))"));
    fails(|| browser.eval_within("await new Promise(() => {})", Duration::from_millis(300)));
    assert_eq!(browser.eval("6 * 7"), 42);
    fails(|| browser.call("Browser.crash", json!({})));
}

/// That a harness function fails a test.
#[track_caller]
fn fails<T>(action: impl FnOnce() -> T) {
    eprintln!("a failure that is meant to happen:");
    assert!(panic::catch_unwind(panic::AssertUnwindSafe(action)).is_err(), "it should have failed");
}
