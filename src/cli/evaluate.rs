use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, json};

use super::data::DataArgs;
use super::shard::{ShardArgs, report as report_shard};
use super::shared::{ModelArgs, WeakerArgs, add_options, bar, check_count, watched};
use crate::cancel::CancelToken;
use crate::data::{DataSource, Split};
use crate::evaluation::{
    Folder, Judge, Results, Settings, Subject, Weaker, changes, markdown, quality_by_nfe,
};
use crate::images::ImageSet;
use crate::model::Learned;
use crate::picture::save_png;
use crate::sampler::Sampler;
use crate::shards::Shard;
use crate::weights::{ModelFile, shipped};
use crate::{Error, Result, checkup, files};

/// `evaluate`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Samplers to judge, separated by commas [default: ald,pc,ode,heun, or multistep for a consistency model].
    #[arg(long, value_delimiter = ',')]
    samplers: Vec<String>,
    /// An option of all these samplers; may be repeated (`--option s_churn=10`).
    #[arg(long = "option", value_name = "NAME=VALUE")]
    options: Vec<String>,
    /// Budgets of network evaluations, separated by commas: each sampler makes the best of each. Without it,
    /// every sampler has its default options.
    #[arg(long, value_delimiter = ',')]
    nfe: Vec<usize>,
    /// Number of images drawn by each.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Images that are drawn together.
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Ask for each class in turn, and count how often the classifier sees it.
    #[arg(long)]
    by_class: bool,
    /// With --by-class, how strongly to pull towards the class.
    #[arg(long, default_value_t = 1.0, requires = "by_class")]
    guidance: f64,
    #[command(flatten)]
    weaker: WeakerArgs,
    /// The classifier that judges: a shipped one or a file.
    #[arg(long, default_value = "mnist-classifier")]
    classifier: String,
    #[command(flatten)]
    data: DataArgs,
    /// Measure bits per dimension as well, on so many test images.
    #[arg(long, value_name = "N", default_value_t = 0)]
    likelihood: usize,
    #[command(flatten)]
    shard: ShardArgs,
    /// Folder that keeps what is drawn, so that the same command goes on after an interruption, and the
    /// results as Markdown, JSON and PNG [default: runs/<model>-evaluation].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write the numbers into the model's card; --model must then be a file.
    #[arg(long, conflicts_with = "shard")]
    save: bool,
    /// Print JSON instead of a Markdown table.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Draws and judges what is missing, and prints the table; the first row is as many real training images.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let shard = self.shard.get()?.unwrap_or(Shard::WHOLE);
        check_count("--count", self.count)?;
        if self.save && shipped::bytes(&self.model.model).is_some() {
            return Err(Error::config(
                "--save",
                "cannot change a shipped model",
                "give --model the path of a file",
            ));
        }
        if self.save {
            files::check_writable(&self.model.model)?;
        }
        let classifier = shipped::open(&self.classifier)?;
        let file = shipped::open(&self.model.model)?;
        let samplers = self.samplers(file.card.learned())?;
        let source = self.data.source();
        let test = DataSource { split: Split::Test, ..source.clone() }.load()?;
        let training = source.load()?.truncated(self.count);
        let weaker = self.weaker.file()?;
        let settings = Settings {
            model: file.card.name.clone(),
            model_sha256: file.fingerprint(),
            classifier: classifier.card.name.clone(),
            classifier_sha256: classifier.fingerprint(),
            class_names: classifier.card.class_names.clone(),
            dataset: test.name.clone(),
            test_images: test.len(),
            training_images: training.len(),
            count: self.count,
            batch: self.batch,
            seed: self.seed,
            guidance: self.by_class.then_some(self.guidance),
            weaker: weaker.as_ref().map(|file| Weaker {
                model: file.card.name.clone(),
                sha256: file.fingerprint(),
                weight: self.weaker.weaker_weight,
            }),
            samplers,
            likelihood: self.likelihood.min(test.len()),
            shard,
        };
        let folder = Folder::create(self.folder(&file.card.name, shard), settings)?;
        let opened = checkup::open(self.model.device).await?;
        let judge = Judge::new(classifier, &opened.device)?;
        let load = |file: ModelFile| Ok((file.load(&opened.device)?, self.weaker.weaker_weight));
        let subject = Subject {
            model: self.model.file(&opened)?.load(&opened.device)?,
            guidance: folder.settings.guidance,
            weaker: weaker.map(load).transpose()?,
        };
        folder.judge_real(&judge, &test, &training).await?;
        let drawn = draw(&folder, &subject, &judge, &test, cancel).await;
        if shard != Shard::WHOLE || matches!(drawn, Err(Error::Cancelled { .. })) {
            return report_shard(folder.path(), shard, drawn);
        }
        drawn?;
        let results = Results::of(std::slice::from_ref(&folder))?;
        if self.save {
            let path = Path::new(&self.model.model);
            let mut file = file;
            file.card.quality = results.rows[1..].iter().map(|row| row.quality.clone()).collect();
            let bytes = file.to_bytes()?;
            files::write_atomic(path, |out| out.write_all(&bytes))?;
        }
        report(&results, folder.path(), self.json)
    }

    /// The samplers with their options, at every budget that they can keep.
    fn samplers(&self, learned: Option<Learned>) -> Result<Vec<Sampler>> {
        let named = match (self.samplers.as_slice(), learned) {
            ([], Some(Learned::Consistency)) => vec!["multistep"],
            ([], _) => vec!["ald", "pc", "ode", "heun"],
            (names, _) => names.iter().map(String::as_str).collect(),
        };
        let mut given = Map::new();
        add_options(&self.options, &mut given)?;
        let mut samplers = Vec::new();
        for name in named {
            let sampler = Sampler::with_options(name, &given)?;
            if self.nfe.is_empty() {
                samplers.push(sampler);
                continue;
            }
            for nfe in &self.nfe {
                match sampler.within(*nfe) {
                    Some(sampler) => samplers.push(sampler),
                    None => eprintln!("{name} cannot work with {nfe} evaluations and is left out there"),
                }
            }
        }
        Ok(samplers)
    }

    fn folder(&self, name: &str, Shard { index, of }: Shard) -> PathBuf {
        let shard = if of > 1 { format!("-{index}-of-{of}") } else { String::new() };
        self.out.clone().unwrap_or_else(|| Path::new("runs").join(format!("{name}-evaluation{shard}")))
    }
}

