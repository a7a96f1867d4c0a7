//! Score-based generative models: trained natively, sampled natively and in the browser.
//!
//! A diffusion turns data into noise; its reverse needs one unknown, the *score*, the gradient of the
//! log-density of noisy data. A network learns it by denoising, and then many algorithms lead from
//! noise back to data. This crate is those algorithms, written once on [burn](https://burn.dev)
//! tensors, for any GPU that wgpu reaches, for the CPU, and for WebGPU in a page.
//!
//! # The way of an image through the house
//! 1. [`data`] reads [`images`]; [`rng`] supplies every random number as a function of what it is for.
//! 2. [`sde`] says how an image becomes noise, [`schedule`] at which noise levels to look.
//! 3. [`network`] maps a noisy image to raw numbers, with the fused operations of [`ops`];
//!    [`model`] says what the numbers mean: the denoised image, the noise, the score.
//! 4. [`objective`] compares with what was added, [`training`] improves the weights,
//!    [`weights`] keeps them in a file with their model card.
//! 5. [`control`] adds conditions to a model, [`sampler`] walks from noise to an image,
//!    [`interpolate()`](interpolate::interpolate) between two images, [`likelihood`] measures how probable
//!    one is, and [`picture`] shows them.
//! 6. [`evaluation`] judges many of them, and [`figures`] makes the papers' figures again.
//!
//! A module uses only modules above it in this list. On top stand two thin front ends that render the
//! same events: the command line ([`cli`], native) and the page's worker (`web`, wasm).
//!
//! # Example
//! ```
//! use scorefield::{device, rng::Noise, sampler::{Run, Sampler}, weights::shipped};
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

pub mod analytic;
pub mod cancel;
#[cfg(not(target_family = "wasm"))]
pub mod cli;
pub mod control;
pub mod data;
pub mod device;
mod error;
pub mod estimate;
#[cfg(not(target_family = "wasm"))]
pub mod evaluation;
#[cfg(not(target_family = "wasm"))]
pub mod fetch;
#[cfg(not(target_family = "wasm"))]
pub mod figures;
#[cfg(not(target_family = "wasm"))]
pub mod files;
pub mod images;
pub mod interpolate;
pub mod likelihood;
pub mod model;
pub mod network;
pub mod objective;
pub mod ops;
pub mod picture;
pub mod rng;
pub mod sampler;
pub mod schedule;
pub mod sde;
#[cfg(not(target_family = "wasm"))]
pub mod training;
#[cfg(target_family = "wasm")]
pub mod web;
pub mod weights;

pub use error::{Error, Result};
