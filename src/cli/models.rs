use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::shared::{bar, watched};
use crate::Result;
use crate::cancel::CancelToken;
use crate::control::led_on;
use crate::files::make_folder;
use crate::ops::read;
use crate::picture::{Grid, save_png};
use crate::rng::Noise;
use crate::sampler::Sampler;
use crate::weights::shipped::{self, Entry};

/// `models`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON, the page's `models/manifest.json`.
    #[arg(long)]
    json: bool,
    /// Draw a picture of each into this folder, as the page shows it before anything is drawn there: sixteen images of seed 7
    /// by the usual sampler, of each class in turn where it has learned any, guided by a weaker version where there is one.
    #[arg(long, value_name = "FOLDER", conflicts_with = "json")]
    pictures: Option<PathBuf>,
}

impl Args {
    /// Prints the shipped models.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let entries = shipped::manifest()?;
        if self.json {
            println!("{}", serde_json::json!(entries));
            return Ok(());
        }
        if let Some(folder) = self.pictures {
            make_folder(&folder)?;
            for entry in entries {
                draw(&entry, &folder, cancel).await?;
            }
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

/// Images of a picture.
const IMAGES: usize = 16;

/// Draws what a model makes of seed 7, unless it makes nothing; on the CPU, so that it is the same everywhere.
async fn draw(entry: &Entry, folder: &Path, cancel: &CancelToken) -> Result<()> {
    let Entry { name, picture, gives, weaker, weaker_weight, .. } = entry;
    let (Some(file), Some(sampler)) = (picture, gives.and_then(Sampler::usual_for)) else { return Ok(()) };
    let cpu = Device::flex();
    let loaded = shipped::open(name)?.load(&cpu)?;
    let classes = (loaded.classes() > 0).then(|| loaded.in_turn(0..IMAGES)).transpose()?;
    let mut model = loaded.asked(classes.as_deref(), 1.0)?;
    if let (Some(weaker), Some(weight)) = (weaker, weaker_weight) {
        model = led_on(model, &shipped::open(weaker)?.load(&cpu)?, classes.as_deref(), *weight)?;
    }
    let bar = bar();
    let solution = sampler.sample(&model, &Noise::new(7), IMAGES, &mut watched(cancel, &bar)).await?;
    bar.finish_and_clear();
    let shape = solution.images.dims();
    let picture = Grid { gap: 0, ..Grid::default() }.draw(&read(solution.images).await?, shape)?;
    let path = folder.join(file);
    save_png(&path, &picture)?;
    println!("{}: {} NFE", path.display(), solution.nfe);
    Ok(())
}
