//! The task "Generate".

use std::{thread, time::Duration};

use scorefield::sampler::PredictorCorrector;
use scorefield::weights::shipped::{self, Entry};
use serde_json::{Value, json};

use super::{
    harness::Gpu,
    models::{PLAIN, site_with},
    visit::{GENERATE, PATIENCE, Visit, seconds},
};
use crate::support::{cheap, figure, options_of, trials};
use crate::weights::SHAPE;

trials! {
    cpu: [
        every_sampler_draws_on_webgpu,
        the_page_opens_with_a_picture_that_it_draws_again,
        every_model_shows_what_it_draws,
        image_comes_into_being_before_the_visitors_eyes,
        a_link_shows_the_same_picture_again,
        pictures_can_be_saved,
        a_link_that_makes_no_sense_is_told_and_does_not_start,
    ],
    alone: [cancel_stops_the_run_and_the_next_one_works],
}

/// The costs are those that the samplers state.
fn every_sampler_draws_on_webgpu() {
    // What is drawn natively too is compared in `native`.
    let mut visit = Visit::to(site_with(&[PLAIN]), Gpu::Software);
    visit.open(&format!("#task=generate&device=gpu&model={PLAIN}&seed=3&count=1"));
    let device = visit.device();
    assert!(device.starts_with("Computing on the GPU with WebGPU (google swiftshader)."), "{device}");
    let mut pictures = Vec::new();
    for method in cheap() {
        let sampler = method.info().name;
        let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let options: String =
            options_of(&method).iter().map(|(name, value)| format!("&{name}={}", text(value))).collect();
        let hash = format!(
            "#task=generate&device=gpu&model={PLAIN}&sampler={sampler}&seed=3&count=2{options}&run=1"
        );
        let time = seconds(|| visit.run(GENERATE, &hash));
        let nfe = visit.nfe(GENERATE);
        match method.evaluations() {
            Some(cost) => assert_eq!(nfe, cost, "{sampler}"),
            // One for the first slope, six for every step tried, one to denoise.
            None => assert!(nfe > 8 && nfe % 6 == 2, "{sampler}: {nfe} evaluations"),
        }
        let picture = visit.grid();
        let [_, height, width] = SHAPE;
        assert_eq!([picture.width, picture.height], [2 * width + 1, height]);
        assert!(picture.contrast() > 20.0, "{sampler}: the picture is blank, {:.1}", picture.contrast());
        assert!(!pictures.contains(&picture), "{sampler}: the picture before has stayed");
        figure(format_args!("{sampler}: {nfe} NFE in {time:.1} s, contrast {:.0}", picture.contrast()));
        pictures.push(picture);
    }
    assert!(visit.device().contains("WebGPU"), "it is not on the GPU any more: {}", visit.device());
    visit.assert_clean();
}

/// What a visitor sees at once is what the first click draws, on any device.
fn the_page_opens_with_a_picture_that_it_draws_again() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=generate&device=cpu");
    visit.browser.wait_for("document.querySelector('.first canvas').width > 1", PATIENCE);
    let shown = visit.picture("#generate .first canvas");
    assert_eq!(visit.browser.eval("document.querySelector('.first').checkVisibility()"), true);
    visit.start(GENERATE);
    visit.finish(GENERATE);
    assert_eq!(visit.nfe(GENERATE), 70, "a quick sampler comes first, guided by a weaker version");
    assert!(visit.hash().contains("&weaker=2&"), "{}", visit.hash());
    let drawn = visit.picture("#generate .gallery canvas");
    let apart = shown.pixels.iter().zip(&drawn.pixels).map(|(a, b)| a.abs_diff(*b)).max();
    figure(format_args!("what is shown and what is drawn: {apart:?} of 255 apart"));
    assert_eq!([shown.width, shown.height], [drawn.width, drawn.height]);
    assert!(apart <= Some(2), "make it again by `scorefield models --pictures web/models`");
    assert_eq!(visit.browser.eval("document.querySelector('.first').checkVisibility()"), false);
    visit.assert_clean();
}

