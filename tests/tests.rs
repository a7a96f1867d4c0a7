//! The integration tests: one binary, a module for each kind. `make test` runs them; a name or a part of
//! one as argument selects (`cargo test --release --test tests -- samplers`).
//!
//! Tests marked `gpu` need an adapter that takes WGSL; elsewhere they are shown as ignored, with a line
//! that says why. `SCOREFIELD_FIGURES=1` prints the measured errors beside the bounds.

mod program;
mod slopes;
mod support;

// The rules of the house, held against the code.
mod house;

// The counter generator: statistics, independence of the batch, the kernel against its host twin.
mod noise;
// What a network's output means: score, noise, denoised image, and the density they belong to.
mod model;
// Where samples begin.
mod prior;
// Every sampler against distributions whose score is known.
mod samplers;
// The samplers' options.
mod options;
// Some steps of every sampler and of the ODE's solver against formulas written out in f64.
mod formulas;
mod golden_solver;
mod golden_steps;
mod walk;
// How fast samplers converge, and what follows from the theory: orders, marginals, identities.
mod convergence;
// The probability-flow ODE: convergence order, encoding and decoding, interpolation.
mod ode;
// Densities by that ODE, and the codes it leads to.
mod likelihood;
// Models of bytes, which are made for densities.
mod bytes;
// Inpainting, guidance and other conditions: against posteriors that are known.
mod control;
// Consistency functions under them, and along walks.
mod leaps;
// Guidance by a classifier, in the opinion of another model.
mod guidance;
// Networks that know classes: labels, their training, and guidance without a classifier.
mod classes;
// Fused operations against plain ones, forward and backward, on both devices.
mod normalisation;
mod parity;
mod surroundings;
// The network that is made of them.
mod network;
// The WGSL kernels against their twins.
mod kernels;
// What WebGPU leaves open, and what other languages make of our shaders.
mod lint;
mod shaders;
// How many kernels an evaluation launches, and replayed evaluations against launched ones.
mod launches;
mod replay;
// Whether a device is told from one that computes wrongly.
mod checkup;
// What score networks are trained by.
mod dsm;
mod objectives;
mod references;
// Forward mode: tangents of all networks.
mod tangents;
// Every objective against scores that are known.
mod consistency;
mod lab;
mod matching;
// Training: repeatability, clipping, averages; and runs that are interrupted, or blow up.
mod averages;
// Noise levels from the data, objectives by name.
mod resuming;
mod runs;
mod schedules;
mod training;
// Several processes that train one model.
mod team;
// Model files: round trips, files that lie, and files of earlier versions.
mod cards;
mod golden;
mod weights;
// Published networks of others: what their code says of the same weights.
mod published;
// Whole models of others: samplers on their discrete levels, and their folders.
mod imports;
mod levels;
// Evaluations that are interrupted, divided and put together; and other commands that are divided.
mod evaluation;
mod shards;
// The figures of docs/GALLERY.md, made small.
mod figures;
// The program as a user meets it, and with the user's own images.
mod cli;
mod own;
// The built page in a real browser.
mod browser;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let modules = [
        house::trials(),
        noise::trials(),
        model::trials(),
        prior::trials(),
        formulas::trials(),
        golden_steps::trials(),
        golden_solver::trials(),
        dsm::trials(),
        samplers::trials(),
        options::trials(),
        convergence::trials(),
        ode::trials(),
        likelihood::trials(),
        bytes::trials(),
        control::trials(),
        leaps::trials(),
        guidance::trials(),
        classes::trials(),
        parity::trials(),
        normalisation::trials(),
        surroundings::trials(),
        network::trials(),
        kernels::trials(),
        lint::trials(),
        shaders::trials(),
        launches::trials(),
        replay::trials(),
        checkup::trials(),
        objectives::trials(),
        references::trials(),
        tangents::trials(),
        matching::trials(),
        consistency::trials(),
        lab::trials(),
        training::trials(),
        team::trials(),
        averages::trials(),
        schedules::trials(),
        resuming::trials(),
        runs::trials(),
        weights::trials(),
        cards::trials(),
        golden::trials(),
        published::trials(),
        imports::trials(),
        levels::trials(),
        evaluation::trials(),
        shards::trials(),
        figures::trials(),
        cli::trials(),
        own::trials(),
        browser::trials(),
    ];
    if let Err(reason) = support::gpu_or_reason() {
        eprintln!("The tests marked `gpu` are ignored: {reason}");
    }
    libtest_mimic::run(&arguments, modules.into_iter().flatten().collect()).exit();
}
