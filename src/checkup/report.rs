//! What a device is, whether it computes rightly, and how fast it is: one text to read or to send.

use std::fmt;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::speed::{Clock, convolution, evaluation_ms, peak};
use super::{Agreement, agreement, findings};
use crate::Result;
use crate::device::{DeviceChoice, Opened};
use crate::weights::ModelCard;

/// Images of an evaluation, as many as the page draws unless told otherwise.
const IMAGES: usize = 16;

/// What was found out about a device.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of the program.
    pub revision: &'static str,
    /// The device's name.
    pub device: String,
    /// Why this one.
    pub reason: String,
    /// What its driver says of it.
    pub facts: Vec<(&'static str, String)>,
    /// How far it is off the CPU; empty for the CPU itself.
    pub agreement: Vec<Agreement>,
    /// Floating-point operations in a second: the most that a kernel reaches, if kernels run on it.
    pub peak: Option<f64>,
    /// The same in a convolution.
    pub convolution: f64,
    /// How fast models are.
    pub speed: Vec<Speed>,
}

/// The time of one evaluation of a model's network.
#[derive(Debug, Clone, Serialize)]
pub struct Speed {
    /// The model.
    pub model: String,
    /// Images at a time.
    pub images: usize,
    /// Milliseconds on the GPU, if that is the device.
    pub gpu_ms: Option<f64>,
    /// Milliseconds on the CPU; of one thread in the page.
    pub cpu_ms: f64,
}

/// What the CPU finds and how fast it is: with that, any device is compared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reference {
    /// [`findings`] of the CPU.
    findings: Vec<Vec<f32>>,
    /// Milliseconds of an evaluation of each model.
    ms: Vec<f64>,
}

impl Reference {
    /// That of `cpu`, with models of these cards (their weights do not matter). Takes some seconds; `on_step(step, steps)` is
    /// told after each part.
    ///
    /// # Errors
    /// None of the CPU's.
    pub async fn of(
        cpu: &Device,
        cards: &[ModelCard],
        clock: Clock,
        on_step: impl Fn(usize, usize),
    ) -> Result<Self> {
        Ok(Self { findings: findings(cpu).await?, ms: milliseconds(cpu, cards, clock, on_step).await? })
    }
}

/// The cards of models that draw.
fn drawing(cards: &[ModelCard]) -> Vec<&ModelCard> {
    cards.iter().filter(|card| card.learned().is_some()).collect()
}

/// Of an evaluation of each model that draws.
async fn milliseconds(
    device: &Device,
    cards: &[ModelCard],
    clock: Clock,
    on_step: impl Fn(usize, usize),
) -> Result<Vec<f64>> {
    let (models, mut all) = (drawing(cards), Vec::new());
    for card in &models {
        all.push(evaluation_ms(&card.untrained(device)?, IMAGES, clock).await?);
        on_step(all.len(), models.len());
    }
    Ok(all)
}

impl Report {
    /// Finds out everything about `opened`, against what the CPU has found with the same cards. Takes some seconds;
    /// `on_step(step, steps)` is told after each part.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device is lost meanwhile.
    pub async fn of(
        opened: &Opened,
        cpu: &Reference,
        cards: &[ModelCard],
        clock: Clock,
        on_step: impl Fn(usize, usize),
    ) -> Result<Self> {
        let Opened { device, name, reason, facts, .. } = opened;
        let (agreement, gpu) = match opened.kind {
            DeviceChoice::Cpu => (vec![], vec![]),
            _ => (
                agreement(&findings(device).await?, &cpu.findings),
                milliseconds(device, cards, clock, on_step).await?,
            ),
        };
        let speed = drawing(cards).into_iter().zip(&cpu.ms).enumerate().map(|(i, (card, &cpu_ms))| Speed {
            model: card.name.clone(),
            images: IMAGES,
            gpu_ms: gpu.get(i).copied(),
            cpu_ms,
        });
        Ok(Self {
            revision: env!("SCOREFIELD_REVISION"),
            device: name.clone(),
            reason: reason.clone(),
            facts: facts.clone(),
            agreement,
            peak: peak(device, clock).await?,
            convolution: convolution(device, clock).await?,
            speed: speed.collect(),
        })
    }

    /// Whether all that was computed is right.
    pub fn is_good(&self) -> bool {
        self.agreement.iter().all(Agreement::is_good)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Scorefield {}", self.revision)?;
        writeln!(f, "{} ({})", self.device, self.reason.trim_end_matches('.'))?;
        for (name, value) in &self.facts {
            writeln!(f, "  {name}: {value}")?;
        }
        if !self.agreement.is_empty() {
            writeln!(f, "\nLargest difference from the CPU, over the largest value")?;
        }
        for one in &self.agreement {
            let word = if one.is_good() { "" } else { ", WRONG" };
            writeln!(f, "{:>9.1e}  {}{word}", one.off, one.what)?;
        }
        writeln!(f, "\nBillions of floating-point operations a second")?;
        let mut share = String::new();
        if let Some(peak) = self.peak {
            writeln!(f, "{:>9.1}  multiply-add in registers", peak / 1e9)?;
            share = format!(", {:.0} % of that", 100.0 * self.convolution / peak);
        }
        writeln!(f, "{:>9.1}  convolution of 64 channels at 14x14{share}", self.convolution / 1e9)?;
        let devices = if self.agreement.is_empty() { "CPU" } else { "GPU, CPU" };
        writeln!(f, "\nMilliseconds of one evaluation of {IMAGES} images, {devices}")?;
        for Speed { model, gpu_ms, cpu_ms, .. } in &self.speed {
            let gpu = gpu_ms.map_or(String::new(), |ms| format!("{ms:>9.1}"));
            writeln!(f, "{gpu}{cpu_ms:>9.1}  {model}")?;
        }
        Ok(())
    }
}
