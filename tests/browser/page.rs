//! What a visitor sees of the built page.

use std::fs;
use std::io::Write;
use std::sync::{Arc, Mutex};

use super::{
    harness::{Browser, Gpu},
    site::{Site, dist},
    visit::PATIENCE,
};
use crate::support::{figure, trials};

trials! {
    cpu: [
        opens_without_a_complaint,
        what_cannot_be_loaded_is_told,
        exports_are_not_wrapped_in_constructors,
        the_programs_are_small,
        a_visitor_downloads_the_program_that_computes,
    ],
}

fn opens_without_a_complaint() {
    let site = Site::of_page();
    for gpu in [Gpu::Software, Gpu::None] {
        let mut browser = Browser::launch(gpu);
        browser.open(&site.url(""));
        browser.assert_console_clean();
    }
}

/// A page that was opened from a disk is given no modules, and in some browsers no styles.
fn what_cannot_be_loaded_is_told() {
    let mut browser = Browser::launch(Gpu::None);
    let seen = "(({ offsetHeight, textContent }) => (offsetHeight > 0 ? textContent : ''))(document.querySelector('.stuck'))";
    let page = fs::canonicalize(dist().expect("a built page").join("index.html")).expect("a path");
    let without = |lost: &'static [&str]| {
        Site::serve_altered(dist().expect("a built page"), move |path, bytes| {
            bytes.filter(|_| !lost.iter().any(|lost| path.starts_with(lost)))
        })
    };
    let sites = [&["page/app.js"][..], &["page/state/keys.js"], &["page/", "style.css"]].map(without);
    let pages = sites.iter().map(|site| site.url("")).chain([format!("file://{}", page.display())]);
    for url in pages {
        browser.open(&url);
        browser.wait_for(&format!("{seen}.includes('it needs a web server')"), PATIENCE);
    }
    let starting = "document.querySelector('#device-note').offsetHeight";
    assert_eq!(browser.eval(starting), 0, "it still says that it starts");

    browser.open(&Site::of_page().url(""));
    assert_eq!(browser.eval(seen), "");
}

fn a_visitor_downloads_the_program_that_computes() {
    for (gpu, device, program) in
        [(Gpu::Software, "gpu", "gpu"), (Gpu::Software, "cpu", "cpu"), (Gpu::None, "auto", "cpu")]
    {
        let sent = Arc::new(Mutex::new(vec![]));
        let log = sent.clone();
        let site = Site::serve_altered(dist().expect("a built page"), move |path, bytes| {
            log.lock().expect("a log").extend(path.ends_with(".wasm").then(|| path.to_owned()));
            bytes
        });
        let mut browser = Browser::launch(gpu);
        browser.open(&site.url(&format!("#device={device}")));
        browser.wait_for(
            "document.querySelector('#device-note').textContent.startsWith('Computing on')",
            PATIENCE,
        );
        assert_eq!(*sent.lock().expect("a log"), [format!("wasm/{program}_bg.wasm")], "{gpu:?}, {device}");
    }
}

/// Where nobody calls the constructors, the linker wraps every export in a call of all of them: ten times slower.
/// The page's wasm has no names, so this looks for what such wrappers have in common: the function they call first.
fn exports_are_not_wrapped_in_constructors() {
    for program in PROGRAMS {
        let firsts = Module(&wasm(program)).first_calls_of_exports();
        assert!(firsts.len() > 10, "{firsts:?}: the exports were not found");
        let wrapped = |callee| firsts.iter().filter(|&&first| first == Some(callee)).count();
        let most = firsts.iter().flatten().map(|&callee| wrapped(callee)).max().unwrap_or(0);
        assert!(2 * most < firsts.len(), "{most} of {} exports first call the same function", firsts.len());
    }
}

/// As servers send them at their best: what brotli makes of them here is about three fifths of what gzip does. By brotli the
/// larger one and the page's own files are to be 1.4 MB.
fn the_programs_are_small() {
    for (program, most) in PROGRAMS.into_iter().zip([2_000_000, 1_100_000]) {
        let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
        packed.write_all(&wasm(program)).expect("memory");
        let packed = packed.finish().expect("memory").len();
        figure(format_args!("{program}: {} bytes, {packed} by gzip", wasm(program).len()));
        assert!(packed < most, "{program}: {packed}");
    }
}

/// Of the page: for a GPU, and for the CPU.
const PROGRAMS: [&str; 2] = ["gpu", "cpu"];

fn wasm(program: &str) -> Vec<u8> {
    fs::read(dist().expect("a built page").join(format!("wasm/{program}_bg.wasm"))).expect("a program")
}

/// A WebAssembly binary (version 1 of its format).
struct Module<'a>(&'a [u8]);

impl<'a> Module<'a> {
    /// For every exported function, which function its body calls first of all, if it begins with a call.
    fn first_calls_of_exports(&self) -> Vec<Option<usize>> {
        const CALL: u8 = 0x10;
        let (imports, mut exports, mut code) = (self.imported_functions(), self.section(7), self.section(10));
        let bodies: Vec<Reader> = (0..code.number()).map(|_| code.bytes()).collect();
        let mut firsts = Vec::new();
        for _ in 0..exports.number() {
            exports.bytes();
            let (kind, index) = (exports.byte(), exports.number());
            if kind != 0 || index < imports {
                continue;
            }
            let mut body = bodies[index - imports];
            for _ in 0..body.number() {
                body.number();
                body.byte(); // so many locals of a type
            }
            firsts.push((body.byte() == CALL).then(|| body.number()));
        }
        firsts
    }

    fn imported_functions(&self) -> usize {
        let mut imports = self.section(2);
        let mut functions = 0;
        for _ in 0..imports.number() {
            imports.bytes();
            imports.bytes();
            let kind = imports.byte();
            assert_eq!(kind, 0, "wasm-bindgen imports only functions");
            imports.number();
            functions += 1;
        }
        functions
    }

    fn section(&self, wanted: u8) -> Reader<'a> {
        let mut file = Reader(&self.0[8..]);
        loop {
            let (id, content) = (file.byte(), file.bytes());
            if id == wanted {
                return content;
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().expect("a whole wasm file");
        self.0 = rest;
        *first
    }

    /// An unsigned LEB128.
    fn number(&mut self) -> usize {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            value |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return value;
            }
        }
    }

    /// A length and as many bytes.
    fn bytes(&mut self) -> Self {
        let length = self.number();
        let (content, rest) = self.0.split_at(length);
        self.0 = rest;
        Self(content)
    }
}
