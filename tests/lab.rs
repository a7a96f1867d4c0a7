//! The laboratory: every lesson shows, and an experiment is made from what its setup says.

use std::fs;
use std::path::Path;

use pollster::block_on;
use scorefield::cancel::CancelToken;
use scorefield::lab::measure::{by_level, energy_distance, fisher_divergence, judge};
use scorefield::lab::{Lab, Mode, Point, Setup, Square, World, lessons};
use scorefield::run::Run;
use scorefield::sampler::Sampler;
use scorefield::toy::Toy;

use crate::support::{cpu, figure, trials};

trials! {
    cpu: [
        every_lesson_shows,
        a_setup_is_its_json,
        what_is_drawn_is_a_world,
        losses_by_level_are_those_of_the_gaussian,
        paths_lead_where_the_world_is,
        a_square_is_a_picture,
        what_is_only_drawn_otherwise_is_learned_alike,
        modes_are_those_of_round_worlds,
        words_are_worlds,
        what_the_page_remembers_was_learned,
        what_makes_no_experiment_is_refused,
        a_lesson_can_be_stopped,
    ],
}

fn every_lesson_shows() {
    for name in lessons::NAMES {
        let lab = Lab::new(lessons::setup(name).unwrap(), &cpu()).unwrap();
        for number in block_on(lessons::measure(name, &lab, &CancelToken::default())).unwrap() {
            figure(format_args!("{name}: {number:?}"));
            assert!(number.holds(), "{name}: {number:?}");
        }
    }
}

