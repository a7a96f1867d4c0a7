//! The task "Edit".

use std::{thread, time::Duration};

use burn::tensor::Tensor;
use pollster::block_on;
use scorefield::control;
use scorefield::model::ScoreModel;
use scorefield::picture::to_byte;
use scorefield::rng::{Domain, Noise};
use scorefield::run::Run;
use scorefield::sampler::Sampler;
use serde_json::{Value, json};

use super::{
    harness::Gpu,
    models::{self, COLOUR},
    native::{TOLERANCE, test_digit},
    visit::{EDIT, PATIENCE, Picture, Visit},
};
use crate::support::{cpu, figure, relative_error, trials, values};

trials! {
    cpu: [
        every_kind_draws_the_native_picture_and_its_link_shows_it_again,
        known_pixels_stay_as_they_were,
        a_mask_is_painted_by_keyboard_and_by_pointer,
        a_consistency_model_edits_in_many_steps,
        noise_of_a_seed_that_was_left_is_not_shown,
        colour_needs_a_colour_model,
        a_generated_image_can_be_edited_and_edited_again,
    ],
}

const GRID: &str = "#edit .grid canvas";
const INPUT: &str = "#edit .input";
const GIVEN: &str = "#edit .given";

/// A request of the page, answered by the library.
fn native(request: &Value) -> (usize, Vec<f32>) {
    let model = models::native(request["model"].as_str().expect("a model")).score_model().unwrap();
    let model = conditioned(model, &request["condition"]);
    let options = request["options"].as_object().expect("options");
    let sampler = Sampler::with_options(request["sampler"].as_str().expect("a sampler"), options);
    let noise = Noise::new(request["seed"].as_u64().expect("a seed"));
    let count = request["count"].as_u64().expect("a count") as usize;
    let drawn = sampler.expect("a sampler");
    let drawn = block_on(drawn.sample(&model, &noise, count, &mut Run::default())).expect("images");
    (drawn.nfe, values(drawn.images))
}

fn conditioned(model: ScoreModel, condition: &Value) -> ScoreModel {
    let (kind, what) = condition.as_object().expect("a condition").iter().next().expect("one of them");
    let number = |name: &str| what[name].as_f64().expect("a number");
    let tensor = |name: &str, [c, h, w]: [usize; 3]| {
        let pixels = floats(&what[name]);
        Tensor::<1>::from_floats(pixels.as_slice(), &cpu()).reshape([1, c, h, w])
    };
    let [c, h, w] = model.shape;
    let image = |shape| tensor("image", shape);
    match kind.as_str() {
        "inpaint" => control::inpaint(model, image([c, h, w]), tensor("mask", [1, h, w]), None),
        "colorize" => control::colorize(model, image([c, h, w]), None),
        "upscale" => {
            let factor = number("factor") as usize;
            control::upscale(model, image([c, h / factor, w / factor]), factor, None)
        }
        "edit" => control::edit(model, image([c, h, w]), number("strength")),
        "denoise" => control::denoise(model, image([c, h, w]), number("sigma")),
        other => panic!("the page asks for {other}"),
    }
    .expect("a model")
}

fn floats(values: &Value) -> Vec<f32> {
    serde_json::from_value(values.clone()).expect("numbers")
}

/// The means of squares of pixels of an image of 28 x 28.
fn block_means(image: &[f32], factor: usize) -> Vec<f32> {
    let side = 28 / factor;
    let mean = |row: usize, column: usize| {
        let rows = factor * row..factor * (row + 1);
        let square = rows.flat_map(|y| &image[28 * y + factor * column..][..factor]);
        square.sum::<f32>() / (factor * factor) as f32
    };
    (0..side * side).map(|i| mean(i / side, i % side)).collect()
}

