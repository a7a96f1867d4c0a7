use super::shared::{Drawing, ModelArgs, Usual, WeakerArgs};
use crate::cancel::CancelToken;
use crate::control::guided_by;
use crate::weights::{LoadedClassifier, shipped};
use crate::{Result, checkup};

/// `sample`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Draw images of this class only, by its name or its number: by the model itself if it has learned classes, else
    /// guided by a classifier.
    #[arg(long, value_name = "NAME", conflicts_with = "weaker")]
    class: Option<String>,
    /// How strongly to pull towards the class: 1 is the model's or the classifier's own opinion, more is clearer
    /// and less varied.
    #[arg(long, default_value_t = 1.0, requires = "class")]
    guidance: f64,
    /// The classifier that guides, a shipped one or a file; mnist-classifier for a model without classes.
    #[arg(long, requires = "class")]
    classifier: Option<String>,
    #[command(flatten)]
    weaker: WeakerArgs,
    #[command(flatten)]
    drawing: Drawing,
}

impl Args {
    /// Draws the images and writes them.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let job = self.drawing.check(Usual { sampler: "heun", options: &[], leaps: 1, count: 64 })?;
        let opened = checkup::open(self.model.device).await?;
        let Some(class) = &self.class else {
            return job.draw(&self.weaker.guide(self.model.open_on(&opened)?)?, cancel).await;
        };
        let file = self.model.file(&opened)?;
        let model = match (self.classifier.as_deref(), file.card.classes()) {
            (None, 1..) => {
                let class = file.card.class(class)?;
                file.load(&opened.device)?.class_model(class, self.guidance)?
            }
            (classifier, _) => {
                let judge = shipped::open(classifier.unwrap_or("mnist-classifier"))?;
                let class = judge.card.class(class)?;
                let judge = LoadedClassifier::new(judge, &opened.device)?;
                guided_by(judge, file.score_model(&opened.device)?, class, self.guidance)?
            }
        };
        job.draw(&model, cancel).await
    }
}