fn a_setup_is_its_json() {
    for name in lessons::NAMES {
        let setup = lessons::setup(name).unwrap();
        let text = serde_json::to_string(&setup).unwrap();
        assert_eq!(serde_json::from_str::<Setup>(&text).unwrap(), setup, "{text}");
    }
    // What is left out is as usual, what is unknown an error.
    let few: Setup = serde_json::from_str(r#"{"world": {"toy": "ring"}, "count": 7}"#).unwrap();
    assert_eq!(few, Setup { world: World::Toy(Toy::Ring), count: 7, ..Setup::default() });
    assert!(serde_json::from_str::<Setup>(r#"{"wrld": {"toy": "ring"}}"#).is_err());
}

/// Of one Gaussian of variance `v` the least loss is `2·v/(v + sigma²)` in the plane, and the true score has it; a network
/// that has learned nothing says "zero" of the clean point times its scaling, and loses more.
fn losses_by_level_are_those_of_the_gaussian() {
    let (n, v) = (4000, 2.25_f64);
    let world = World::Modes(vec![Mode { weight: 1.0, at: [0.0, 0.0], std: v.sqrt() }]);
    let lab = Lab::new(Setup { world, ..Setup::default() }, &cpu()).unwrap();
    let levels = [0.1, 1.0, 5.0];
    let told = block_on(by_level(&lab.true_model(), &lab.truth, &levels, (1, n))).unwrap();
    for (level, sigma) in told.iter().zip(levels) {
        let least = 2.0 * v / (v + sigma * sigma);
        // A sum of two squares over n points: five standard errors.
        assert!((level.least / least - 1.0).abs() < 5.0 / (n as f64).sqrt(), "{level:?}");
        assert!((level.loss - level.least).abs() < 1e-5 && level.sigma == sigma, "{level:?}");
    }
    let wrong = lab.model(Box::new(Toy::Ring.mixture().unwrap()));
    let wrong = block_on(by_level(&wrong, &lab.truth, &levels, (1, n))).unwrap();
    assert!(wrong.iter().all(|level| level.loss > level.least + 0.01), "{wrong:?}");
}

/// Of eight narrow modes: the density integrates to one and is that of the formula, a point comes back, noises are led onto the
/// modes, and what was drawn is judged by distance and by weights.
fn paths_lead_where_the_world_is() {
    let setup = Setup { world: World::Toy(Toy::EightGaussians), half: 6.0, ..Setup::default() };
    let lab = Lab::new(setup, &cpu()).unwrap();
    let (model, run) = (lab.true_model(), &mut Run::default());
    let densities = block_on(lab.densities(&model, 60, run)).unwrap();
    figure(format_args!("integral {:.4}, error {:.4} nats", densities.integral, densities.error));
    assert!((densities.integral - 1.0).abs() < 0.02 && densities.error < 0.05, "{densities:?}");
    assert!(densities.nfe > 50 && densities.found.len() == 3600);

    let x = [3.9, 0.2];
    let trip = block_on(lab.round_trip(&model, x, run)).unwrap();
    let off = (trip.back[0] - x[0]).hypot(trip.back[1] - x[1]);
    assert!(off < 0.01 && trip.nfe > 20 && trip.code.iter().all(|z| z.abs() < 4.0), "{trip:?}");

    let leap = block_on(lab.leap(&model, 9, run)).unwrap();
    let centres = lab.setup.world.centres();
    let to_mode = |x: &Point| centres.iter().map(|c| (x[0] - c[0]).hypot(x[1] - c[1])).fold(9.0, f64::min);
    // In the middle, where eight ways part, a noise may be led between two modes.
    let near = leap.to.iter().filter(|x| to_mode(x) < 0.8).count();
    assert!(near >= 76 && leap.from.len() == 81 && leap.nfe > 20, "{near} of 81, {} evaluations", leap.nfe);

    let exact = judge(&lab, &lab.noisy(0.0, 3000), 0.0);
    assert!(exact.distance.abs() < 0.05 && exact.weights.len() == 8, "{exact:?}");
    assert!(exact.weights.iter().all(|w| (w.mean - 0.125).abs() < 5.0 * w.error), "{exact:?}");
    let wrong = judge(&lab, &[[4.0, 0.0]; 500], 0.0);
    assert!(wrong.distance > 1.0 && wrong.floor.abs() < 0.05 && wrong.weights[0].mean == 1.0, "{wrong:?}");
}

/// Rows from the top left, as pictures have them; more noise shows a larger square, in which the noise fits.
fn a_square_is_a_picture() {
    let points = Square { half: 3.0, places: 3 }.points();
    assert_eq!((points[0], points[1], points[3]), ([-2.0, 2.0], [0.0, 2.0], [-2.0, 0.0]));
    assert_eq!(Square { half: 3.0, places: 3 }.field(), 4.0);
    let lab = Lab::new(Setup { half: 3.0, ..Setup::default() }, &cpu()).unwrap();
    assert!((lab.seen(4.0, 5).half - 5.0).abs() < 1e-12);
    assert_eq!(lab.points(&lab.values(&[[1.5, -3.0]])), [[1.5, -3.0]]);
}

fn what_is_only_drawn_otherwise_is_learned_alike() {
    let usual = Setup::default();
    let sampler = Sampler::named("ddim").unwrap();
    assert!(usual.learns_like(&Setup { sampler, half: 3.0, count: 5, ..Setup::default() }));
    for other in [
        Setup { seed: 1, ..Setup::default() },
        Setup { steps: 7, ..Setup::default() },
        Setup { world: World::Toy(Toy::Ring), ..Setup::default() },
    ] {
        assert!(!usual.learns_like(&other));
    }
}

/// Modes can be taken hold of where they are few and round.
fn modes_are_those_of_round_worlds() {
    let modes = World::default().modes();
    assert_eq!(modes.len(), 2);
    assert!((modes[0].weight - 0.2).abs() < 1e-12 && modes[0].at == [-5.0, -5.0] && modes[0].std == 1.0);
    assert_eq!(World::Toy(Toy::EightGaussians).modes().len(), 8);
    for many_or_long in [Toy::Checkerboard, Toy::Line, Toy::TwoMoons] {
        assert!(World::Toy(many_or_long).modes().is_empty());
    }
}

/// The files in `web/lab/` are those of today's experiments: what they say is as good as what the lessons learn anew. The
/// third, of all noise levels, misses at most .02 of the square of the score there.
fn what_the_page_remembers_was_learned() {
    for (name, setup) in lessons::kept() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("web/lab/{name}.f16"));
        let bytes = fs::read(path).unwrap();
        let lab = Lab::new(setup, &cpu()).unwrap();
        let model = lab.so_far(&lab.remembered(&bytes).unwrap());
        match name {
            "one_step" => {
                let (points, _) = block_on(lab.draw(&model, &mut Run::default())).unwrap();
                let off = energy_distance(&points, &lab.exact());
                figure(format_args!("{name}: {off}"));
                assert!(off < 0.4, "{off}");
            }
            _ => {
                let sigma = if name == "own" { 0.5 } else { 0.05 };
                let off = block_on(fisher_divergence(&model, &lab.truth, sigma, (3, 2000))).unwrap();
                figure(format_args!("{name}: {off}"));
                assert!(off < 0.02, "{name}: {off}");
            }
        }
        assert!(lab.remembered(&bytes[2..]).is_err_and(|e| e.to_string().contains("of the same experiment")));
    }
}

/// The middle bar of an H is nowhere else, an I is one line, and every letter is there.
fn words_are_worlds() {
    let parts = |word: &str| World::Letters(word.into()).parts();
    let at = |word: &str, x: f64, y: f64| {
        parts(word).iter().any(|part| (part.mean[0] - x).hypot(part.mean[1] - y) < 0.35)
    };
    assert!(at("H", 0.0, 0.0) && !at("H", 0.0, 3.0) && !at("U", 0.0, 0.0) && at("U", 0.0, -4.0));
    assert!(parts("i").iter().all(|part| part.mean[0] == 0.0));
    for letter in 'A'..='Z' {
        let inside = |x: f64| x.abs() < 4.01;
        assert!(parts(&letter.to_string()).iter().all(|p| p.mean.iter().all(|x| inside(*x))), "{letter}");
        assert!((5..80).contains(&parts(&letter.to_string()).len()), "{letter}");
    }
    for bad in ["", "a b", "ninetimes", "5"] {
        let setup = Setup { world: World::Letters(bad.into()), ..Setup::default() };
        assert!(Lab::new(setup, &cpu()).unwrap_err().to_string().contains("letters from A to Z"));
    }
}

/// Two lines of lengths 3 and .1, a dot: the points lie on them, nearly all on the longer one.
fn what_is_drawn_is_a_world() {
    let strokes = vec![vec![[-3.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], vec![[2.0, 1.0], [2.0, 1.1]]];
    let setup = Setup { world: World::Strokes(strokes), count: 4000, ..Setup::default() };
    let lab = Lab::new(setup, &cpu()).unwrap();
    let points = lab.exact();
    let (left, right): (Vec<_>, Vec<_>) = points.iter().partition(|x| x[0] < 1.0);
    assert!((left.len() as f64 / 4000.0 - 30.0 / 31.0).abs() < 0.015, "{}", left.len());
    assert!(
        left.iter().all(|x: &[f64; 2]| x[1].abs() < 0.9)
            && right.iter().all(|x: &[f64; 2]| (x[0] - 2.0).abs() < 0.9)
    );
    // As the sampler draws them.
    let (drawn, nfe) = block_on(lab.draw(&lab.true_model(), &mut Run::default())).unwrap();
    let off = energy_distance(&drawn[..1000], &points[..1000]);
    assert!(off < 0.02 && nfe == 35, "{off}, {nfe}");
}

fn what_makes_no_experiment_is_refused() {
    let mode = Mode { weight: 1.0, at: [0.0, 0.0], std: 1.0 };
    let world = |world| Setup { world, ..Setup::default() };
    for (setup, words) in [
        (Setup { half: 0.0, ..Setup::default() }, "half = 0"),
        (Setup { half: f64::NAN, ..Setup::default() }, "half = NaN"),
        (Setup { count: 0, ..Setup::default() }, "count = 0"),
        (Setup { steps: 0, ..Setup::default() }, "steps = 0"),
        (Setup { batch: 0, ..Setup::default() }, "batch = 0"),
        (Setup { learning_rate: -1.0, ..Setup::default() }, "learning_rate = -1"),
        (world(World::Modes(vec![])), "has 0 modes"),
        (world(World::Modes(vec![Mode { weight: 0.0, ..mode }])), "use a positive weight"),
        (world(World::Modes(vec![Mode { at: [f64::INFINITY, 0.0], ..mode }])), "use a positive weight"),
        (world(World::Modes(vec![Mode { std: -1.0, ..mode }])), "use a positive weight"),
        (world(World::Strokes(vec![])), "draw a line"),
        (world(World::Strokes(vec![vec![[1.0, 1.0]]])), "draw a line"),
        (world(World::Strokes(vec![vec![[1.0, f64::NAN], [0.0, 0.0]]])), "far outside"),
        (world(World::Strokes(vec![(0..500).map(|i| [f64::from(i), 0.0]).collect()])), "draw less"),
    ] {
        let error = Lab::new(setup, &cpu()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(lessons::setup("nothing").unwrap_err().to_string().contains("low_density"));
}

fn a_lesson_can_be_stopped() {
    let cancel = CancelToken::default();
    cancel.cancel();
    let lab = Lab::new(lessons::setup("weights").unwrap(), &cpu()).unwrap();
    let error = block_on(lessons::measure("weights", &lab, &cancel)).unwrap_err();
    assert!(matches!(error, scorefield::Error::Cancelled { .. }), "{error}");
}