/// Of every model that is shipped, but for those that only guide another; the visitor's own have none.
fn every_model_shows_what_it_draws() {
    let mut visit = Visit::to(site_with(&[PLAIN]), Gpu::None);
    visit.open("#task=generate&device=cpu");
    let named = "document.querySelector('.first figcaption').textContent";
    let models = shipped::manifest().expect("the models");
    let is_guide = |name: &str| models.iter().any(|entry| entry.weaker == Some(name));
    let listed = models.iter().filter(|entry| entry.gives.is_some() && !is_guide(entry.name));
    for Entry { name, card, .. } in listed {
        visit.set("#generate-model", *name);
        visit.browser.wait_for(&format!("{named}.includes('by {name} ')"), PATIENCE);
        let size = visit.browser.eval(
            "[document.querySelector('.first canvas').width, document.querySelector('.first canvas').height]",
        );
        assert_eq!(size, json!([4 * card.width + 3, 4 * card.height + 3]), "{name}");
        assert!(visit.picture("#generate .first canvas").contrast() > 20.0, "{name}");
    }
    visit.set("#generate-model", PLAIN);
    visit.browser.wait_for("document.querySelector('.first').hidden", PATIENCE);
    visit.assert_clean();
}

fn image_comes_into_being_before_the_visitors_eyes() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=generate&model=mnist-vp&sampler=pc&seed=5&count=4&n_steps=12");
    visit.browser.eval(
        "globalThis.frames = new Set();
        const paint = CanvasRenderingContext2D.prototype.putImageData;
        CanvasRenderingContext2D.prototype.putImageData = function (image, ...place) {
            if (this.canvas.closest('.grid')) frames.add(image.data.join());
            return paint.call(this, image, ...place);
        };",
    );
    visit.start(GENERATE);
    visit.finish(GENERATE);
    // Any static host will do: nothing here needs threads, and so none of the headers that they need.
    assert_eq!(visit.browser.eval("crossOriginIsolated"), false);
    // One for each step, and the denoised image.
    assert_eq!(visit.browser.eval("frames.size"), 13);
    let end = visit.grid();
    assert_eq!(visit.browser.eval("document.querySelector('#generate .way input').max"), "12");
    visit.set("#generate .way input", 0);
    let believed = visit.grid();
    assert_ne!(believed, end);
    visit.click("#generate .noisy");
    let noise = visit.grid();
    figure(format_args!(
        "contrast of the first step: {:.0} as believed, {:.0} with its noise",
        believed.contrast(),
        noise.contrast()
    ));
    assert!(noise != believed && noise.contrast() > 20.0);
    visit.set("#generate .way input", 12);
    assert_eq!(visit.grid(), end, "the end has no noise to be shown without");
    for figure in ["Network evaluations", "Per evaluation", "Images per second", "Time"] {
        let figures = visit.text("#generate .figures");
        assert!(figures.contains(figure), "{figures}");
    }
    assert!(!visit.text("#generate .figures").contains('–'), "a figure is missing");
    visit.assert_clean();
}

fn a_link_shows_the_same_picture_again() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=generate&device=cpu&model=mnist-ve&sampler=pc&count=3&n_steps=6");
    visit.set("#seed", 11);
    visit.start(GENERATE);
    visit.finish(GENERATE);
    let picture = visit.grid();
    // Everything is in it, also what was left at its default: defaults may change, a link must not.
    let snr = PredictorCorrector::default().corrector_snr;
    let hash = format!(
        "#task=generate&device=cpu&model=mnist-ve&sampler=pc&seed=11&count=3&n_steps=6&n_corrector=1\
        &corrector_snr={snr}&predictor=reverse_diffusion&corrector=langevin&last_step=denoise&run=1"
    );
    assert_eq!(visit.hash(), hash);
    visit.browser.reopen();
    visit.ready();
    visit.finish(GENERATE);
    assert_eq!(visit.grid(), picture);

    // Another seed, another picture; and its first image does not depend on how many there are.
    visit.run(GENERATE, &hash.replace("seed=11", "seed=12"));
    assert_ne!(visit.grid(), picture);
    visit.run(GENERATE, &hash.replace("count=3", "count=1"));
    let alone = visit.grid();
    let row = |y: usize| &picture.pixels[y * picture.width..][..28];
    let worst = (0..28)
        .flat_map(|y| row(y).iter().zip(&alone.pixels[y * 28..][..28]))
        .map(|(a, b)| a.abs_diff(*b))
        .max();
    figure(format_args!("one image alone and in a batch of three: {worst:?} of 255 apart"));
    assert!(worst <= Some(1), "{worst:?} of 255");
    visit.assert_clean();
}

