//! Models of the visitor's own: files and folders that are given to the page draw what they draw natively.

use std::path::{Path, PathBuf};

use burn::module::Module;
use pollster::block_on;
use scorefield::model::{Learned, ScoreModel};
use scorefield::network::UNetConfig;
use scorefield::rng::Noise;
use scorefield::run::Run;
use scorefield::sampler::Sampler;
use scorefield::weights::{LoadedModel, ModelFile, Precision, shipped, to_bytes};
use serde_json::{Value, json};

use super::{
    harness::{Gpu, WASM_BYTES},
    models::{self, DIGITS},
    native::{Api, TOLERANCE},
    site::{Site, dist},
    visit::{GENERATE, PATIENCE, Visit},
};
use crate::published::path;
use crate::support::{cpu, figure, lively_unet, options_of, relative_error, small_unet, trials, values};
use crate::weights::card;

trials! {
    cpu: [
        published_folders_draw_on_the_cpu_what_they_draw_natively,
        published_folders_draw_on_webgpu_what_they_draw_natively,
        a_file_of_ours_is_a_model_too,
        weights_are_in_memory_once,
        what_does_not_fit_is_told_in_one_sentence,
        limits_of_the_adapter_are_named_before_anything_is_drawn,
        a_model_can_be_chosen_kept_and_forgotten_by_keyboard,
        a_model_of_classes_alone_is_asked_for_one,
        a_folder_can_be_dropped_anywhere,
    ],
}

const FOLDER: [&str; 3] = ["config.json", "scheduler_config.json", "diffusion_pytorch_model.safetensors"];

/// What a sampler of five evaluations is given by those who draw a fixture.
struct Drawing {
    loaded: LoadedModel,
    class: Option<usize>,
    sampler: Sampler,
}

impl Drawing {
    fn of(file: ModelFile) -> Self {
        let learned = file.card.learned().expect("a score model");
        let sampler = Sampler::usual_for(learned).expect("a sampler").within(5).expect("five evaluations");
        let class = (learned == Learned::Consistency).then_some(3);
        Self { loaded: file.load(&cpu()).expect("a model"), class, sampler }
    }

    fn request(&self, model: &str) -> Value {
        let options = Value::Object(options_of(&self.sampler));
        let name = self.sampler.info().name;
        json!({
            "model": model, "sampler": name, "options": options, "seed": 7, "count": 2, "class": self.class,
        })
    }

    fn model(&self) -> ScoreModel {
        match self.class {
            Some(class) => self.loaded.class_model(class, 1.0).expect("a class"),
            None => self.loaded.score_model().expect("any class"),
        }
    }

    fn images(&self) -> Vec<f32> {
        let (noise, run) = (Noise::new(7), &mut Run::default());
        values(block_on(self.sampler.sample(&self.model(), &noise, 2, run)).expect("images").images)
    }
}

fn fixture(name: &str) -> ModelFile {
    shipped::open(path(name).to_str().expect("UTF-8")).expect("a fixture")
}

/// The built page, with the fixtures below `fixtures/` and a file of ours.
fn site() -> Site {
    Site::serve_altered(dist().expect("a built page"), alter)
}

fn alter(asked: &str, bytes: Option<Vec<u8>>) -> Option<Vec<u8>> {
    match asked.strip_prefix("fixtures/") {
        Some("ours.safetensors") => Some(models::file(DIGITS)),
        Some(file) => std::fs::read(path(file)).ok(),
        None => bytes,
    }
}

/// A script whose value is what `engine.add` makes of files of the fixtures: `[path here, path for the engine]`.
fn add(files: &[[String; 2]]) -> String {
    format!(
        "const files = await Promise.all({}.map(async ([from, path]) => ({{
            path, blob: await (await fetch(`fixtures/${{from}}`)).blob(),
        }})));
        const model = await engine.add(files)",
        json!(files)
    )
}

/// The files of a fixture, as chosen by their folder.
fn folder(name: &str) -> Vec<[String; 2]> {
    let file = |file: &&str| [format!("{name}/{file}"), format!("{name}/{file}")];
    FOLDER.iter().map(file).collect()
}

