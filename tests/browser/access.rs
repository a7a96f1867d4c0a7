//! For everybody: keyboard, screen reader, phone, and a page that stays smooth while it computes.

use serde_json::Value;

use super::{
    harness::Gpu,
    visit::{EDIT, GENERATE, INTERPOLATE, PATIENCE, Visit},
};
use crate::support::{figure, trials};

trials! {
    cpu: [
        works_by_keyboard_alone,
        every_control_and_picture_has_a_name,
        live_region_tells_of_start_and_end,
        nothing_scrolls_sideways_on_a_phone,
    ],
    alone: [page_stays_smooth_while_the_cpu_samples],
}

fn works_by_keyboard_alone() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=generate&device=cpu&model=mnist-vp&sampler=heun&seed=7&count=4&n_steps=20");
    visit.browser.press("Tab", 9);
    assert_eq!(visit.browser.eval("document.activeElement.className"), "skip");
    visit.browser.press("Enter", 13);
    visit.browser.wait_for("document.activeElement.id == 'main'", PATIENCE);
    tab_to(&mut visit, "#seed");
    visit.browser.press("4", 52);
    visit.browser.press("2", 50);
    tab_to(&mut visit, "#generate .start");
    visit.browser.press("Enter", 13);
    // The button that was pressed cannot be pressed again; the focus waits where one would go next.
    visit.browser.wait_for("document.activeElement.matches('#generate .cancel')", PATIENCE);
    visit.finish(GENERATE);
    visit.browser.wait_for("document.activeElement.matches('#generate .start')", PATIENCE);
    assert!(visit.hash().contains("&seed=42&"), "{}", visit.hash());
    assert!(visit.grid().contrast() > 20.0);

    // On to the results, and to the other task.
    tab_to(&mut visit, "#generate .trajectory input");
    visit.browser.press("ArrowLeft", 37);
    let place = "[+document.querySelector('#generate .trajectory input').value, +document.querySelector('#generate .trajectory input').max]";
    assert_eq!(visit.browser.eval(place), serde_json::json!([19, 20]));
    tab_to(&mut visit, "#generate .use-a");
    visit.browser.press("Enter", 13);
    assert!(visit.text("#live").contains("is now A"), "{}", visit.text("#live"));
    visit.assert_clean();
}

/// Presses Tab until an element has the focus, which has to be visible.
#[track_caller]
fn tab_to(visit: &mut Visit, selector: &str) {
    let there = format!("document.activeElement.matches({})", serde_json::json!(selector));
    for _ in 0..40 {
        if visit.browser.eval(&there) == true {
            assert_eq!(visit.browser.eval("document.activeElement.matches(':focus-visible')"), true);
            return;
        }
        visit.browser.press("Tab", 9);
    }
    panic!("no way by Tab to {selector}");
}

fn every_control_and_picture_has_a_name() {
    let mut visit = Visit::with(Gpu::None);
    let mut seen = 0;
    visit.open("#task=generate&model=mnist-vp&sampler=pc&seed=7&count=4&n_steps=3");
    visit.browser.eval("for (const details of document.querySelectorAll('details')) details.open = true");
    seen += named(&mut visit);
    visit.start(GENERATE);
    visit.finish(GENERATE);
    seen += named(&mut visit);
    visit.follow("#task=interpolate&model=mnist-vp&a=digit:1&b=seed:3:0&frames=3&rtol=0.1&atol=0.1&run=1");
    visit.finish(INTERPOLATE);
    seen += named(&mut visit);
    for kind in ["file", "drawing"] {
        visit.click(&format!("#interpolate .end-a [value={kind}]"));
        seen += named(&mut visit);
    }
    for mode in ["inpaint", "upscale", "denoise"] {
        visit.follow(&format!(
            "#task=edit&model=mnist-vp&image=digit:3&mode={mode}&results=2&n_steps=2&run=1"
        ));
        visit.finish(EDIT);
        seen += named(&mut visit);
    }
    for task in visit.tasks() {
        visit.turn_to(&task);
        seen += named(&mut visit);
    }
    visit
        .browser
        .eval("document.querySelector('#device').value = 'none'; location.hash = '#task=generate&seed=x'");
    visit.browser.wait_for("!document.querySelector('#alert').hidden", PATIENCE);
    seen += named(&mut visit);
    figure(format_args!("{seen} controls and pictures have names"));
    assert!(seen > 100, "only {seen} were found, so the test does not see them");
    visit.browser.assert_console_clean();
}

/// Checks what a screen reader would find; returns how many nodes need names.
#[track_caller]
pub fn named(visit: &mut Visit) -> usize {
    let tree = visit.browser.call("Accessibility.getFullAXTree", Value::Null);
    let is_focusable = |node: &Value| {
        let properties = node["properties"].as_array().into_iter().flatten();
        properties
            .into_iter()
            .any(|property| property["name"] == "focusable" && property["value"]["value"] == true)
    };
    let role = |node: &Value| node["role"]["value"].as_str().unwrap_or("").to_owned();
    let needs_name = |node: &&Value| {
        node["ignored"] != true
            && !["RootWebArea", "main"].contains(&&*role(node))
            && (is_focusable(node)
                || ["img", "image", "progressIndicator", "radiogroup"].contains(&&*role(node)))
    };
    let nodes: Vec<_> = tree["nodes"].as_array().expect("a tree").iter().filter(needs_name).collect();
    for node in &nodes {
        let name = node["name"]["value"].as_str().unwrap_or("").trim();
        assert!(!name.is_empty(), "a {} has no name: {node:#}", role(node));
    }
    nodes.len()
}

