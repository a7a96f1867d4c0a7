use std::io::Write;
use std::path::PathBuf;

use super::shared::{ModelArgs, bar, watched};
use crate::cancel::CancelToken;
use crate::data::{DataSource, Dataset, Split};
use crate::device;
use crate::evaluation::{Draw, Judge, markdown};
use crate::sampler::Sampler;
use crate::weights::shipped;
use crate::{Error, Result, files};

/// `evaluate`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Samplers to judge, with their default options, separated by commas.
    #[arg(long, default_value = "ald,pc,ode,heun", value_delimiter = ',')]
    samplers: Vec<String>,
    /// Number of images drawn by each.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Images that are drawn together.
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The classifier that judges: a shipped one or a file.
    #[arg(long, default_value = "mnist-classifier")]
    classifier: String,
    /// The data set that the model was trained on; its test images are the reference.
    #[arg(long, default_value = "mnist", value_parser = str::parse::<Dataset>)]
    dataset: Dataset,
    /// Folder with the data set's files; else the environment variable SCOREFIELD_DATA, else ./data.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Write the numbers into the model's card; --model must then be a file.
    #[arg(long)]
    save: bool,
    /// Print JSON instead of a Markdown table.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Draws, judges and prints the table; the first row is as many real training images.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let samplers: Vec<Sampler> =
            self.samplers.iter().map(|name| Sampler::named(name)).collect::<Result<_>>()?;
        if self.batch == 0 || self.count < 2 {
            return Err(Error::config("--count, --batch", "are too small", "use at least 2 and 1"));
        }
        if self.save && shipped::bytes(&self.model.model).is_some() {
            return Err(Error::config(
                "--save",
                "cannot change a shipped model",
                "give --model the path of a file",
            ));
        }
        let classifier = shipped::open(&self.classifier)?;
        let source = DataSource { data_dir: self.data_dir.clone(), ..DataSource::new(self.dataset) };
        let reference = DataSource { split: Split::Test, ..source.clone() }.load()?;
        let training = source.load()?.truncated(self.count);
        let opened = device::open(self.model.device).await?;
        let model = self.model.open_on(&opened)?;
        let judge = Judge::new(classifier, &reference, &opened.device).await?;
        let mut rows = vec![(training.name.as_str(), judge.real(&training).await?)];
        let draw = Draw { count: self.count, batch: self.batch, seed: self.seed };
        for sampler in &samplers {
            let bar = bar();
            let quality = judge.evaluate(&model, sampler, draw, &mut watched(cancel, &bar)).await?;
            rows.push((self.model.model.as_str(), quality));
            bar.finish_and_clear();
        }
        if self.save {
            let path = PathBuf::from(&self.model.model);
            let mut file = shipped::open(&self.model.model)?;
            file.card.quality = rows[1..].iter().map(|(_, quality)| quality.clone()).collect();
            let bytes = file.to_bytes()?;
            files::write_atomic(path, |out| out.write_all(&bytes))?;
        }
        match self.json {
            true => println!("{}", serde_json::json!(rows)),
            false => print!("{}", markdown(rows.iter().map(|(name, quality)| (*name, quality)))),
        }
        Ok(())
    }
}
