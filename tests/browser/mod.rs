//! The built page in a real Chromium. `make test` builds it and names its folder in `SCOREFIELD_DIST`; without that
//! these tests are shown as ignored, since nobody knows of which sources a page that lies about was made.

mod harness;
mod harness_check;
mod models;
mod site;
mod visit;

// The built files.
mod page;
mod rooms;
// The tasks, as a visitor uses them.
mod classes;
mod edit;
mod fit;
mod generate;
mod interpolate;
mod lab;
mod lab_learning;
mod play;
mod word;
// The same pictures as the native program.
mod native;
mod noise;
// Several workers on the CPU.
mod crew;
// What happens without a GPU, and when it breaks.
mod device;
// What happens when files are damaged or missing.
mod files;
// What the visitor brings along, pictures and links, and how long is told what is wrong with it.
mod alerts;
mod links;
mod own;
mod pictures;
// Keyboard, screen reader, phone, frame rate.
mod access;

use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let ignored = site::dist().is_none();
    if ignored {
        eprintln!(
            "The tests marked `page` are ignored: SCOREFIELD_DIST does not name a built page; `make test` does"
        );
    }
    let modules = [
        harness_check::trials(),
        page::trials(),
        rooms::trials(),
        generate::trials(),
        classes::trials(),
        edit::trials(),
        interpolate::trials(),
        play::trials(),
        word::trials(),
        lab::trials(),
        lab_learning::trials(),
        fit::trials(),
        native::trials(),
        noise::trials(),
        crew::trials(),
        device::trials(),
        files::trials(),
        alerts::trials(),
        links::trials(),
        own::trials(),
        pictures::trials(),
        access::trials(),
    ];
    modules.into_iter().flatten().map(|trial| trial.with_kind("page").with_ignored_flag(ignored)).collect()
}
