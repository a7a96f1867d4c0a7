//! The task "Play": a point on a map of pictures that a consistency model draws at once.

use pollster::block_on;
use scorefield::flow::{Endpoint, Steps, Tolerance, codes, encoder_for, sheet};
use scorefield::model::ScoreModel;
use scorefield::rng::Noise;
use scorefield::run::Run;
use scorefield::weights::shipped;

use super::{
    harness::Gpu,
    visit::{PATIENCE, Visit},
};
use crate::support::{cpu, digits, figure, trials, values};

trials! {
    cpu: [
        the_picture_is_that_of_the_point,
        a_walk_is_recorded_and_replayed_by_its_link,
        corners_may_be_pictures,
        the_picture_follows_at_thirty_a_second,
    ],
}

const PLAY: &str = "#play";
const SEEDS: &str = "#task=play&device=cpu&player=mnist-cm&nw=seed:1:0&ne=seed:2:0&sw=seed:3:0&se=seed:4:0";

/// The picture on the page, in the model's size.
fn shown(visit: &mut Visit) -> Vec<u8> {
    let picture = visit.picture("#play .picture");
    let scale = picture.width / 28;
    (0..28 * 28)
        .map(|i| picture.pixels[(i / 28 * scale + scale / 2) * picture.width + i % 28 * scale + scale / 2])
        .collect()
}

fn open(visit: &mut Visit, hash: &str) {
    visit.open(hash);
    visit.finish(PLAY);
    settled(visit);
}

/// Waits until the picture is that of the latest point: nothing is drawn any more.
fn settled(visit: &mut Visit) {
    let pace = "document.querySelector('#play .pace').textContent";
    visit.browser.wait_for(&format!("{pace} !== ''"), PATIENCE);
    let still = "const canvas = document.querySelector('#play .picture');
        const before = canvas.toDataURL();
        await new Promise((resolve) => setTimeout(resolve, 300));
        canvas.toDataURL() === before";
    for _ in 0..20 {
        if visit.browser.eval(still) == true {
            return;
        }
    }
    panic!("the picture does not come to rest");
}

fn native() -> ScoreModel {
    shipped::open("mnist-cm").unwrap().score_model(&cpu()).unwrap()
}

/// What the native program draws at a point between these corners.
fn drawn(corners: &[Vec<f32>], point: [f64; 2], n_steps: usize) -> Vec<u8> {
    let model = native();
    let corners = [0, 1, 2, 3].map(|i| &corners[i][..]);
    let steps = Steps { n_steps, ..Steps::default() };
    let run = &mut Run::default();
    let solution = block_on(steps.images(&model, &sheet(corners, point), 1.0, &Noise::new(0), run)).unwrap();
    values(solution.images).iter().map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8).collect()
}

fn seeds() -> Vec<Vec<f32>> {
    let model = native();
    (1..=4).map(|seed| found(&model, &Endpoint::Seed(Noise::new(seed)))).collect()
}

fn found(model: &ScoreModel, end: &Endpoint) -> Vec<f32> {
    let ends = std::slice::from_ref(end);
    block_on(codes(model, ends, Tolerance::default(), &mut Run::default())).unwrap().concat()
}

