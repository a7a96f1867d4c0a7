use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::builder::PossibleValuesParser;

use super::shared::check_count;
use crate::cancel::CancelToken;
use crate::device::{self, DeviceChoice};
use crate::files;
use crate::lab::{Lab, lessons};
use crate::{Error, Result};

/// `lab`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The lessons [default: all].
    #[arg(value_name = "LESSON", value_parser = PossibleValuesParser::new(lessons::NAMES))]
    lessons: Vec<String>,
    /// Print the experiments and their numbers as JSON, a line each.
    #[arg(long)]
    json: bool,
    /// Points of an experiment [default: the lesson's own].
    #[arg(long)]
    count: Option<usize>,
    /// Seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Instead of that train the networks that the page shows without waiting, and write their weights here.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["lessons", "json", "count", "seed"])]
    weights: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, default_value = "cpu", value_parser = str::parse::<DeviceChoice>)]
    device: DeviceChoice,
}

impl Args {
    /// Makes the experiments and says what became of each number.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let device = device::open(self.device).await?.device;
        if let Some(folder) = &self.weights {
            return write_weights(folder, &device).await;
        }
        let names = match self.lessons.is_empty() {
            true => lessons::NAMES.to_vec(),
            false => self.lessons.iter().map(String::as_str).collect(),
        };
        let mut failed = vec![];
        for name in names {
            let mut setup = lessons::setup(name)?;
            setup.seed = self.seed;
            if let Some(count) = self.count {
                check_count("--count", count)?;
                setup.count = count;
            }
            let lab = Lab::new(setup, &device)?;
            let numbers = lessons::measure(name, &lab, cancel).await?;
            if self.json {
                println!("{}", serde_json::json!({ "lesson": name, "setup": lab.setup, "numbers": numbers }));
            } else {
                println!("{name}");
                for number in &numbers {
                    let error = number.error.map_or_else(String::new, |error| format!(" ± {error:.4}"));
                    let [low, high] = number.expected;
                    println!("  {}: {:.4}{error} ({low:.4} to {high:.4})", number.name, number.value);
                }
            }
            failed.extend(numbers.iter().filter(|n| !n.holds()).map(|n| format!("{name}: {}", n.name)));
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(Error::config(failed.join("; "), "is not as expected", "use more points (--count)")),
        }
    }
}

async fn write_weights(folder: &Path, device: &Device) -> Result<()> {
    files::make_folder(folder)?;
    for (name, setup) in lessons::kept() {
        let path = folder.join(format!("{name}.f16"));
        let bytes = Lab::new(setup, device)?.learned_bytes().await?;
        files::write_atomic(&path, |file| file.write_all(&bytes))?;
        println!("{}: {} bytes", path.display(), bytes.len());
    }
    Ok(())
}
