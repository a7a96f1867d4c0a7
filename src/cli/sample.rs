use std::path::PathBuf;

use super::shared::{ModelArgs, Output, SamplerArgs, bar, check_count, watched};
use crate::cancel::CancelToken;
use crate::rng::Noise;
use crate::sampler::read;
use crate::Result;

/// `sample`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    sampler: SamplerArgs,
    /// Seed: the same one gives the same images on any device, natively and in the browser.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of images.
    #[arg(long, default_value_t = 64)]
    count: usize,
    /// Index of the first image: image K of a seed does not depend on how many are drawn.
    #[arg(long, default_value_t = 0)]
    first: u32,
    /// Images that are drawn together.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// A .png grid, or .npy with raw float32 [n, c, h, w] in [0, 1], not clipped.
    #[arg(long, default_value = "samples.png")]
    out: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Draws the images and writes them.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let sampler = self.sampler.build()?;
        let output = Output::new(&self.out)?;
        check_count("--count", self.count)?;
        check_count("--batch", self.batch)?;
        let model = self.model.open().await?;
        let (mut images, mut nfe) = (Vec::new(), 0);
        let bar = bar();
        for from in (0..self.count).step_by(self.batch) {
            let n = self.batch.min(self.count - from);
            let noise = Noise::new(self.seed).at(self.first.wrapping_add(from as u32));
            let solution = sampler.sample(&model, &noise, n, &mut watched(cancel, &bar)).await?;
            images.extend(read(solution.images).await?);
            nfe = nfe.max(solution.nfe);
        }
        bar.finish_and_clear();
        let [c, h, w] = model.shape;
        output.write(&images, [self.count, c, h, w], None, nfe, self.json)
    }
}