fn off_by(a: &[u8], b: &[u8]) -> u8 {
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

fn the_picture_is_that_of_the_point() {
    let mut visit = Visit::with(Gpu::None);
    open(&mut visit, &format!("{SEEDS}&leaps=1&at=0.5:0.5&run=1"));
    let corners = seeds();
    let middle = shown(&mut visit);
    assert!(off_by(&middle, &drawn(&corners, [0.5, 0.5], 1)) <= 1);

    // Keys, sliders and a finger lead to points of the sheet, and the knob goes along.
    visit.browser.eval("document.querySelector('#play .map').focus()");
    for _ in 0..5 {
        visit.browser.press("ArrowRight", 39);
    }
    settled(&mut visit);
    assert!(off_by(&shown(&mut visit), &drawn(&corners, [0.6, 0.5], 1)) <= 1);
    visit.set("#play .down", 1);
    settled(&mut visit);
    assert!(off_by(&shown(&mut visit), &drawn(&corners, [0.6, 1.0], 1)) <= 1);
    let spoken = "document.querySelector('#play .down').getAttribute('aria-valuetext')";
    assert_eq!(visit.browser.eval(spoken), "100 %");
    visit.browser.eval(
        "const map = document.querySelector('#play .map');
        const { x, y } = map.getBoundingClientRect();
        map.setPointerCapture = () => {};
        map.dispatchEvent(new PointerEvent('pointerdown', { pointerId: 1, clientX: x + 1, clientY: y + 1 }))",
    );
    settled(&mut visit);
    assert!(off_by(&shown(&mut visit), &drawn(&corners, [0.0, 0.0], 1)) <= 1);
    visit.browser.press("Home", 36);
    settled(&mut visit);
    assert_eq!(shown(&mut visit), middle);

    // A second step changes it, and so does a class.
    visit.set("#play [name=leaps]", "2");
    visit.finish(PLAY);
    settled(&mut visit);
    let clearer = shown(&mut visit);
    assert!(off_by(&clearer, &drawn(&corners, [0.5, 0.5], 2)) <= 1);
    visit.set("#play [name=wanted]", "3");
    visit.finish(PLAY);
    settled(&mut visit);
    assert_ne!(shown(&mut visit), clearer);
    assert!(visit.hash().contains("wanted=3"), "{}", visit.hash());
    visit.assert_clean();
}

fn a_walk_is_recorded_and_replayed_by_its_link() {
    let mut visit = Visit::with(Gpu::None);
    open(&mut visit, &format!("{SEEDS}&leaps=1&at=0.2:0.2&run=1"));
    visit.click("#play .record");
    assert_eq!(visit.text("#play .record"), "Stop recording");
    for share in [0.4, 0.6, 0.8] {
        visit.set("#play .across", share);
        visit.browser.eval("await new Promise((resolve) => setTimeout(resolve, 250))");
    }
    visit.click("#play .record");
    visit.browser.wait_for("!document.querySelector('#play .replay').hidden", PATIENCE);
    visit.browser.wait_for("!document.querySelector('#play .save-video').hidden", PATIENCE);
    settled(&mut visit);
    let last = shown(&mut visit);
    visit.browser.eval("await new Promise((resolve) => setTimeout(resolve, 300))"); // the address is written
    let walk =
        visit.hash().split("walk=").nth(1).expect("a walk in the link").split('&').next().unwrap().to_owned();
    assert!(walk.len() >= 12, "{walk}");

    // The link begins elsewhere, and ends where the walk does.
    let link = format!("{SEEDS}&leaps=1&at=0.0:1.0&walk={walk}&run=1");
    open(&mut visit, &link);
    visit.browser.wait_for("document.querySelector('#play .replay').textContent === 'Replay'", PATIENCE);
    settled(&mut visit);
    // A point of a link has eight bits.
    let end = shown(&mut visit);
    let mean = end.iter().zip(&last).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / 784.0;
    figure(format_args!("after the walk, {mean:.2} of 255 from where it was recorded"));
    assert!(mean < 3.0, "{mean}");
    visit.assert_clean();
}

fn corners_may_be_pictures() {
    let mut visit = Visit::with(Gpu::None);
    open(&mut visit, &SEEDS.replace("nw=seed:1:0", "nw=digit:4").replace("&se", "&at=0:0&run=1&se"));
    let digit: Vec<f32> = digits()[4 * 784..][..784].iter().map(|byte| f32::from(*byte) / 255.0).collect();
    let mean = |a: &[u8]| {
        a.iter().zip(&digit).map(|(a, b)| (f64::from(*a) - 255.0 * f64::from(*b)).abs()).sum::<f64>() / 784.0
    };
    let shown = shown(&mut visit);
    let encoder = shipped::open("mnist-vp").unwrap().score_model(&cpu()).unwrap();
    let code = found(&encoder_for(encoder, &native()).unwrap(), &Endpoint::Pixels(digit.clone()));
    let expected = drawn(&[vec![code], seeds()[1..].to_vec()].concat(), [0.0, 0.0], 1);
    figure(format_args!("the corner is {:.1} of 255 from the digit, on average", mean(&shown)));
    assert!(mean(&shown) < 25.0, "{}", mean(&shown));
    let off = shown.iter().zip(&expected).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / 784.0;
    assert!(off < 2.0, "the native program draws another one: {off}");
    assert!(visit.text("#play .encoder").contains("encoded by mnist-vp"));
    visit.assert_clean();
}

/// One worker, the display's rate being the most: sixty here.
fn the_picture_follows_at_thirty_a_second() {
    let mut visit = Visit::with(Gpu::None);
    open(&mut visit, &format!("{SEEDS}&leaps=1&at=0.5:0.5&run=1"));
    let rate = visit.browser.eval_within(
        "const slider = document.querySelector('#play .across');
        const canvas = document.querySelector('#play .picture');
        const context = canvas.getContext('2d');
        const draw = context.drawImage.bind(context);
        let pictures = 0;
        context.drawImage = (...all) => (pictures++, draw(...all));
        const began = performance.now();
        while (performance.now() - began < 4000) {
            slider.value = 0.5 + 0.5 * Math.sin(performance.now() / 500);
            slider.dispatchEvent(new Event('input'));
            await new Promise(requestAnimationFrame);
        }
        (1000 * pictures) / (performance.now() - began)",
        PATIENCE,
    );
    let rate = rate.as_f64().expect("a number");
    figure(format_args!("{rate:.0} pictures a second; {}", visit.text("#play .pace")));
    // The machine of the tests may have other work; `make bench` measures a quiet one.
    assert!(rate > 10.0, "{rate}");
    visit.assert_clean();
}
