//! The built page in a real Chromium. `make test` builds it and names its folder in `SCOREFIELD_DIST`; without that
//! these tests are shown as ignored, since nobody knows of which sources a page that lies about was made.

mod harness;
mod harness_check;
mod page;
mod site;

use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let ignored = site::dist().is_none();
    if ignored {
        eprintln!(
            "The tests marked `page` are ignored: SCOREFIELD_DIST does not name a built page; `make test` does"
        );
    }
    let trials = harness_check::trials().into_iter().chain(page::trials());
    trials.map(|trial| trial.with_kind("page").with_ignored_flag(ignored)).collect()
}