fn cancel_stops_the_run_and_the_next_one_works() {
    let mut visit = Visit::with(Gpu::Software);
    for device in ["gpu", "cpu"] {
        visit.open(&format!(
            "#task=generate&device={device}&model=mnist-vp&sampler=heun&seed=1&count=2&n_steps=500&run=1"
        ));
        visit.wait_for_step(GENERATE, 2);
        let time = seconds(|| {
            visit.click("#generate .cancel");
            visit.wait(GENERATE);
        });
        figure(format_args!("{device}: cancelled within {time:.2} s"));
        assert_eq!(visit.progress(GENERATE), "Cancelled.");
        assert_eq!(visit.text("#live"), "Cancelled.");
        // Not by putting a new worker in the old one's place, which happens after five seconds.
        assert!(time < 4.0, "cancelled only after {time:.1} s");
        visit.run(
            GENERATE,
            &format!(
                "#task=generate&device={device}&model=mnist-vp&sampler=heun&seed=1&count=1&n_steps=3&run=1"
            ),
        );
        assert_eq!(visit.nfe(GENERATE), 5);
        assert!(visit.device().contains(if device == "gpu" { "WebGPU" } else { "CPU" }));
        visit.assert_clean();
    }
}

fn pictures_can_be_saved() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut visit = Visit::with(Gpu::None);
    visit
        .browser
        .call("Page.setDownloadBehavior", json!({"behavior": "allow", "downloadPath": folder.path()}));
    visit.open("#task=generate&model=mnist-vp&sampler=heun&seed=9&count=4&n_steps=3&run=1");
    visit.finish(GENERATE);
    let grid = visit.grid();
    assert_eq!([grid.width, grid.height], [57, 57]);
    visit.click("#generate .save-grid");
    visit.set("#generate .which", 2);
    visit.click("#generate .save-one");
    // The file's columns and rows, its scale, and where its corner is in the grid.
    for (name, size, scale, left) in
        [("mnist-vp-heun-seed9.png", 57, 17, 0), ("mnist-vp-heun-seed9-2.png", 28, 18, 29)]
    {
        let file = folder.path().join(name);
        let saved = (0..200).find_map(|_| {
            thread::sleep(Duration::from_millis(50));
            image::open(&file).ok()
        });
        let saved = saved.unwrap_or_else(|| panic!("no {name}")).to_luma8();
        assert_eq!(saved.dimensions(), (size * scale, size * scale), "{name}");
        for (x, y, value) in saved.enumerate_pixels() {
            let (column, row) = ((x / scale + left) as usize, (y / scale) as usize);
            // Between the images the canvas is transparent, which has no grey.
            if column != 28 && row != 28 {
                assert_eq!(value.0[0], grid.pixels[row * grid.width + column], "{name} at {x}, {y}");
            }
        }
    }
    visit.assert_clean();
}

fn a_link_that_makes_no_sense_is_told_and_does_not_start() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=generate&model=cifar&sampler=pc&seed=-1&count=4&n_steps=1&rho=7&predictor=euler&run=1");
    let alert = visit.alert();
    for part in ["seed “-1”", "model “cifar”", "is used instead", "n_steps=1", "rho=7", "predictor=euler"]
    {
        assert!(alert.contains(part), "{part} is not in: {alert}");
    }
    assert_eq!(visit.browser.eval("document.querySelector('#generate .start').disabled"), false);
    assert!(!visit.hash().contains("run=1"));
    // What did make sense holds, and the visitor can go on from there.
    assert_eq!(visit.browser.eval("document.querySelector('#count').value"), "4");
    visit.set("#generate [name=n_steps]", 2);
    visit.start(GENERATE);
    visit.finish(GENERATE);
    assert_eq!(visit.nfe(GENERATE), 5);
    visit.assert_clean();
}