#[track_caller]
fn draws_the_native_picture(api: &mut Api, name: &str, script: &str, drawing: &Drawing) {
    let found =
        api.browser.eval(&format!("{script}; [model.name, model.own, engine.models.at(-1) === model]"));
    assert_eq!(found, json!([name, true, true]));
    let mut request = drawing.request(name);
    if drawing.class.is_none() {
        request.as_object_mut().expect("an object").remove("class");
    }
    let (_, _, images) = api.call("sample", &request);
    let expected = drawing.images();
    let error = relative_error(&images, &expected);
    figure(format_args!("{name}, given to the page, {request}: {error:.1e}"));
    assert!(error < TOLERANCE, "{name}: {error:.1e}");
}

fn published_folders_draw_on_the_cpu_what_they_draw_natively() {
    let mut api = Api::at(site(), "cpu", Gpu::None);
    for name in ["diffusers_ddpm", "diffusers_ncsnpp", "diffusers_cm"] {
        draws_the_native_picture(&mut api, name, &add(&folder(name)), &Drawing::of(fixture(name)));
    }
    // The same files once more are the same model.
    let again = format!("{}; engine.models.filter(({{ own }}) => own).length", add(&folder("diffusers_cm")));
    assert_eq!(api.browser.eval(&again), 3);
    // Of a name that is taken already another one is made; a removed model is unknown.
    let mut renamed = folder("diffusers_ncsnpp");
    for [_, to] in &mut renamed {
        *to = to.replace("diffusers_ncsnpp", "diffusers_ddpm");
    }
    draws_the_native_picture(
        &mut api,
        "diffusers_ddpm-2",
        &add(&renamed),
        &Drawing::of(fixture("diffusers_ncsnpp")),
    );
    let request = Drawing::of(fixture("diffusers_cm")).request("diffusers_cm");
    let gone =
        format!("engine.remove('diffusers_cm'); await engine.sample({request}).catch(({{ code }}) => code)");
    assert_eq!(api.browser.eval(&gone), "request");
    api.browser.assert_console_clean();
}

fn published_folders_draw_on_webgpu_what_they_draw_natively() {
    let mut api = Api::at(site(), "gpu", Gpu::Software);
    for name in ["diffusers_ddpm", "diffusers_cm"] {
        draws_the_native_picture(&mut api, name, &add(&folder(name)), &Drawing::of(fixture(name)));
    }
    // A fallback would have drawn the same.
    assert_eq!(api.browser.eval("engine.device.kind"), "gpu");
    api.browser.assert_console_clean();
}

fn a_file_of_ours_is_a_model_too() {
    let mut api = Api::at(site(), "cpu", Gpu::None);
    let drawing = Drawing::of(ModelFile::parse("ours", &models::file(DIGITS)).expect("a model"));
    let files = ["ours.safetensors", "my own model (1).safetensors"].map(String::from);
    draws_the_native_picture(&mut api, "my-own-model-1", &add(&[files]), &drawing);
    api.browser.assert_console_clean();
}

/// A file of ours with 5 MB in its largest weight.
fn large() -> Vec<u8> {
    let config = UNetConfig { channels: 128, multipliers: vec![1, 2], blocks: 2, ..small_unet() };
    let network = lively_unet(&config, 1, 3, &cpu()).no_grad();
    to_bytes(&network, &card(&config), Precision::F32).expect("a file")
}

/// The page with [`large`] below `fixtures/`, and `script` before the one that watches the GPU.
fn large_site(script: &'static str) -> Site {
    let file = large();
    Site::serve_altered(dist().expect("a built page"), move |asked, bytes| match asked {
        "fixtures/large.safetensors" => Some(file.clone()),
        "engine/wgpu-shim.js" => Some([script.as_bytes(), &bytes?].concat()),
        _ => alter(asked, bytes),
    })
}

fn add_large() -> String {
    add(&[["large.safetensors", "large.safetensors"].map(String::from)])
}

