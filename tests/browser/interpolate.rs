//! The task "Interpolate".

use std::fs;

use super::{
    harness::Gpu,
    visit::{INTERPOLATE, PATIENCE, Visit},
};
use crate::support::{figure, trials};

trials! {
    cpu: [
        frames_lead_from_a_digit_to_a_seed,
        own_files_and_drawings_are_ends_and_part_of_the_link,
        a_generated_image_can_be_an_end,
    ],
}

const ROW: &str = "#interpolate .frames canvas";
const BIG: &str = "#interpolate .big";

fn frames_lead_from_a_digit_to_a_seed() {
    let mut visit = Visit::with(Gpu::None);
    visit.open(
        "#task=interpolate&device=cpu&model=mnist-vp&a=digit:4&b=seed:7:0&frames=5&rtol=0.02&atol=0.02&run=1",
    );
    visit.finish(INTERPOLATE);
    let row = visit.picture(ROW);
    assert_eq!([row.width, row.height], [5 * 29 - 1, 28], "five frames in a row");
    let frame = |index: usize| -> Vec<u8> {
        (0..28).flat_map(|y| row.pixels[y * row.width + 29 * index..][..28].to_vec()).collect()
    };
    for index in 0..5 {
        assert!((0..index).all(|other| frame(other) != frame(index)), "frame {index} is another one again");
    }

    // The middle frame is shown first; the slider goes through all of them, by hand and by key.
    assert_eq!(visit.text("#interpolate .frame-number"), "3 / 5");
    assert_eq!(visit.picture(BIG).pixels, frame(2));
    for index in [0, 4] {
        visit.set("#scrub", index);
        assert_eq!(visit.text("#interpolate .frame-number"), format!("{} / 5", index + 1));
        assert_eq!(visit.picture(BIG).pixels, frame(index));
    }
    visit.browser.eval("document.querySelector('#scrub').focus()");
    visit.browser.press("ArrowLeft", 37);
    assert_eq!(visit.picture(BIG).pixels, frame(3));
    let spoken = "document.querySelector('#scrub').getAttribute('aria-valuetext')";
    assert_eq!(visit.browser.eval(spoken), "frame 4 of 5");

    // Frame 1 is what A shows, which is the digit of the file; the last one is now known as B.
    let mean = |a: &[u8], b: &[u8]| {
        a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
    };
    let a = mean(&frame(0), &visit.picture("#interpolate .end-a .thumb").pixels);
    figure(format_args!("the first frame is {a:.1} of 255 from the digit, on average"));
    assert!(a < 8.0, "the first frame is {a:.1} of 255 from the digit");
    assert_eq!(visit.picture("#interpolate .end-b .thumb").pixels, frame(4));

    // It plays, and stops when asked to.
    visit.click("#interpolate .play");
    visit
        .browser
        .wait_for("document.querySelector('#interpolate .frame-number').textContent != '4 / 5'", PATIENCE);
    visit.click("#interpolate .play");
    assert_eq!(visit.text("#interpolate .play"), "Play");

    visit.browser.reopen();
    visit.ready();
    visit.finish(INTERPOLATE);
    assert_eq!(visit.picture(ROW), row, "the link shows other frames");
    visit.assert_clean();
}

fn own_files_and_drawings_are_ends_and_part_of_the_link() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (paper, text) = (folder.path().join("seven.png"), folder.path().join("notes.png"));
    // A 7 in dark ink on white paper.
    image::GrayImage::from_fn(60, 80, |x, y| {
        let ink = (15..45).contains(&x) && (15..21).contains(&y)
            || (15..65).contains(&y) && (x + y / 2).abs_diff(50) < 4;
        image::Luma([if ink { 30 } else { 240 }])
    })
    .save(&paper)
    .expect("a picture");
    fs::write(&text, "no picture").expect("a file");

    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=interpolate&model=mnist-vp&frames=3&rtol=0.1&atol=0.1");
    visit.click("#interpolate .end-a [value=file]");
    visit.start(INTERPOLATE);
    assert_eq!(visit.alert(), "Choose a file for picture A first.");
    visit.browser.choose_files("#interpolate .end-a [type=file]", &[&text]);
    visit.browser.wait_for("document.querySelector('#alert').textContent.includes('notes.png')", PATIENCE);
    assert!(visit.alert().contains("could not be read as an image"), "{}", visit.alert());
    visit.browser.choose_files("#interpolate .end-a [type=file]", &[&paper]);
    let note = "document.querySelector('#interpolate .end-a .endpoint-note').textContent == 'Your file.'";
    visit.browser.wait_for(note, PATIENCE);
    let seven = visit.picture("#interpolate .end-a .thumb");
    // Made like a digit of MNIST: white on black, with a margin.
    assert_eq!([seven.width, seven.height], [28, 28]);
    assert!(seven.pixels[..28].iter().all(|v| *v == 0) && seven.pixels.iter().any(|v| *v > 200), "{seven:?}");

    // A stroke drawn by keyboard.
    visit.click("#interpolate .end-b [value=drawing]");
    visit.browser.eval("document.querySelector('#interpolate .end-b .pad').focus()");
    visit.browser.press(" ", 32);
    for _ in 0..8 {
        visit.browser.press("ArrowDown", 40);
    }
    assert_eq!(visit.text("#interpolate .end-b .endpoint-note"), "Your drawing.");
    assert!(visit.picture("#interpolate .end-b .thumb").contrast() > 20.0);

    visit.start(INTERPOLATE);
    visit.finish(INTERPOLATE);
    assert_eq!(visit.alert(), "", "an old complaint is still there");
    let row = visit.picture(ROW);
    assert!(visit.hash().contains("&a=pixels:28x28x1:"));
    visit.browser.reopen();
    visit.ready();
    visit.finish(INTERPOLATE);
    assert_eq!(visit.picture(ROW), row, "the link shows other frames");
    visit.assert_clean();
}

fn a_generated_image_can_be_an_end() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=generate&model=mnist-vp&sampler=heun&seed=2&count=1&n_steps=6&run=1");
    visit.finish("#generate");
    let image = visit.grid();
    visit.click("#generate .use-a");
    assert!(visit.text("#live").starts_with("Image 1 is now A"));
    visit.click("nav [data-task=interpolate]");
    assert_eq!(visit.picture("#interpolate .end-a .thumb"), image);
    let before = visit.picture("#interpolate .end-b .thumb");
    visit.click("#interpolate .swap");
    assert_eq!(visit.picture("#interpolate .end-b .thumb"), image);
    assert_eq!(visit.picture("#interpolate .end-a .thumb"), before);
    visit.assert_clean();
}
