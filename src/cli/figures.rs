use std::io::Write;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use super::data::DataArgs;
use super::shared::{ModelArgs, check_count};
use crate::cancel::CancelToken;
use crate::figures::{self, Figure, Outcome, Studio};
use crate::picture::save_png;
use crate::{Error, Result, checkup, files};

/// `figures`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Make only the figure of this name; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(figures::NAMES))]
    only: Vec<String>,
    /// Folder for NAME.png and NAME.json.
    #[arg(long, default_value = "docs/figures")]
    out: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// The model whose encodings are compared with the first one's: a shipped one or a file [default: mnist-ve].
    #[arg(long)]
    second: Option<String>,
    /// The classifier that judges: a shipped one or a file.
    #[arg(long, default_value = "mnist-classifier")]
    classifier: String,
    #[command(flatten)]
    data: DataArgs,
    /// The model that colours: a shipped one or a file [default: avatars].
    #[arg(long)]
    color_model: Option<String>,
    /// An .npz file with colour images of its kind.
    #[arg(long)]
    color_data: Option<PathBuf>,
    /// Samples behind a number; some figures take a fixed share or multiple of it.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Args {
    /// Makes the figures and says of each where it is, or why it is not made.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        check_count("--count", self.count)?;
        if self.count < 4 {
            return Err(Error::config("--count", "is too small", "use 4 or more: distances need neighbours"));
        }
        let names = match self.only.is_empty() {
            true => figures::NAMES.to_vec(),
            false => self.only.iter().map(String::as_str).collect(),
        };
        for (flag, given, figure) in [
            ("--second", self.second.is_some(), "encodings"),
            ("--color-model", self.color_model.is_some(), "colorization"),
            ("--color-data", self.color_data.is_some(), "colorization"),
        ] {
            if given && !names.contains(&figure) {
                let fix = format!("add --only {figure}, or leave it out");
                return Err(Error::config(flag, format!("is for the figure {figure}"), fix));
            }
        }
        files::make_folder(&self.out)?;
        let opened = checkup::open(self.model.device).await?;
        let studio = Studio {
            device: opened.device,
            model: self.model.model,
            second: self.second.unwrap_or_else(|| "mnist-ve".into()),
            classifier: self.classifier,
            data: self.data.source(),
            color_model: self.color_model.unwrap_or_else(|| "avatars".into()),
            color_data: self.color_data,
            count: self.count,
            seed: self.seed,
            cancel: cancel.clone(),
        };
        for name in names {
            match figures::make(name, &studio).await? {
                Outcome::Made(Figure { picture, numbers }) => {
                    let png = self.out.join(format!("{name}.png"));
                    save_png(&png, &picture)?;
                    let text = format!("{numbers:#}\n");
                    files::write_atomic(png.with_extension("json"), |file| file.write_all(text.as_bytes()))?;
                    println!("{}", png.display());
                }
                Outcome::Skipped(why) => eprintln!("{name} is left out: {why}"),
            }
        }
        Ok(())
    }
}
