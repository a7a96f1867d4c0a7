//! The laboratory: each lesson as a visitor sees it, and its numbers beside the native ones.

use pollster::block_on;
use scorefield::cancel::CancelToken;
use scorefield::lab::{Lab, Setup, lessons};
use serde_json::{Value, json};

use super::{
    access::{fits, named},
    harness::Gpu,
    visit::{PATIENCE, Visit},
};
use crate::support::{cpu, figure, trials};

trials! {
    cpu: [
        lessons_have_the_native_numbers,
        points_walk_and_are_judged,
        a_link_is_the_picture,
        the_pointer_and_the_keys_ask_for_the_score,
        worlds_are_made_by_hand,
        densities_and_leaps_are_shown,
        ten_thousand_points_walk_at_display_rate,
        what_makes_no_experiment_is_told,
        lessons_are_read_in_two_languages,
        fits_a_phone_and_has_names,
    ],
}

const LAB: &str = "#task=lab&device=cpu";

/// Comes to the laboratory and waits until its first picture can be drawn.
#[track_caller]
pub fn open(visit: &mut Visit, hash: &str) {
    visit.open(&format!("{LAB}{hash}"));
    visit.browser.wait_for(
        "document.querySelector('#lab .lesson h2') && document.querySelector('#lab .lab-waiting').hidden",
        PATIENCE,
    );
}

/// `setup` in a link.
pub fn experiment(setup: Value) -> String {
    let letters = setup.to_string();
    let escaped: String = letters.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("&experiment={escaped}")
}

/// Waits until the points have arrived and are judged, and returns the figures.
#[track_caller]
fn arrived(visit: &mut Visit) -> String {
    visit.browser.wait_for(
        "document.querySelector('#lab .lab-figures').textContent.includes('Evaluations')",
        PATIENCE,
    );
    visit.text("#lab .lab-figures")
}

/// The whole picture of a plane as text.
pub fn seen(visit: &mut Visit) -> Value {
    visit.browser.eval("document.querySelector('#lab .plane').toDataURL()")
}

/// Every number of every lesson, computed by the page's program, is where it has to be; and it is the native one: to
/// rounding where nothing is learned, and else as near as two trainings come whose products are summed in another order.
fn lessons_have_the_native_numbers() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=about&device=cpu");
    visit.browser.eval(
        "const { Laboratory } = await import('./engine/lab.js');
        globalThis.laboratory = new Laboratory((error) => { throw error; });
        globalThis.catalogue = await laboratory.open();
        0",
    );
    for name in lessons::NAMES {
        let found = visit.browser.eval_within(
            &format!(
                "await laboratory.arrange(Object.fromEntries(catalogue.lessons)[{name:?}]);
                await laboratory.ask('measure', 'measure', [{name:?}])"
            ),
            PATIENCE,
        );
        let setup = lessons::setup(name).unwrap();
        let lab = Lab::new(setup.clone(), &cpu()).unwrap();
        let native = block_on(lessons::measure(name, &lab, &CancelToken::default())).unwrap();
        let found: Vec<Value> = serde_json::from_value(found).expect("numbers");
        assert_eq!(found.len(), native.len());
        for (found, native) in found.iter().zip(&native) {
            assert_eq!(found["name"], native.name);
            let value = found["value"].as_f64().expect("a number");
            let learns = ["low_density", "manifold", "one_step"].contains(name);
            let off = (value - native.value).abs() / native.value.abs().max(0.02);
            figure(format_args!("{name}: {}: {value:.5}, natively {:.5}", native.name, native.value));
            assert!(found["holds"] == true, "{name}: {found}");
            assert!(off < if learns { 0.5 } else { 0.02 }, "{name}: {found}, natively {native:?}");
        }
    }
    visit.assert_clean();
}

