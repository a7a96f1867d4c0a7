use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::files::{make_folder, write_atomic};
use crate::weights::shipped;
use crate::{Error, Result};

/// `export`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .safetensors file or a published model's folder; networks in the style of a published one have a form there.
    model: String,
    /// The new folder [default: the model's name].
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Args {
    /// Writes a folder that `diffusers` loads, for going on in PyTorch.
    pub fn run(self) -> Result<()> {
        let file = shipped::open(&self.model)?;
        let files = file.to_diffusers()?;
        let out = self.out.unwrap_or_else(|| file.card.name.clone().into());
        if fs::read_dir(&out).is_ok_and(|mut entries| entries.next().is_some()) {
            let problem = format!("{} has files in it", out.display());
            return Err(Error::config("--out", problem, "name a new folder"));
        }
        for (path, bytes) in files {
            let path = out.join(path);
            path.parent().map_or(Ok(()), make_folder)?;
            write_atomic(&path, |file| file.write_all(&bytes))?;
        }
        println!("{}: DiffusionPipeline.from_pretrained loads it", out.display());
        Ok(())
    }
}
