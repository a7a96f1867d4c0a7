//! Alerts: each stays as long as its reason, and no longer.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    harness::Gpu,
    site::{Site, dist},
    visit::{EDIT, INTERPOLATE, PATIENCE, Visit},
};
use crate::support::trials;

trials! {
    cpu: [
        an_unreadable_file_is_told_until_another_picture_is_chosen,
        what_is_missing_is_told_until_it_is_there,
        a_link_is_told_of_until_the_next_change,
        an_engine_that_does_not_start_is_told_of_until_it_does,
    ],
}

fn an_unreadable_file_is_told_until_another_picture_is_chosen() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let picture = folder.path().join("grey.png");
    image::GrayImage::new(28, 28).save(&picture).expect("a picture");
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=edit&device=cpu&model=mnist-vp&image=digit:4");
    for (name, way_out) in
        [("1.png", "#edit [type=file]"), ("2.png", "#edit .digit"), ("3.png", "#edit [value=drawing]")]
    {
        let text = folder.path().join(name);
        fs::write(&text, "no picture").expect("a file");
        visit.browser.choose_files("#edit [type=file]", &[&text]);
        visit.browser.wait_for("!document.querySelector('#alert').hidden", PATIENCE);
        assert!(visit.alert().contains(&format!("“{name}” could not be read")), "{}", visit.alert());
        visit.set("#edit [name=seed]", 5);
        assert_ne!(visit.alert(), "", "another seed makes no picture of it");
        if way_out.contains("file") {
            visit.browser.choose_files(way_out, &[&picture]);
        } else {
            visit.click(way_out);
        }
        visit.browser.wait_for("document.querySelector('#alert').hidden", PATIENCE);
    }
    visit.assert_clean();
}

fn what_is_missing_is_told_until_it_is_there() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=interpolate&device=cpu&model=mnist-vp");
    let draw = |visit: &mut Visit, place: &str| {
        visit.browser.eval(&format!("document.querySelector('{place} .pad').focus()"));
        visit.browser.press(" ", 32);
        visit.browser.press("ArrowDown", 40);
    };
    for end in ["a", "b"] {
        visit.click(&format!("#interpolate .end-{end} [value=drawing]"));
    }
    for (end, picture) in [("a", "picture A"), ("b", "picture B")] {
        visit.start(INTERPOLATE);
        let alert = format!("Draw something for {picture} first.");
        assert_eq!(visit.alert(), alert);
        visit.set("#frames", 5);
        assert_eq!(visit.alert(), alert, "it is still missing");
        draw(&mut visit, &format!("#interpolate .end-{end}"));
        assert_eq!(visit.alert(), "");
    }

    visit.follow("#task=edit&mode=inpaint&mask=top");
    visit.browser.eval(
        "Array.from(document.querySelectorAll('#edit .mask button')).find((b) => b.textContent == 'Clear').click()",
    );
    visit.start(EDIT);
    assert_eq!(visit.alert(), "Paint over the part that is to be drawn anew first.");
    draw(&mut visit, "#edit .mask");
    visit.assert_clean();
}

fn a_link_is_told_of_until_the_next_change() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=generate&device=cpu&seed=-1");
    for change in ["#task=generate&device=cpu&seed=1", ""] {
        visit.follow("#task=generate&device=cpu&seed=-1&model=cifar");
        assert!(visit.alert().contains("seed “-1” makes no sense"), "{}", visit.alert());
        match change {
            "" => visit.set("#seed", 2),
            link => visit.follow(link),
        }
        assert_eq!(visit.alert(), "");
    }
    visit.assert_clean();
}

fn an_engine_that_does_not_start_is_told_of_until_it_does() {
    let broken = Arc::new(AtomicBool::new(true));
    let flag = broken.clone();
    let site = Site::serve_altered(dist().expect("a built page"), move |path, bytes| {
        bytes.filter(|_| path != "models/manifest.json" || !flag.load(Ordering::Relaxed))
    });
    let mut visit = Visit::to(site, Gpu::None);
    visit.open("#task=generate&device=auto");
    assert!(visit.alert().contains("The list of models"), "{}", visit.alert());
    visit.assert_only_missing("models/manifest.json");
    broken.store(false, Ordering::Relaxed);
    // The visitor tries another device instead of the same again.
    visit.set("#device", "cpu");
    visit.browser.wait_for("!document.querySelector('#generate form').inert", PATIENCE);
    visit.assert_clean();
}