/// All that is missing, with a progress bar.
async fn draw(
    folder: &Folder,
    subject: &Subject,
    judge: &Judge,
    test: &ImageSet,
    cancel: &CancelToken,
) -> Result<()> {
    let bar = bar();
    for (k, sampler) in folder.settings.samplers.iter().enumerate() {
        bar.set_prefix(format!("{} ", changes(sampler)));
        folder.draw(k, subject, judge, &mut watched(cancel, &bar)).await?;
    }
    bar.set_prefix("likelihood ");
    if folder.settings.likelihood > 0 {
        folder.measure(&subject.model.score_model()?, test, &mut watched(cancel, &bar)).await?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Prints the results and leaves them in `folder`.
pub(super) fn report(results: &Results, folder: &Path, json: bool) -> Result<()> {
    let (table, data) = (markdown(results), format!("{:#}\n", json!(results)));
    for (name, text) in [("results.md", &table), ("results.json", &data)] {
        files::write_atomic(folder.join(name), |file| file.write_all(text.as_bytes()))?;
    }
    save_png(folder.join("results.png"), &quality_by_nfe(results).draw()?)?;
    print!("{}", if json { &data } else { &table });
    if let Some(caution) = results.settings.caution().filter(|_| json) {
        eprintln!("warning: {caution}");
    }
    eprintln!("{}: results.md, results.json, results.png", folder.display());
    Ok(())
}
