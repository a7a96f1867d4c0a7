//! Images of one class, in the task "Generate".

use pollster::block_on;
use scorefield::control::{guided_by, led_on};
use scorefield::rng::Noise;
use scorefield::run::Run;
use scorefield::sampler::Sampler;
use scorefield::weights::{LoadedClassifier, ModelFile, shipped};
use serde_json::json;

use super::{
    harness::Gpu,
    models::{self, DIGITS, KINDS, PLAIN},
    native::TOLERANCE,
    visit::{GENERATE, Visit},
};
use crate::support::{cpu, figure, relative_error, trials, values};

trials! {
    cpu: [
        a_class_can_be_chosen_where_the_model_has_learned_classes,
        a_class_is_drawn_as_natively_and_is_part_of_the_link,
        each_class_in_turn_is_drawn_as_natively_and_is_part_of_the_link,
        a_model_that_is_told_the_class_is_led_on_as_natively,
        a_link_to_a_class_that_is_not_there_is_told,
        a_classifier_guides_a_model_that_knows_no_classes_as_natively,
        a_classifier_guides_on_the_gpu_too,
    ],
}

const STEPS: &str = "device=cpu&sampler=pc&seed=5&count=3&n_steps=4";

fn a_class_can_be_chosen_where_the_model_has_learned_classes() {
    let mut visit = Visit::to(models::site_with(&[PLAIN, DIGITS, KINDS]), Gpu::None);
    visit.open(&format!("#task=generate&model={PLAIN}&{STEPS}"));
    let fields = "['class', 'guidance'].map((name) => {
        const field = document.querySelector(`#generate [name=${name}]`);
        return field?.checkVisibility() ? field.closest('.field').querySelector('label').textContent : null;
    })";
    let choices =
        "Array.from(document.querySelector('#generate [name=class]').options, (o) => o.text).join()";
    assert_eq!(visit.browser.eval(fields), json!([null, null]));
    visit.set("#generate-model", DIGITS);
    assert_eq!(visit.browser.eval(fields), json!(["Digit", "Guidance"]));
    assert_eq!(visit.browser.eval(choices), "Each in turn,Any,0,1,2,3,4,5,6,7,8,9");
    visit.set("#generate [name=class]", "9");
    assert_eq!(visit.browser.eval(fields), json!(["Digit", "Guidance"]));
    // Another model has other classes.
    visit.set("#generate-model", KINDS);
    assert_eq!(visit.browser.eval(fields), json!(["Class", "Guidance"]));
    assert_eq!(visit.browser.eval(choices), "Each in turn,Any,boat,moon,tree");
    visit.set("#generate [name=class]", "2");
    visit.set("#generate [name=class]", "");
    assert_eq!(visit.browser.eval(fields), json!(["Class", null]));
    visit.set("#generate-model", PLAIN);
    assert_eq!(visit.browser.eval(fields), json!([null, null]));
    visit.assert_clean();
}

fn a_class_is_drawn_as_natively_and_is_part_of_the_link() {
    let mut visit = Visit::to(models::site_with(&[DIGITS]), Gpu::None);
    let sampler = Sampler::with_options("pc", json!({"n_steps": 4}).as_object().expect("options"));
    let sampler = sampler.expect("a sampler");
    let loaded = models::native(DIGITS);
    visit.open(&format!("#task=generate&model={DIGITS}&{STEPS}"));
    let chosen = "document.querySelector('#generate [name=class]').value";
    assert_eq!(visit.browser.eval(chosen), "", "a link without a class is to any");
    visit.listen();
    for (class, guidance, evaluations) in [(None, 1.0, 9), (Some(3), 1.0, 9), (Some(3), 2.5, 18)] {
        visit.set("#generate [name=class]", class.map_or(String::new(), |class| class.to_string()));
        if class.is_some() {
            visit.set("#generate [name=guidance]", guidance);
        }
        visit.start(GENERATE);
        visit.finish(GENERATE);
        let model = match class {
            Some(class) => loaded.class_model(class, guidance).expect("a class"),
            None => loaded.score_model().unwrap(),
        };
        let native =
            block_on(sampler.sample(&model, &Noise::new(5), 3, &mut Run::default())).expect("images");
        let error = relative_error(&visit.heard().1, &values(native.images));
        figure(format_args!("class {class:?}, guidance {guidance}: {error:.1e}"));
        assert!(error < TOLERANCE, "class {class:?}, guidance {guidance}: {error:.1e}");
        assert_eq!((visit.nfe(GENERATE), native.nfe), (evaluations, evaluations));
        assert_eq!(visit.hash().contains("&class=3&guidance="), class.is_some(), "{}", visit.hash());
    }

    let guided = visit.grid();
    assert!(visit.hash().contains("&class=3&guidance=2.5&"), "{}", visit.hash());
    visit.browser.reopen();
    visit.ready();
    visit.finish(GENERATE);
    assert_eq!(visit.grid(), guided, "the link shows other images");
    visit.set("#generate [name=class]", "4");
    visit.start(GENERATE);
    visit.finish(GENERATE);
    assert_ne!(visit.grid(), guided, "another class is the same picture");
    visit.assert_clean();
}