/// One step, with which it generates, would draw the rest of an image as if nothing of it were known.
fn a_consistency_model_edits_in_many_steps() {
    let mut visit = Visit::to(models::site_with(&[COLOUR]), Gpu::None);
    for setting in ["mode=inpaint&mask=left", "mode=edit&strength=0.4"] {
        visit.open(&format!("#task=edit&device=cpu&model=mnist-cm&image=digit:4&{setting}&seed=5&results=2"));
        visit.listen();
        visit.start(EDIT);
        visit.finish(EDIT);
        let (request, images) = visit.heard();
        assert_eq!([&request["sampler"], &request["options"]["n_steps"]], [&json!("multistep"), &json!(40)]);
        let (nfe, expected) = native(&request);
        assert_eq!((nfe, visit.nfe(EDIT)), (40, 40));
        let error = relative_error(&images, &expected);
        figure(format_args!("mnist-cm {setting}: {error:.1e}"));
        assert!(error < TOLERANCE, "{setting}: {error:.1e}");
    }
    visit.assert_clean();
}

fn every_kind_draws_the_native_picture_and_its_link_shows_it_again() {
    let mut visit = Visit::to(models::site_with(&[COLOUR]), Gpu::None);
    let digit = test_digit(4);
    for (model, setting) in [
        ("mnist-vp", "mode=inpaint&mask=left"),
        ("mnist-ve", "mode=inpaint&mask=centre"),
        (COLOUR, "mode=colorize"),
        ("mnist-vp", "mode=upscale&factor=2"),
        ("mnist-ve", "mode=upscale&factor=4"),
        ("mnist-vp", "mode=edit&strength=0.4"),
        ("mnist-ve", "mode=denoise&noise=0.7"),
    ] {
        let hash =
            format!("#task=edit&device=cpu&model={model}&image=digit:4&{setting}&seed=5&results=2&n_steps=5");
        visit.open(&hash);
        visit.listen();
        visit.start(EDIT);
        visit.finish(EDIT);
        let (request, images) = visit.heard();
        assert_eq!(
            [&request["sampler"], &request["options"]["n_corrector"]],
            [&json!("pc"), &json!(0)],
            "{setting}"
        );
        assert_eq!([&request["count"], &request["seed"]], [2, 5]);
        let (nfe, expected) = native(&request);
        let error = relative_error(&images, &expected);
        figure(format_args!("{model} {setting}, {nfe} NFE: {error:.1e}"));
        assert!(error < TOLERANCE, "{model} {setting}: {error:.1e}");
        assert_eq!(visit.nfe(EDIT), nfe);

        // That the request is what the visitor asked for.
        let (kind, what) = request["condition"].as_object().expect("a condition").iter().next().expect("one");
        assert!(setting.contains(&format!("mode={kind}")), "{setting}: {kind}");
        let image = floats(&what["image"]);
        match kind.as_str() {
            "inpaint" => {
                let known: f32 = floats(&what["mask"]).iter().sum();
                assert_eq!(
                    (image, known),
                    (digit.clone(), if setting.contains("left") { 392. } else { 588. })
                );
            }
            "colorize" => {
                let plane = image.len() / 3;
                assert_eq!(image[..plane], image[plane..2 * plane]);
                assert!(image.iter().any(|v| *v > 0.3));
            }
            "upscale" => {
                let factor = what["factor"].as_u64().expect("a factor") as usize;
                assert!(setting.ends_with(&format!("factor={factor}")));
                let off = image.iter().zip(block_means(&digit, factor)).map(|(a, b)| (a - b).abs());
                assert!(off.fold(0.0, f32::max) < 0.51 / 255.0, "not the means of squares");
            }
            "edit" => assert_eq!((image, &what["strength"]), (digit.clone(), &json!(0.4))),
            // The noise is that of the seed, as the native program has it.
            _ => {
                let noise = Noise::new(5).domain(Domain::Corruption).normal(0, 1, digit.len());
                let noisy: Vec<f32> = digit.iter().zip(&noise).map(|(v, z)| v + 0.7 * z).collect();
                assert!(relative_error(&image, &noisy) < 1e-6, "{setting}: other noise");
            }
        }

        let grid = visit.picture(GRID);
        assert_eq!(grid.width, 2 * grid.height + 1, "two results side by side");
        let shown = image_of(&grid, 0);
        let drawn: Vec<u8> = expected[..shown.len()].iter().map(|v| to_byte(*v)).collect();
        assert!(
            shown.iter().zip(&drawn).all(|(a, b)| a.abs_diff(*b) <= 1),
            "the canvas shows something else"
        );
        assert!(visit.hash().contains(setting), "{}", visit.hash());
        visit.browser.reopen();
        visit.ready();
        visit.finish(EDIT);
        assert_eq!(visit.picture(GRID), grid, "{setting}: the link shows other pictures");
        visit.assert_clean();
    }
}