/// The lesson of the wrong weights: the button, the share that comes out, and the frames.
fn points_walk_and_are_judged() {
    let mut visit = Visit::with(Gpu::None);
    open(&mut visit, "&lesson=weights");
    visit.start("#lab");
    let figures = arrived(&mut visit);
    let share = figures.split("Share of the mode of 0.2").nth(1).and_then(|after| after.split(' ').next());
    let share: f64 = share.expect("a share").parse().expect("a number");
    assert!((0.4..0.6).contains(&share), "{figures}");
    assert!(figures.starts_with("Evaluations (NFE)1,000"), "{figures}");

    // Single frames, forwards and backwards.
    let state = |visit: &mut Visit| visit.text("#lab .transport .state");
    visit.set("#lab .place", 0);
    let first = state(&mut visit);
    assert!(first.starts_with("Step 4,"), "{first}");
    visit.click("#lab .transport .on");
    assert_ne!(state(&mut visit), first);
    visit.click("#lab .transport .back");
    assert_eq!(state(&mut visit), first);
    visit.click("#lab .transport .backwards");
    visit.browser.wait_for("+document.querySelector('#lab .place').value > 1", PATIENCE);
    visit.click("#lab .transport .forwards");
    // Each step of this one is at the same noise: the estimate of the clean points differs from them all the same.
    let before = seen(&mut visit);
    visit.click("#lab .estimates");
    visit
        .browser
        .wait_for(&format!("document.querySelector('#lab .plane').toDataURL() !== {before}"), PATIENCE);
    visit.click("#lab .leave");
    assert_eq!(visit.browser.eval("document.querySelector('#lab .transport').hidden"), true);
    assert!(visit.hash().contains("lesson=weights"), "{}", visit.hash());

    // Two samplers from the same noise.
    visit.click("#lab .lessons [name=marginals]");
    visit.browser.wait_for("document.querySelector('#lab h2').textContent.includes('marginals')", PATIENCE);
    visit.start("#lab");
    let figures = arrived(&mut visit);
    assert!(figures.starts_with("Evaluations (NFE)501 | 79"), "{figures}");
    assert_eq!(visit.browser.eval("document.querySelectorAll('#lab .lanes figure:not([hidden])').length"), 2);
    visit.assert_clean();
}

/// Seed, world and sampler are in the link: the same points again, in another visit.
fn a_link_is_the_picture() {
    let link = experiment(json!({
        "world": { "letters": "SDE" }, "half": 6, "count": 300, "seed": 5,
        "sampler": { "name": "ddim", "n_steps": 12 },
    }));
    let last = |visit: &mut Visit| {
        visit.browser.wait_for(
            "document.querySelector('#lab .transport .state').textContent.startsWith('Step 12,')",
            PATIENCE,
        );
        arrived(visit);
        // What is painted last comes from a worker, at its own time.
        visit.browser.eval(
            "for (let last = ''; ; ) {
                const now = document.querySelector('#lab .plane').toDataURL();
                if (now === last) break;
                last = now;
                await new Promise((done) => setTimeout(done, 1000));
            }",
        );
        seen(visit)
    };
    let pictures = [0, 1].map(|_| {
        let mut visit = Visit::with(Gpu::None);
        open(&mut visit, &format!("&lesson=own{link}&see=points&run=1"));
        let picture = last(&mut visit);
        visit.assert_clean();
        (picture, visit.hash())
    });
    assert_eq!(pictures[0], pictures[1]);
    let mut other = Visit::with(Gpu::None);
    let link = link.replace("%35", "%36"); // the seed
    open(&mut other, &format!("&lesson=own{link}&see=points&run=1"));
    assert_ne!(last(&mut other), pictures[0].0);
}