/// What a model with classes draws where nobody has chosen one.
fn each_class_in_turn_is_drawn_as_natively_and_is_part_of_the_link() {
    let mut visit = Visit::to(models::site_with(&[KINDS]), Gpu::None);
    let loaded = models::native(KINDS);
    visit.open(&format!("#task=generate&model={PLAIN_MODEL}&device=cpu&sampler=pc&seed=5&count=5&n_steps=4"));
    visit.set("#generate-model", KINDS);
    visit.listen();
    visit.start(GENERATE);
    visit.finish(GENERATE);
    assert!(visit.hash().contains("&class=each&guidance=1&"), "{}", visit.hash());
    let sampler = Sampler::with_options("pc", json!({"n_steps": 4}).as_object().expect("options"));
    let model = loaded.classes_model(vec![0, 1, 2, 0, 1], 1.0).expect("classes");
    let sampler = sampler.expect("a sampler");
    let native = block_on(sampler.sample(&model, &Noise::new(5), 5, &mut Run::default())).expect("images");
    let error = relative_error(&visit.heard().1, &values(native.images));
    figure(format_args!("each class in turn: {error:.1e}"));
    assert!(error < TOLERANCE, "{error:.1e}");
    let drawn = visit.grid();
    visit.browser.reopen();
    visit.ready();
    visit.finish(GENERATE);
    assert_eq!(visit.grid(), drawn, "the link shows other images");
    // A model that has learned none has no turns.
    visit.open(&format!("#task=generate&model={PLAIN_MODEL}&class=each&{STEPS}"));
    assert!(visit.alert().contains("asks for each class"), "{}", visit.alert());
    visit.browser.assert_console_clean();
}

/// Its weaker version knows of no classes, and leads it on only where it is told one.
fn a_model_that_is_told_the_class_is_led_on_as_natively() {
    let mut visit = Visit::with(Gpu::None);
    visit.open(&format!(
        "#task=generate&model={PLAIN_MODEL}&device=cpu&sampler=heun&seed=5&count=3&n_steps=3"
    ));
    visit.set("#generate-model", "mnist-class-vp");
    let field = "document.querySelector('#generate .weaker-field').childElementCount";
    assert_eq!(visit.browser.eval(field), 1);
    visit.listen();
    visit.start(GENERATE);
    visit.finish(GENERATE);
    assert!(visit.hash().contains("&class=each&guidance=1&weaker=1.25&"), "{}", visit.hash());
    assert_eq!(visit.nfe(GENERATE), 10);
    let load = |name| shipped::open(name).expect("it is shipped").load(&cpu()).expect("a model");
    let (told, weaker) = (load("mnist-class-vp"), load("mnist-weak"));
    let classes = [0, 1, 2];
    let model = led_on(told.asked(Some(&classes), 1.0).expect("classes"), &weaker, Some(&classes), 1.25);
    let sampler = Sampler::with_options("heun", json!({"n_steps": 3}).as_object().expect("options"));
    let (model, sampler) = (model.expect("a model"), sampler.expect("a sampler"));
    let native = block_on(sampler.sample(&model, &Noise::new(5), 3, &mut Run::default())).expect("images");
    let error = relative_error(&visit.heard().1, &values(native.images));
    figure(format_args!("led on: {error:.1e}"));
    assert!(error < TOLERANCE, "{error:.1e}");
    visit.set("#generate [name=class]", "");
    assert_eq!(visit.browser.eval(field), 0);
    visit.assert_clean();
}

/// A shipped model without classes.
const PLAIN_MODEL: &str = "mnist-vp";

fn a_classifier_guides_a_model_that_knows_no_classes_as_natively() {
    check_guidance(Gpu::None, "cpu");
}

fn a_classifier_guides_on_the_gpu_too() {
    check_guidance(Gpu::Software, "gpu");
}

/// The shipped model and the shipped classifier, whose task has the field although the model has no classes.
fn check_guidance(gpu: Gpu, device: &str) {
    const STEPS: &str = "sampler=euler_maruyama&seed=5&count=2&n_steps=3";
    let mut visit = Visit::to(models::site_with(&[]), gpu);
    visit.open(&format!("#task=generate&model=mnist-vp&device={device}&{STEPS}"));
    visit.listen();
    visit.set("#generate [name=class]", "3");
    visit.set("#generate [name=guidance]", 2);
    visit.start(GENERATE);
    visit.finish(GENERATE);
    let options = json!({"n_steps": 3});
    let sampler = Sampler::with_options("euler_maruyama", options.as_object().expect("options"));
    let file = ModelFile::parse("c", shipped::bytes("mnist-classifier").expect("it is shipped"));
    let classifier = LoadedClassifier::new(file.expect("a file"), &cpu()).expect("a classifier");
    let model = models::native("mnist-vp").score_model().unwrap();
    let model = guided_by(classifier, model, 3, 2.0).expect("a class");
    let images = sampler.expect("a sampler");
    let native = block_on(images.sample(&model, &Noise::new(5), 2, &mut Run::default())).expect("images");
    let error = relative_error(&visit.heard().1, &values(native.images));
    figure(format_args!("a classifier guides on the {device}: {error:.1e}"));
    assert!(error < TOLERANCE, "off by {error:.1e}");
    assert_eq!(visit.nfe(GENERATE), native.nfe);
    assert!(visit.hash().contains("&class=3&guidance=2&"), "{}", visit.hash());
    visit.assert_clean();
}

fn a_link_to_a_class_that_is_not_there_is_told() {
    let mut visit = Visit::to(models::site_with(&[PLAIN, KINDS]), Gpu::None);
    for (model, words) in [(PLAIN, "has learned no classes"), (KINDS, "has the classes 0 to 2")] {
        visit.open(&format!("#task=generate&model={model}&class=3&{STEPS}&run=1"));
        assert!(visit.alert().contains(words), "{}", visit.alert());
        assert!(!visit.hash().contains("run=1") && !visit.hash().contains("class=3"), "{}", visit.hash());
    }
    visit.browser.assert_console_clean();
}
