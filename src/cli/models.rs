use crate::Result;
use crate::weights::{ModelCard, ModelFile, shipped};

/// `models`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the model cards as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Prints the shipped models.
    pub fn run(self) -> Result<()> {
        let mut cards: Vec<(ModelCard, usize)> = Vec::new();
        for name in shipped::names() {
            let bytes = shipped::bytes(name).unwrap_or_default();
            cards.push((ModelFile::parse(name, bytes)?.card, bytes.len()));
        }
        if self.json {
            let cards: Vec<&ModelCard> = cards.iter().map(|(card, _)| card).collect();
            println!("{}", serde_json::json!(cards));
            return Ok(());
        }
        println!("{:<18} {:>9} {:>8}  {:<26} data", "model", "image", "size", "diffusion");
        for (card, bytes) in cards {
            let image = format!("{}x{}x{}", card.channels, card.height, card.width);
            let size = format!("{:.1} MB", bytes as f64 / 1e6);
            println!("{:<18} {image:>9} {size:>8}  {:<26} {}", card.name, card.diffusion(), card.dataset);
        }
        Ok(())
    }
}
