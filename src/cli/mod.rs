//! The command line. Each command has two stages: the arguments as typed, then a validated job.

mod average;
mod bits;
mod codes;
mod control;
mod data;
mod device;
mod evaluate;
mod export;
mod figures;
mod import;
mod interpolate;
mod lab;
mod likelihood;
mod merge;
mod models;
mod sample;
mod schedule;
mod shard;
mod shared;
mod team;
mod train;
mod warnings;

use clap::{Parser, Subcommand};

use crate::Error;
use crate::cancel::CancelToken;

/// Score-based generative models: train them here, sample them here or in a browser.
#[derive(Debug, Parser)]
#[command(name = "scorefield", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a score network on a data set.
    Train(Box<train::Args>),
    /// Make models of averaged weights of any length of those that a run has saved.
    Average(average::Args),
    /// Compute noise levels and step size for a data set (NCSNv2's techniques 1, 2 and 4).
    Schedule(schedule::Args),
    /// Draw images from a model.
    Sample(sample::Args),
    /// Draw a row of images that leads from one image to another.
    Interpolate(interpolate::Args),
    /// Judge a model's samples with a classifier: quality and NFE of each sampler.
    Evaluate(Box<evaluate::Args>),
    /// Measure how probable a model finds the images of a data set, in bits per dimension.
    Likelihood(likelihood::Args),
    /// Put together what the shards of `evaluate`, `sample`, `likelihood` or `encode` have made, or say what is missing.
    Merge(merge::Args),
    /// Write the latent codes of images.
    Encode(codes::EncodeArgs),
    /// Draw the images of latent codes.
    Decode(codes::DecodeArgs),
    /// Draw the missing part of an image.
    Inpaint(control::InpaintArgs),
    /// Draw the colours of a grey image.
    Colorize(control::ColorizeArgs),
    /// Draw an image in more detail.
    Upscale(control::UpscaleArgs),
    /// Draw images near a sketch.
    Edit(control::EditArgs),
    /// Take noise of a known size out of an image.
    Denoise(control::DenoiseArgs),
    /// Make the figures of docs/GALLERY.md again, with the numbers behind each.
    Figures(figures::Args),
    /// Make the laboratory's experiments with points of the plane, each with the numbers in which its lesson shows.
    Lab(lab::Args),
    /// Find out what a device is, whether it computes rightly, and how fast it is.
    Device(device::Args),
    /// Make a model file of a published model of others (diffusers, Score-SDE, NCSN).
    Import(import::Args),
    /// Make a folder that diffusers loads of a model, where its layouts can express it.
    Export(export::Args),
    /// List the models that come with the program.
    Models(models::Args),
}

/// Runs the command that the process was started with.
///
/// Returns the exit code: 0 done (also after Ctrl-C, when everything is saved), 1 failed, 2 wrong usage.
pub fn main() -> u8 {
    let cli = Cli::parse();
    warnings::show();
    let cancel = CancelToken::default();
    let token = cancel.clone();
    let handler = ctrlc::set_handler(move || {
        if token.is_cancelled() {
            // Asked twice: leave at once. Files are written atomically, so nothing is half-written.
            std::process::exit(130);
        }
        eprintln!("\nstopping after this step; press Ctrl-C again to leave at once");
        token.cancel();
    });
    if let Err(problem) = handler {
        eprintln!("warning: Ctrl-C will not save anything ({problem})");
    }
    // A program that is not optimised needs more than the usual stack. If threads are there already, they stay.
    rayon::ThreadPoolBuilder::new().stack_size(STACK).build_global().ok();
    // Work of the CPU path starts without a hand-over when the command itself runs on one of its threads.
    let result = rayon::scope(|_| {
        pollster::block_on(async {
            match cli.command {
                Command::Train(args) => args.run(&cancel).await,
                Command::Average(args) => args.run(),
                Command::Schedule(args) => args.run(&cancel),
                Command::Sample(args) => args.run(&cancel).await,
                Command::Interpolate(args) => args.run(&cancel).await,
                Command::Evaluate(args) => args.run(&cancel).await,
                Command::Likelihood(args) => args.run(&cancel).await,
                Command::Merge(args) => args.run(),
                Command::Encode(args) => args.run(&cancel).await,
                Command::Decode(args) => args.run(&cancel).await,
                Command::Inpaint(args) => args.run(&cancel).await,
                Command::Colorize(args) => args.run(&cancel).await,
                Command::Upscale(args) => args.run(&cancel).await,
                Command::Edit(args) => args.run(&cancel).await,
                Command::Denoise(args) => args.run(&cancel).await,
                Command::Lab(args) => args.run(&cancel).await,
                Command::Figures(args) => args.run(&cancel).await,
                Command::Device(args) => args.run().await,
                Command::Import(args) => args.run().await,
                Command::Export(args) => args.run(),
                Command::Models(args) => args.run(&cancel).await,
            }
        })
    });
    match result {
        Ok(()) => 0,
        Err(problem) => {
            eprintln!("error: {problem}");
            exit_code(&problem)
        }
    }
}

/// Bytes of a thread's stack, of which only what is used takes memory.
const STACK: usize = 16 << 20;

/// What the process returns after an error.
fn exit_code(problem: &Error) -> u8 {
    match problem {
        Error::Config { .. } => 2,
        _ => 1,
    }
}