/// One image of a row of square ones, one pixel apart.
fn image_of(row: &Picture, index: usize) -> Vec<u8> {
    let side = row.height;
    (0..side).flat_map(|y| row.pixels[y * row.width + index * (side + 1)..][..side].to_vec()).collect()
}

fn known_pixels_stay_as_they_were() {
    let mut visit = Visit::with(Gpu::None);
    for model in ["mnist-vp", "mnist-ve"] {
        visit.open(&format!(
            "#task=edit&device=cpu&model={model}&image=digit:4&mode=inpaint&mask=left&seed=3&results=2&n_steps=6&run=1"
        ));
        visit.finish(EDIT);
        let (input, grid) = (visit.picture(INPUT), visit.picture(GRID));
        assert!(input.contrast() > 20.0);
        let results = [0, 1].map(|index| image_of(&grid, index));
        let halves = |pixels: &[u8]| -> [Vec<u8>; 2] {
            [0, 14].map(|left| (0..28).flat_map(|y| pixels[28 * y + left..][..14].to_vec()).collect())
        };
        for result in &results {
            assert_eq!(halves(result)[1], halves(&input.pixels)[1], "{model}: a known pixel has changed");
            assert_ne!(halves(result)[0], halves(&input.pixels)[0], "{model}: nothing was drawn");
        }
        assert_ne!(results[0], results[1], "{model}: two results are the same");
        // What the model is given has the same half, and a hole of one colour instead of the other.
        let given = halves(&visit.picture(GIVEN).pixels);
        assert_eq!(given[1], halves(&input.pixels)[1]);
        assert!(given[0].iter().all(|v| *v == given[0][0]));
    }
    visit.assert_clean();
}

