use std::io::IsTerminal;

use burn::tensor::Device;

use crate::Result;
use crate::checkup::{Reference, Report, seconds};
use crate::device::{self, DeviceChoice};
use crate::weights::shipped;

/// `device`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// auto, gpu, gpu:K (the discrete GPU of number K) or cpu.
    #[arg(long, default_value = "auto", value_parser = str::parse::<DeviceChoice>)]
    device: DeviceChoice,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Prints what the device is, how far its kernels are off the CPU, and how fast it is.
    pub async fn run(self) -> Result<()> {
        // Not `checkup::open`, which refuses what this is to describe.
        let opened = device::open(self.device).await?;
        let cards: Vec<_> = shipped::manifest()?.into_iter().map(|entry| entry.card).collect();
        let shows = std::io::stderr().is_terminal();
        let telling = |device: &'static str| {
            move |step, steps| {
                if shows {
                    eprint!("\r{device}: {step} of {steps}{}", if step == steps { "\n" } else { "" });
                }
            }
        };
        let cpu = Reference::of(&Device::flex(), &cards, seconds, telling("CPU")).await?;
        let report = Report::of(&opened, &cpu, &cards, seconds, telling("GPU")).await?;
        match self.json {
            true => println!("{}", serde_json::json!(report)),
            false => print!("{report}"),
        }
        if !report.is_good() {
            eprintln!(
                "This device computes wrongly, so --device auto takes the CPU. Update its driver; if that does not help, report what stands above."
            );
        }
        Ok(())
    }
}
