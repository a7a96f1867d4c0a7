//! What a visitor sees of the built page.

use std::fs;

use super::{
    harness::{Browser, Gpu},
    site::{Site, dist},
};
use crate::support::trials;

trials! { cpu: [opens_without_a_complaint, exports_are_not_wrapped_in_constructors] }

fn opens_without_a_complaint() {
    let site = Site::of_page();
    for gpu in [Gpu::Software, Gpu::None] {
        let mut browser = Browser::launch(gpu);
        browser.open(&site.url(""));
        browser.assert_console_clean();
    }
}

/// Where nobody calls the constructors, the linker wraps every export in a call of all of them: ten times slower.
fn exports_are_not_wrapped_in_constructors() {
    let wasm = dist().expect("a built page").join("wasm/scorefield_bg.wasm");
    let wasm = fs::read(wasm).expect("the page's wasm");
    let names = |name: &str| wasm.windows(name.len()).any(|bytes| bytes == name.as_bytes());
    assert!(
        names("__wasm_call_ctors"),
        "the wasm has lost the names of its functions, so this test sees nothing"
    );
    assert!(!names(".command_export"));
}
