//! Score-based generative models: trained natively, sampled natively and in the browser.
//!
//! A diffusion turns data into noise; its reverse needs one unknown, the *score*, the gradient of the
//! log-density of noisy data. A network learns it by denoising, and then many algorithms lead from
//! noise back to data. This crate is those algorithms, written once on [burn](https://burn.dev)
//! tensors, for any GPU that wgpu reaches, for the CPU, and for WebGPU in a page.
//!
//! # The way of an image through the house
//! 1. [`images`] are what all this is about; [`rng`] supplies every random number as a function of what it is for;
//!    [`ops`] are the fused operations on a device, which [`device`] opens.
//! 2. [`sde`] says how an image becomes noise, [`schedule`] at which noise levels to look.
//! 3. [`network`] maps a noisy image to raw numbers; [`model`] says what the numbers mean: the denoised image, the
//!    noise, the score. [`weights`] keeps them in a file with their model card. [`toy`] has distributions whose score is
//!    known. A [`checkup`] finds out whether a device computes all that rightly, and how fast.
//! 4. [`control`] adds conditions to a model. A [`run`] is the conversation between long work and whoever waits for it:
//!    [`flow`] follows the ODE between image and noise, either way, and [`sampler`] walks from noise to an image.
//! 5. [`picture`] shows images and [`data`] reads them; an [`objective`] compares what a network says with what was added,
//!    [`learning`] improves its weights by that, and [`training`] is a run of it, alone or in a [`team`] of processes.
//! 6. The [`lab`] has points of the plane, to learn and to sample where the truth is known, [`shards`] divide long work among machines, [`evaluation`] judges many samples, and [`figures`] makes the papers' figures again.
//!
//! On top stand two thin front ends that render the same events: the command line ([`cli`], native) and the page's
//! worker (`page`, wasm).
//!
//! # The rooms from the ground up
//! A room uses only what stands before it in this list; a test reads it. docs/DESIGN.md has the invariant of each.
//!
//! - `error`, `cancel`, `estimate`, `files`, `kind`
//! - `images`, `rng`, `dequantise`, `ops`, `device`
//! - `sde`, `schedule`, `network`, `model`, `weights`, `toy`
//! - `checkup`
//! - `control`, `run`, `flow`, `sampler`
//! - `picture`, `fetch`, `data`, `objective`, `learning`, `team`, `training`
//! - `lab`, `shards`, `evaluation`, `figures`, `cli`, `page`
//!
//! # Example
//! ```
//! use scorefield::{device, rng::Noise, run::Run, sampler::Sampler, weights::shipped};
//!
//! # pollster::block_on(async {
//! let opened = device::open(device::DeviceChoice::Cpu).await?;
//! let model = shipped::open("mnist-vp")?.score_model(&opened.device)?;
//! let sampler = Sampler::named("heun")?;
//! let solution = sampler.sample(&model, &Noise::new(7), 2, &mut Run::default()).await?;
//! assert_eq!(solution.images.dims(), [2, 1, 28, 28]);
//! assert_eq!(solution.nfe, 35);
//! # Ok::<(), scorefield::Error>(())
//! # }).unwrap();
//! ```

mod error;

pub mod cancel;
pub mod checkup;
#[cfg(not(target_family = "wasm"))]
pub mod cli;
pub mod control;
pub mod data;
pub mod dequantise;
pub mod device;
pub mod estimate;
#[cfg(not(target_family = "wasm"))]
pub mod evaluation;
#[cfg(not(target_family = "wasm"))]
pub mod fetch;
#[cfg(not(target_family = "wasm"))]
pub mod figures;
#[cfg(not(target_family = "wasm"))]
pub mod files;
pub mod flow;
pub mod images;
mod kind;
#[cfg(feature = "learn")]
pub mod lab;
#[cfg(feature = "learn")]
pub mod learning;
pub mod model;
pub mod network;
pub mod objective;
pub mod ops;
#[cfg(target_family = "wasm")]
pub mod page;
pub mod picture;
pub mod rng;
pub mod run;
pub mod sampler;
pub mod schedule;
pub mod sde;
#[cfg(not(target_family = "wasm"))]
pub mod shards;
#[cfg(not(target_family = "wasm"))]
pub mod team;
pub mod toy;
#[cfg(not(target_family = "wasm"))]
pub mod training;
pub mod weights;

pub use error::{Error, Result};