/// Loading a file as a whole would take twice its weights, and wasm never gives memory back.
fn weights_are_in_memory_once() {
    let mut api = Api::at(large_site(""), "cpu", Gpu::None);
    let wasm = |api: &mut Api| api.browser.eval_in_worker(WASM_BYTES).as_f64().expect("bytes");
    let before = wasm(&mut api);
    let weights =
        api.browser.eval(&format!("{}; await engine.load(model.name); model.memory.weights", add_large()));
    let (weights, grown) = (weights.as_f64().expect("bytes"), wasm(&mut api) - before);
    figure(format_args!("{:.0} MB of weights take {:.0} MB of wasm memory", weights / 1e6, grown / 1e6));
    assert!(weights > 2e7 && grown < 1.5 * weights, "{weights} bytes of weights take {grown}");
    api.browser.assert_console_clean();
}

fn what_does_not_fit_is_told_in_one_sentence() {
    let mut api = Api::at(site(), "cpu", Gpu::None);
    let [config, scheduler, weights] = FOLDER.map(|file| {
        let from = format!("diffusers_ddpm/{file}");
        [from, file.to_owned()]
    });
    let other = ["diffusers_cm/diffusion_pytorch_model.safetensors".to_owned(), weights[1].clone()];
    let text = ["README.md".to_owned(), "photo.png".to_owned()];
    let pickle = ["README.md".to_owned(), "model.ckpt".to_owned()];
    let broken = ["README.md".to_owned(), "mine.safetensors".to_owned()];
    for (files, words) in [
        (vec![], "has no weights"),
        (vec![text], "has no weights"),
        (vec![config.clone(), scheduler.clone()], "has no weights"),
        (vec![weights.clone()], "add the config.json"),
        (vec![config.clone(), weights], "add the scheduler_config.json"),
        (vec![config, scheduler, other], "belong to the same published network"),
        (vec![pickle], "is a pickle, which is a program"),
        (vec![broken], "not a whole safetensors file"),
    ] {
        let script = format!(
            "await (async () => {{ {} }})().then(() => 'worked', (e) => `${{e.code}}: ${{e.message}}`)",
            add(&files)
        );
        let answer = api.browser.eval(&script);
        let answer = answer.as_str().expect("text");
        assert!(answer.starts_with("weights: ") && answer.contains(words), "{files:?}: {answer}");
        assert!(!answer.contains('\n') && !answer.contains(". "), "{answer}");
    }
    let cancelled =
        "await engine.add([{ path: 'a', blob: new Blob(['a']) }], { signal: AbortSignal.abort() })
        .catch((e) => e.code)";
    assert_eq!(api.browser.eval(cancelled), "cancelled");
    assert_eq!(api.browser.eval("engine.models.filter(({ own }) => own).length"), 0);
    api.browser.assert_console_clean();
}

/// A browser that says its GPU takes no more than 4 MB in one piece. It takes more, as WebGPU promises, so all else works.
fn limits_of_the_adapter_are_named_before_anything_is_drawn() {
    const LIMIT: &str = "for (const prototype of [self.GPUSupportedLimits?.prototype].filter(Boolean))
        Object.defineProperty(prototype, 'maxStorageBufferBindingSize', { get: () => 4e6 });\n";
    let mut api = Api::at(large_site(LIMIT), "gpu", Gpu::Software);
    // A layer of one image takes 33 kB.
    let request = json!({"model": "diffusers_ddpm", "sampler": "heun", "count": 200});
    let many = format!(
        "{}; await engine.sample({request}).then(() => 'drawn', (e) => `${{e.code}}: ${{e.message}}`)",
        add(&folder("diffusers_ddpm"))
    );
    assert_eq!(
        api.browser.eval(&many),
        "request: 200 images need 6.6 MB in one piece, more than the GPU's maxStorageBufferBindingSize of 4.0 MB; \
         ask for at most 122, or use the CPU"
    );
    assert_eq!(api.browser.eval("engine.device.kind"), "gpu");
    // What the GPU cannot hold the CPU draws.
    let drawing = Drawing::of(ModelFile::parse("large", &large()).expect("a model"));
    draws_the_native_picture(&mut api, "large", &add_large(), &drawing);
    let reason = api.browser.eval("engine.device.reason");
    let reason = reason.as_str().expect("a sentence");
    assert!(reason.contains("a weight of large takes 5.0 MB"), "{reason}");
    assert!(reason.contains("more than its maxStorageBufferBindingSize of 4.0 MB"), "{reason}");
    assert!(reason.ends_with("so the CPU has taken over."), "{reason}");
    api.browser.assert_console_clean();
}