fn the_pointer_and_the_keys_ask_for_the_score() {
    let mut visit = Visit::with(Gpu::None);
    open(&mut visit, "&lesson=score");
    visit.browser.eval("document.querySelector('#lab .plane').focus()");
    visit.browser.press("ArrowRight", 39);
    let probe = "document.querySelector('#lab .probe').textContent";
    visit.browser.wait_for(&format!("{probe}.startsWith('At (0.4')"), PATIENCE);
    // (1, -1) is the centre, 1.5 the deviation.
    let setup: Setup = lessons::setup("score").unwrap();
    let lab = Lab::new(setup, &cpu()).unwrap();
    let said = visit.text("#lab .probe");
    let [x, y] = numbers(said.split("score").nth(1).expect("a score"));
    let [at_x, at_y] = numbers(&said);
    let score = lab.truth.score(&[at_x, at_y], 0.0);
    assert!((x - score[0]).abs() < 0.02 && (y - score[1]).abs() < 0.02, "{said}, {score:?}");
    visit.assert_clean();
}

/// The first two numbers in parentheses.
fn numbers(text: &str) -> [f64; 2] {
    let inside = text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).expect("parentheses").0;
    let mut numbers = inside.split(", ").map(|number| number.parse().expect("a number"));
    [0, 1].map(|_| numbers.next().expect("two"))
}

/// A word, modes that are dragged, a drawing: all of them are in the link.
fn worlds_are_made_by_hand() {
    let mut visit = Visit::with(Gpu::None);
    open(&mut visit, "&lesson=own");
    visit.set("#lab-world", "letters");
    visit.browser.wait_for("document.querySelector('#lab-word') !== null", PATIENCE);
    visit.set("#lab-word", "ode");
    visit.browser.wait_for("decodeURIComponent(location.hash).includes('{\"letters\":\"ODE\"}')", PATIENCE);

    visit.set("#lab-world", "two_modes");
    visit.browser.wait_for("!decodeURIComponent(location.hash).includes('letters')", PATIENCE);
    visit
        .browser
        .eval("for (const fold of document.querySelectorAll('#lab details.world')) fold.open = true");
    // From (5, 5) to the middle: the square ends at 8.
    visit.browser.eval(
        "const plane = document.querySelector('#lab .plane');
        plane.scrollIntoView();
        plane.setPointerCapture = () => {};
        const { x: left, y: above, width } = plane.getBoundingClientRect();
        globalThis.send = (kind, x, y) => plane.dispatchEvent(new PointerEvent(kind, {
            pointerId: 1, bubbles: true, clientX: left + width * (1 + x / 8) / 2, clientY: above + width * (1 - y / 8) / 2,
        }));
        send('pointerdown', 5, 5);
        send('pointermove', 1, 2);
        await new Promise((done) => setTimeout(done, 300));
        send('pointerup', 1, 2)",
    );
    let link = "decodeURIComponent(location.hash)";
    visit
        .browser
        .wait_for(&format!("/\"weight\":0.8,\"at\":\\[(0.9|1|1.0)\\d*,(1.9|2|2.0)/.test({link})"), PATIENCE);
    visit.set("#lab-world", "strokes");
    visit.browser.wait_for(&format!("{link}.includes('strokes')"), PATIENCE);
    visit.browser.eval(
        "send('pointerdown', -3, -3);
        for (let i = 0; i <= 20; i++) send('pointermove', -3 + 0.3 * i, 3 * Math.sin(i / 3));
        send('pointerup', 3, 0)",
    );
    visit.browser.wait_for(&format!("{link}.length > 200"), PATIENCE);
    visit.start("#lab");
    arrived(&mut visit);
    visit.assert_clean();
}

