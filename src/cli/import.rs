use std::io::Write;
use std::path::PathBuf;

use crate::device::{self, DeviceChoice};
use crate::files::{check_writable, write_atomic};
use crate::sampler::Sampler;
use crate::weights::{ModelFile, Precision, shipped};
use crate::{Error, Result};

/// `import`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of a published model (config.json, scheduler_config.json, weights as .safetensors), or its file of
    /// weights, beside which the rest lies.
    path: PathBuf,
    /// Name of the model [default: that of the folder or file].
    #[arg(long)]
    name: Option<String>,
    /// Write the weights in half precision.
    #[arg(long)]
    half: bool,
    /// The file [default: NAME.safetensors].
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Args {
    /// Writes the published model as a file of ours, and says what it is.
    pub async fn run(self) -> Result<()> {
        let given = self.path.display().to_string();
        if !self.path.exists() {
            return Err(Error::weights(
                given,
                "is not there",
                "name the folder or the file of a published model",
            ));
        }
        let mut file = shipped::open(&given)?;
        if let Some(name) = &self.name {
            if name.is_empty() || name.contains(['/', '\\']) {
                return Err(Error::config(
                    "--name",
                    format!("= {name} is not allowed"),
                    "use a name without slashes",
                ));
            }
            file = file.named(name);
        }
        if self.half {
            file = file.in_precision(Precision::F16);
        }
        let name = file.card.name.clone();
        let out = self.out.unwrap_or_else(|| format!("{name}.safetensors").into());
        check_writable(&out)?;
        let bytes = file.to_bytes()?;
        // What was written is what is tried: every weight has its place in the network.
        let opened = device::open(DeviceChoice::Cpu).await?;
        let loaded = ModelFile::parse(&name, &bytes)?.load(&opened.device)?;
        write_atomic(&out, |file| file.write_all(&bytes))?;
        let card = &file.card;
        let weights = loaded.weights();
        println!(
            "{}: {}, {weights} weights, {:.1} MB",
            out.display(),
            card.diffusion(),
            bytes.len() as f64 / 1e6
        );
        println!("images {}x{}x{}, classes {}", card.channels, card.height, card.width, card.classes());
        let licence = card.published.as_ref().and_then(|published| published.licence.as_deref());
        println!("licence {}", licence.unwrap_or("not stated; see where the weights are from"));
        if let Some(usual) = card.learned().and_then(Sampler::usual_for) {
            println!("draw: scorefield sample --model {} --sampler {}", out.display(), usual.info().name);
        }
        Ok(())
    }
}
