use std::path::Path;

use serde_json::json;

use super::shard::{ShardArgs, of_model};
use super::shared::{Drawing, InTurn, ModelArgs, Output, Usual, WeakerArgs};
use crate::cancel::CancelToken;
use crate::control::{guided_by, led_on};
use crate::shards::Parts;
use crate::weights::{LoadedClassifier, shipped};
use crate::{Result, checkup};

/// `sample`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Draw images of this class only, by its name or its number, or of each in turn: by the model itself if it has learned
    /// classes, else guided by a classifier, which takes one class.
    #[arg(long, value_name = "NAME|each")]
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
    #[command(flatten)]
    shard: ShardArgs,
}

/// The class that asks for each in turn.
const EACH: &str = "each";

/// Its name in the settings of parts.
pub const COMMAND: &str = "sample";

impl Args {
    /// Draws the images and writes them, or keeps those of a shard.
    pub async fn run(self, cancel: &CancelToken) -> Result<()> {
        let job = self.drawing.check(Usual { sampler: "heun", options: &[], leaps: 1, count: 64 })?;
        let shard = self.shard.get()?;
        let opened = checkup::open(self.model.device).await?;
        let file = self.model.file(&opened)?;
        let mut of = vec![of_model("model", &file)];
        let (mut weaker, weight) = (None, self.weaker.weaker_weight);
        if let Some(file) = self.weaker.file()? {
            of.extend([of_model("weaker", &file), json!({ "weaker_weight": weight })]);
            weaker = Some(file.load(&opened.device)?);
        }
        let led_on = |model, classes: Option<&[usize]>| match &weaker {
            Some(weaker) => led_on(model, weaker, classes, weight),
            None => Ok(model),
        };
        let card = file.card.clone();
        let loaded = file.load(&opened.device)?;
        let asked = |classes: Option<&[usize]>| led_on(loaded.asked(classes, self.guidance)?, classes);
        let in_turn = |images| asked(Some(&loaded.in_turn(images)?));
        let mut each: Option<InTurn<'_>> = None;
        let model = match (&self.class, self.classifier.as_deref(), card.classes()) {
            (None, ..) => asked(None)?,
            (Some(class), None, 1..) if class == EACH => {
                of.push(json!({ "class": EACH, "guidance": self.guidance }));
                each.insert(&in_turn)(0..1)?
            }
            (Some(class), None, 1..) => {
                let class = card.class(class)?;
                of.push(json!({ "class": class, "guidance": self.guidance }));
                asked(Some(&[class]))?
            }
            (Some(class), classifier, _) => {
                let judge = shipped::open(classifier.unwrap_or("mnist-classifier"))?;
                let class = judge.card.class(class)?;
                of.extend([
                    of_model("classifier", &judge),
                    json!({ "class": class, "guidance": self.guidance }),
                ]);
                let judge = LoadedClassifier::new(judge, &opened.device)?;
                led_on(guided_by(judge, loaded.score_model()?, class, self.guidance)?, None)?
            }
        };
        job.draw_shard(&model, each, shard, of, cancel).await
    }
}

/// Writes the images whose parts are complete.
pub fn merge(parts: &Parts, out: &Path, json: bool) -> Result<()> {
    let (output, shape) = (Output::of_parts(out)?, parts.shape()?);
    output.write_made(&parts.all(shape.iter().product())?, shape, json)
}