const OPEN: &str = "document.querySelector('#own-models').open";
const OPTIONS: &str = "Array.from(document.querySelector('#generate-model optgroup[label=Yours]').children, (option) => option.text)";

fn paths(name: &str) -> Vec<PathBuf> {
    FOLDER.iter().map(|file| path(name).join(file)).collect()
}

/// Opens the dialog as a visitor does without a mouse, from the field for the model.
fn open_dialog(visit: &mut Visit) {
    visit.browser.eval("document.querySelector('#generate-model').focus()");
    visit.browser.press("End", 35);
    visit.browser.wait_for(OPEN, PATIENCE);
}

fn choose(visit: &mut Visit, files: &[PathBuf]) {
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    visit.browser.choose_files("#own-models input.files", &files);
}

/// Presses Tab until the button is reached, and then Enter.
#[track_caller]
fn press_button(visit: &mut Visit, selector: &str) {
    let there = format!("document.activeElement.matches({})", json!(selector));
    for _ in 0..12 {
        if visit.browser.eval(&there) == true {
            return visit.browser.press("Enter", 13);
        }
        visit.browser.press("Tab", 9);
    }
    panic!("no way by Tab to {selector}");
}

fn a_model_can_be_chosen_kept_and_forgotten_by_keyboard() {
    let drawing = Drawing::of(fixture("diffusers_ddpm"));
    let mut visit = Visit::to(site(), Gpu::None);
    let settings = "sampler=heun&seed=7&count=2&n_steps=3";
    visit.open(&format!("#task=generate&device=cpu&model=mnist-vp&{settings}"));
    assert_eq!(visit.browser.eval(OPTIONS), json!(["Your model…"]));

    // What is refused leaves everything as it was.
    open_dialog(&mut visit);
    choose(&mut visit, &paths("diffusers_ddpm")[..1]);
    let refusal = "document.querySelector('#own-models .refusal').textContent";
    visit.browser.wait_for(&format!("{refusal} != ''"), PATIENCE);
    assert!(
        visit.text("#own-models .refusal").contains("has no weights"),
        "{}",
        visit.text("#own-models .refusal")
    );
    visit.browser.press("Escape", 27);
    visit.browser.wait_for(&format!("!{OPEN}"), PATIENCE);
    assert_eq!(visit.browser.eval("document.activeElement.id"), "generate-model");
    assert!(visit.hash().contains("model=mnist-vp"), "{}", visit.hash());

    open_dialog(&mut visit);
    assert_eq!(visit.text("#own-models .refusal"), "");
    choose(&mut visit, &paths("diffusers_ddpm"));
    visit.browser.wait_for("document.activeElement.matches('#own-models .use')", PATIENCE);
    let facts = visit.text("#own-models .facts");
    for fact in ["U-Net", "16 x 16 pixels, in colour", "not stated", "1.0 MB"] {
        assert!(facts.contains(fact), "{fact}: {facts}");
    }
    press_button(&mut visit, "#own-models .keep");
    visit
        .browser
        .wait_for("/It is kept/.test(document.querySelector('#own-models .own-list').textContent)", PATIENCE);
    press_button(&mut visit, "#own-models .use");
    visit.browser.wait_for(&format!("!{OPEN}"), PATIENCE);
    assert_eq!(visit.browser.eval(OPTIONS).as_array().expect("options").len(), 2);

    visit.listen();
    visit.start(GENERATE);
    visit.finish(GENERATE);
    let sampler = Sampler::with_options("heun", json!({"n_steps": 3}).as_object().expect("options"));
    let native = Drawing { sampler: sampler.expect("heun"), ..drawing }.images();
    let error = relative_error(&visit.heard().1, &native);
    assert!(error < TOLERANCE, "{error:.1e}");
    let picture = visit.grid();
    assert!(visit.hash().contains("model=own-model&"), "{}", visit.hash());

    // Another engine, and another visit, have it too.
    visit.set("#device", "auto");
    visit.browser.wait_for("document.querySelector('#generate-model').value == 'own-model'", PATIENCE);
    visit.browser.reopen();
    visit.ready();
    visit.start(GENERATE);
    visit.finish(GENERATE);
    assert_eq!(visit.grid(), picture);
    assert_eq!(visit.alert(), "");

    open_dialog(&mut visit);
    assert_eq!(visit.browser.eval("document.querySelector('#own-models .keep').hidden"), true);
    press_button(&mut visit, "#own-models .forget");
    visit.browser.wait_for("document.querySelector('#own-models .own-list').children.length == 0", PATIENCE);
    visit.browser.press("Escape", 27);
    assert_eq!(visit.browser.eval(OPTIONS), json!(["Your model…"]));
    assert_eq!(visit.browser.eval("document.querySelector('#generate-model').value"), "mnist-vp");
    visit.open(&format!("#task=generate&device=cpu&model=own-model&{settings}"));
    assert!(visit.alert().contains("the model “own-model”, which is not here"), "{}", visit.alert());
    visit.browser.assert_console_clean();
}

