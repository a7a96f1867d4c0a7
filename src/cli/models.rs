use crate::Result;
use crate::weights::shipped::{self, Entry};

/// `models`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON, the page's `models/manifest.json`.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Prints the shipped models.
    pub fn run(self) -> Result<()> {
        let entries = shipped::manifest()?;
        if self.json {
            println!("{}", serde_json::json!(entries));
            return Ok(());
        }
        println!("{:<18} {:>9} {:>8}  {:<26} data", "model", "image", "size", "diffusion");
        for Entry { card, bytes, .. } in entries {
            let image = format!("{}x{}x{}", card.channels, card.height, card.width);
            let size = format!("{:.1} MB", bytes as f64 / 1e6);
            println!("{:<18} {image:>9} {size:>8}  {:<26} {}", card.name, card.diffusion(), card.dataset);
        }
        Ok(())
    }
}