fn a_mask_is_painted_by_keyboard_and_by_pointer() {
    let mut visit = Visit::with(Gpu::None);
    visit.open(
        "#task=edit&device=cpu&model=mnist-vp&image=digit:4&mode=inpaint&mask=top&seed=3&results=1&n_steps=3",
    );
    // The hole is red 196, a tone that hardly a digit has.
    let holes = |visit: &mut Visit| visit.picture(GIVEN).pixels.iter().filter(|v| **v == 196).count();
    assert!((392..400).contains(&holes(&mut visit)));
    visit.browser.eval(
        "Array.from(document.querySelectorAll('#edit .mask button')).find((b) => b.textContent == 'Clear').click()",
    );
    visit.start(EDIT);
    assert_eq!(visit.alert(), "Paint over the part that is to be drawn anew first.");

    visit.browser.eval("document.querySelector('#edit .mask .pad').focus()");
    visit.browser.press(" ", 32);
    for _ in 0..6 {
        visit.browser.press("ArrowDown", 40);
    }
    let by_keyboard = holes(&mut visit);
    assert!((10..80).contains(&by_keyboard), "{by_keyboard} pixels");
    visit.browser.eval(
        "const pad = document.querySelector('#edit .mask .pad');
        pad.setPointerCapture = () => {};
        const box = pad.getBoundingClientRect();
        const at = (type, x, y) => pad.dispatchEvent(new PointerEvent(type,
            { button: 0, clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
        at('pointerdown', 0.2, 0.2); at('pointermove', 0.2, 0.8); at('pointerup', 0.2, 0.8);",
    );
    let both = holes(&mut visit);
    assert!(both > by_keyboard + 20, "{both} pixels after {by_keyboard}");
    assert!(visit.hash().contains("&mask=top") || visit.hash().contains("&mask=28x28:"));

    visit.start(EDIT);
    visit.finish(EDIT);
    assert!(visit.hash().contains("&mask=28x28:"), "{}", visit.hash());
    let (grid, given) = (visit.picture(GRID), visit.picture(GIVEN));
    let input = visit.picture(INPUT).pixels;
    let known = (0..784).filter(|&i| given.pixels[i] != 196);
    assert!(known.clone().all(|i| grid.pixels[i] == input[i]), "a known pixel has changed");
    visit.browser.reopen();
    visit.ready();
    visit.finish(EDIT);
    assert_eq!((visit.picture(GRID), visit.picture(GIVEN)), (grid, given), "the link shows another picture");

    // A preset replaces it, and undoing goes back no further.
    visit.browser.eval("document.querySelectorAll('#edit .presets button')[4].click()");
    assert!((196..204).contains(&holes(&mut visit)));
    visit.browser.wait_for("location.hash.includes('&mask=centre&')", PATIENCE);
    visit.assert_clean();
}

fn noise_of_a_seed_that_was_left_is_not_shown() {
    let mut visit = Visit::with(Gpu::None);
    let with_seed =
        |seed| format!("#task=edit&model=mnist-vp&image=digit:4&mode=denoise&noise=0.7&seed={seed}");
    let given = |visit: &mut Visit| {
        visit.browser.wait_for(&format!("document.querySelector('{GIVEN}').width == 28"), PATIENCE);
        visit.picture(GIVEN)
    };
    visit.open(&with_seed(5));
    let was = given(&mut visit);
    visit.browser.eval(
        "const { Engine } = await import('./scorefield.js');
        const { noise } = Engine.prototype;
        Engine.prototype.noise = async function (seed, length) {
            if (seed == 6) await new Promise((done) => setTimeout(done, 300));
            return noise.call(this, seed, length);
        };
        0",
    );
    visit.set("#edit [name=seed]", 6);
    visit.set("#edit [name=seed]", 7);
    // After as long as the noise of seed 6 takes, and longer.
    thread::sleep(Duration::from_millis(1000));
    let is = visit.picture(GIVEN);
    visit.open(&with_seed(7));
    let wanted = given(&mut visit);
    assert!(is == wanted && is != was, "the picture is not that of the last seed");
    visit.assert_clean();
}

fn colour_needs_a_colour_model() {
    let mut visit = Visit::to(models::site_with(&[COLOUR]), Gpu::None);
    visit
        .open("#task=edit&device=cpu&model=mnist-vp&image=digit:4&mode=inpaint&mask=top&results=1&n_steps=3");
    let disabled = "document.querySelector('#edit [value=colorize]').disabled";
    assert_eq!(visit.browser.eval(disabled), true);
    let reason = "Colour needs a model of colour images; this one draws in grey.";
    assert_eq!(visit.text("#kinds-refused"), reason);
    visit.set("#edit-model", COLOUR);
    assert_eq!(visit.browser.eval(disabled), false);
    assert_eq!(visit.text("#kinds-refused"), "");
    visit.click("#edit [value=colorize]");
    visit.set("#edit-model", "mnist-vp");
    visit.start(EDIT);
    assert_eq!(visit.alert(), reason);
    visit.set("#edit-model", COLOUR);
    visit.assert_clean();
}

fn a_generated_image_can_be_edited_and_edited_again() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=generate&device=cpu&model=mnist-vp&sampler=heun&seed=2&count=1&n_steps=6&run=1");
    visit.finish("#generate");
    let image = visit.grid();
    visit.click("#generate .use-image");
    assert_eq!(visit.browser.eval("document.querySelector('#edit').hidden"), json!(false));
    visit.follow("#task=edit&mode=edit&strength=0.2&results=1&n_steps=4");
    assert_eq!(visit.picture(INPUT), image);
    visit.start(EDIT);
    visit.finish(EDIT);
    let edited = visit.picture(GRID);
    assert_ne!(edited, image);
    visit.click("#edit .use-image");
    assert_eq!(visit.picture(INPUT), edited);
    visit.assert_clean();
}