fn a_model_of_classes_alone_is_asked_for_one() {
    let mut visit = Visit::to(site(), Gpu::None);
    visit.open("#task=generate&device=cpu&model=mnist-vp&sampler=pc&seed=7&count=2");
    open_dialog(&mut visit);
    choose(&mut visit, &paths("diffusers_cm"));
    visit.browser.wait_for("document.activeElement.matches('#own-models .use')", PATIENCE);
    assert!(visit.text("#own-models .facts").contains("5, of which one has to be chosen"));
    visit.browser.press("Enter", 13);
    visit.browser.wait_for(&format!("!{OPEN}"), PATIENCE);
    let classes = "Array.from(document.querySelector('#generate [name=class]').options, (option) => option.text).join()";
    assert_eq!(visit.browser.eval(classes), "Each in turn,0,1,2,3,4");
    assert_eq!(visit.browser.eval("document.querySelector('#generate [name=guidance]')"), Value::Null);
    visit.listen();
    visit.start(GENERATE);
    visit.finish(GENERATE);
    assert_eq!(visit.heard().0["classes"], json!([0, 1]));
    visit.set("#generate [name=class]", "0");
    visit.start(GENERATE);
    visit.finish(GENERATE);
    let (request, images) = visit.heard();
    assert_eq!([&request["class"], &request["sampler"]], [&json!(0), &json!("multistep")]);
    let drawing = Drawing { class: Some(0), ..Drawing::of(fixture("diffusers_cm")) };
    let options = request["options"].as_object().expect("options");
    let sampler = Sampler::with_options("multistep", options).expect("a sampler");
    let error = relative_error(&images, &Drawing { sampler, ..drawing }.images());
    assert!(error < TOLERANCE, "{error:.1e}");
    visit.assert_clean();
}

fn a_folder_can_be_dropped_anywhere() {
    let mut visit = Visit::to(site(), Gpu::None);
    visit.open("#task=generate&device=cpu&model=mnist-vp&sampler=pc&seed=7&count=2");
    let data = json!({"items": [], "files": [path("diffusers_ncsnpp")], "dragOperationsMask": 1});
    for kind in ["dragEnter", "dragOver", "drop"] {
        visit
            .browser
            .call("Input.dispatchDragEvent", json!({"type": kind, "x": 200, "y": 300, "data": data}));
    }
    visit.browser.wait_for("document.activeElement.matches('#own-models .use')", PATIENCE);
    assert!(
        visit.text("#own-models h3").starts_with("diffusers_ncsnpp,"),
        "{}",
        visit.text("#own-models h3")
    );
    visit.assert_clean();
}