fn densities_and_leaps_are_shown() {
    let mut visit = Visit::with(Gpu::None);
    open(&mut visit, "&lesson=likelihood");
    visit.start("#lab");
    let figures = "document.querySelector('#lab .lab-figures').textContent";
    visit.browser.wait_for(&format!("{figures}.includes('Integral')"), PATIENCE);
    let said = visit.text("#lab .lab-figures");
    let number = |after: &str| {
        let digits = said.split(after).nth(1).expect("the figure").chars();
        let digits: String = digits.take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        digits.parse::<f64>().expect("a number")
    };
    figure(format_args!("{said}"));
    assert!((number("ODE") - 1.0).abs() < 0.02 && number("error") < 0.05, "{said}");
    visit.click("#lab details.density .actions:last-child button");
    visit
        .browser
        .wait_for("/within 0\\.00/.test(document.querySelector('#lab .round').textContent)", PATIENCE);
    // Noises by the true ODE.
    visit.click("#lab details.density .actions button:nth-child(2)");
    visit
        .browser
        .wait_for("document.querySelectorAll('#lab figcaption')[1].textContent.includes('led to')", PATIENCE);
    visit.assert_clean();
}

/// The frames of 10,000 points by the true score come faster than a display shows them.
fn ten_thousand_points_walk_at_display_rate() {
    let mut visit = Visit::with(Gpu::None);
    let setup = experiment(json!({
        "world": { "toy": "two_moons" }, "half": 4, "count": 10_000, "sampler": { "name": "ddim", "n_steps": 200 },
    }));
    open(&mut visit, &format!("&lesson=own{setup}"));
    visit.start("#lab");
    let figures = arrived(&mut visit);
    let seconds = figures.split("Time").nth(1).expect("a time").replace(" s", "");
    let rate = 200.0 / seconds.parse::<f64>().expect("a number");
    figure(format_args!("{rate:.0} frames of 10,000 points a second"));
    assert!(rate > 30.0, "{figures}");
    visit.assert_clean();
}

fn what_makes_no_experiment_is_told() {
    let mut visit = Visit::with(Gpu::None);
    for (wrong, says) in [
        (json!({ "world": { "modes": [] } }), "use 1 to 400"),
        (json!({ "wrld": 1 }), "wrld"),
        (json!({ "sampler": { "name": "magic" } }), "magic"),
    ] {
        open(&mut visit, &format!("&lesson=langevin{}", experiment(wrong)));
        visit.browser.wait_for("!document.querySelector('#alert').hidden", PATIENCE);
        assert!(visit.alert().contains(says), "{}", visit.alert());
        // The lesson's own is there instead.
        visit.start("#lab");
        arrived(&mut visit);
    }
    visit.browser.assert_console_clean();
}

fn lessons_are_read_in_two_languages() {
    let mut visit = Visit::with(Gpu::None);
    open(&mut visit, "&lesson=annealing&language=zh");
    assert_eq!(visit.text("#lab h2"), "噪声与退火");
    for name in lessons::NAMES {
        visit.click(&format!("#lab .lessons [name={name}]"));
        visit.browser.wait_for(
            &format!("document.querySelector('#lab .lesson').dataset.lesson === {name:?}"),
            PATIENCE,
        );
        let chinese = visit.text("#lab .lesson");
        visit.click("#lab .languages [lang=en]");
        let english = visit.text("#lab .lesson");
        assert!(!english.contains("undefined") && !chinese.contains("undefined"), "{english} {chinese}");
        assert!(
            english.is_ascii() || english.replace("中文", "").chars().all(|c| (c as u32) < 0x2e80),
            "{english}"
        );
        visit.click("#lab .languages [lang=zh]");
    }
    visit.assert_clean();
}

/// Two planes, all folds open: on a phone nothing is wider than the screen, and everything has a name.
fn fits_a_phone_and_has_names() {
    let mut visit = Visit::with(Gpu::None);
    for width in [390, 320] {
        visit.browser.resize(width, 844);
        open(&mut visit, "&lesson=marginals");
        visit.start("#lab");
        arrived(&mut visit);
        fits(&mut visit, width, "the laboratory");
    }
    let seen = named(&mut visit);
    figure(format_args!("{seen} controls and pictures have names"));
    assert!(seen > 40, "only {seen} were found");
    visit.assert_clean();
}