fn live_region_tells_of_start_and_end() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=generate&device=cpu&model=mnist-vp&sampler=pc&seed=7&count=2&n_steps=4");
    visit.browser.eval(
        "globalThis.said = [];
        const live = document.querySelector('#live');
        new MutationObserver(() => said.push(live.textContent)).observe(live, { childList: true });",
    );
    visit.start(GENERATE);
    visit.finish(GENERATE);
    let said = visit.browser.eval("said");
    let said: Vec<_> = said.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(said.len(), 2, "{said:?}"); // not every step: nobody can listen to that
    assert_eq!(said[0], "Started.");
    assert!(
        said[1].starts_with("Finished: 2 images in ") && said[1].ends_with("9 network evaluations."),
        "{said:?}"
    );
    let region = "document.querySelector('#live').matches('[role=status][aria-live=polite]')";
    assert_eq!(visit.browser.eval(region), true);
    visit.assert_clean();
}

fn nothing_scrolls_sideways_on_a_phone() {
    let mut visit = Visit::with(Gpu::None);
    for width in [390, 320] {
        visit.browser.resize(width, 844);
        visit.open("#task=generate&model=mnist-vp&sampler=ald&seed=7&count=9&n_steps=3&n_steps_each=1&run=1");
        visit.finish(GENERATE);
        fits(&mut visit, width, "generate");
        visit
            .follow("#task=interpolate&model=mnist-vp&a=digit:1&b=seed:3:0&frames=9&rtol=0.1&atol=0.1&run=1");
        visit.finish(INTERPOLATE);
        fits(&mut visit, width, "interpolate");
        for kind in ["file", "drawing", "seed"] {
            visit.click(&format!("#interpolate .end-a [value={kind}]"));
            fits(&mut visit, width, kind);
        }
        for mode in ["inpaint", "upscale", "edit", "denoise"] {
            visit.follow(&format!(
                "#task=edit&model=mnist-vp&image=digit:3&mode={mode}&results=5&n_steps=2&run=1"
            ));
            visit.finish(EDIT);
            fits(&mut visit, width, mode);
        }
        for task in visit.tasks() {
            visit.turn_to(&task);
            fits(&mut visit, width, &task);
        }
    }
    visit.assert_clean();
}

#[track_caller]
pub fn fits(visit: &mut Visit, width: u32, what: &str) {
    visit.browser.eval("for (const details of document.querySelectorAll('details')) details.open = true");
    let found = visit.browser.eval(
        "const widest = (element) => element.getBoundingClientRect().right;
        const wide = Array.from(document.querySelectorAll('body *')).filter((e) => widest(e) > document.documentElement.clientWidth + 1);
        [document.documentElement.scrollWidth, wide.slice(-1)[0]?.outerHTML.slice(0, 200) ?? '']",
    );
    assert!(
        found[0].as_u64() <= Some(width.into()),
        "{what} is {} wide on a phone of {width}: {}",
        found[0],
        found[1]
    );
}

/// At 60 frames a second they are 17 ms apart. The worker must not hold the page up, whatever it does.
fn page_stays_smooth_while_the_cpu_samples() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=generate&device=cpu&model=mnist-vp&sampler=pc&seed=7&count=9&n_steps=2&run=1");
    visit.finish(GENERATE);
    visit.follow("#task=generate&device=cpu&model=mnist-vp&sampler=pc&seed=7&count=16&n_steps=30");
    let gaps = visit.browser.eval_within(
        "const gaps = [];
        let last = null, isOver = false;
        const tick = (now) => {
            if (last !== null) gaps.push(now - last);
            last = now;
            if (!isOver) requestAnimationFrame(tick);
        };
        requestAnimationFrame(tick);
        const start = document.querySelector('#generate .start');
        start.click();
        while (start.disabled) await new Promise((done) => setTimeout(done, 20));
        isOver = true;
        gaps.sort((a, b) => a - b)",
        PATIENCE,
    );
    let gaps: Vec<f64> = serde_json::from_value(gaps).expect("times");
    let quantile = |share: f64| gaps[((gaps.len() - 1) as f64 * share).round() as usize];
    let [median, p95, worst] = [0.5, 0.95, 1.0].map(quantile);
    figure(format_args!(
        "{} frames: median {median:.1} ms, 95 % {p95:.1} ms, worst {worst:.1} ms",
        gaps.len()
    ));
    assert!(gaps.len() > 30, "{} frames are too few to tell", gaps.len());
    // The second bound leaves room for other work on the machine.
    assert!(median <= 20.0 && p95 <= 50.0, "median {median:.1} ms, 95 % {p95:.1} ms, worst {worst:.1} ms");
    visit.finish(GENERATE);
    visit.assert_clean();
}
