use super::shared::{Drawing, ModelArgs};
use crate::cancel::CancelToken;
use crate::control::class_guided;
use crate::device;
use crate::weights::Architecture;
use crate::weights::shipped;
use crate::{Error, Result};

/// `sample`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Draw images of this class only, guided by a classifier.
    #[arg(long)]
    class: Option<usize>,
    /// How strongly the classifier pulls: 1 is its own opinion, more is clearer and less varied.
    #[arg(long, default_value_t = 1.0, requires = "class")]
    guidance: f64,
    /// The classifier that guides: a shipped one or a file.
    #[arg(long, default_value = "mnist-classifier", requires = "class")]
    classifier: String,
    #[command(flatten)]
    drawing: Drawing<64>,
}

impl Args {
    /// Draws the images and writes them.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let job = self.drawing.check(("heun", &[]))?;
        let opened = device::open(self.model.device).await?;
        let model = self.model.open_on(&opened)?;
        let Some(class) = self.class else { return job.draw(&model, cancel).await };
        let file = shipped::open(&self.classifier)?;
        let shape = [file.card.channels, file.card.height, file.card.width];
        let classes = match &file.card.architecture {
            Architecture::Classifier { config } => config.classes,
            Architecture::Unet { .. } => 0,
        };
        let classifier = file.classifier(&opened.device)?;
        if shape != model.shape {
            let problem = format!("judges images of {shape:?}, the model draws {:?}", model.shape);
            return Err(Error::config("--classifier", problem, "use one of the model's data set"));
        }
        job.draw(&class_guided(model, classifier, classes, class, self.guidance)?, cancel).await
    }
}
