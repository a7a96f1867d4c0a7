use std::io::Write;
use std::path::PathBuf;

use crate::training::run::{RunFolder, averages};
use crate::{Result, files};

/// `average`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a run that was trained with `averages = [0.05, 0.1]`.
    folder: PathBuf,
    /// Relative length of the average that is wanted, 0.01 to 0.28 of the run; may be repeated.
    #[arg(long, required = true)]
    length: Vec<f64>,
    /// Folder for the models [default: that of the run].
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Args {
    /// Writes a model for each length, NAME-LENGTH.safetensors.
    pub fn run(self) -> Result<()> {
        let out = self.out.unwrap_or_else(|| self.folder.clone());
        files::make_folder(&out)?;
        let folder = RunFolder(self.folder);
        for length in self.length {
            let model = averages::average(&folder, length)?;
            let path = out.join(format!("{}-{length}.safetensors", model.card.name));
            let bytes = model.to_bytes()?;
            files::write_atomic(&path, |file| file.write_all(&bytes))?;
            println!("{}", path.display());
        }
        Ok(())
    }
}
