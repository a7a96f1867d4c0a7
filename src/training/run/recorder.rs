//! What a run leaves behind, and what it shows while it lasts.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::checkpoint::{self, State};
use super::report::{LossLog, LossRow, draw_loss_curve, read_loss_log};
use super::{AVERAGES, LOG_EVERY, REVISION, RunFolder};
use crate::device::Opened;
use crate::picture::save_png;
use crate::training::{Lesson, Pace, Trainer};
use crate::weights::{self, Precision, Training};
use crate::{Error, Result, files};

/// The keeper of a run's folder.
pub struct Recorder<'a> {
    folder: &'a RunFolder,
    opened: &'a Opened,
    pace: Pace,
    log: LossLog,
    speed: Speed,
    bar: ProgressBar,
    /// When the run began or went on, and after which step.
    begun: (Instant, usize),
}

impl<'a> Recorder<'a> {
    /// Writes the configuration of the run of `state`, and goes on with the log that is there if it is `resumed`.
    ///
    /// # Errors
    /// What the files can say.
    pub fn open(folder: &'a RunFolder, opened: &'a Opened, state: &State, resumed: bool) -> Result<Self> {
        std::fs::create_dir_all(&folder.0)
            .map_err(|e| Error::io(&folder.0, e, "choose a folder that can be written with --out"))?;
        let text = toml::to_string(&state.config)
            .map_err(|e| Error::config("config", e.to_string(), "report this as a bug"))?;
        files::write_atomic(folder.config(), |file| file.write_all(text.as_bytes()))?;
        let pace = state.config.pace();
        let log = LossLog::open(folder.0.join("loss.csv"), resumed.then_some(state.step as u64))?;
        let speed = Speed { since: Instant::now(), last_step: state.step };
        let bar = progress_bar(pace.steps, state.step);
        let begun = (Instant::now(), state.step);
        Ok(Self { folder, opened, pace, log, speed, bar, begun })
    }

    /// Keeps what there is to keep after a step; `stop` if it is the last one for now.
    ///
    /// # Errors
    /// What the files can say; the last checkpoint is then still there.
    pub async fn after<L: Lesson>(
        &mut self,
        trainer: &Trainer<L>,
        state: &mut State,
        stop: bool,
    ) -> Result<()> {
        let Pace { steps, batch, checkpoint_every, sample_every, .. } = self.pace;
        let (step, last) = (state.step, state.step == steps);
        self.bar.set_position(step as u64);
        if step.is_multiple_of(LOG_EVERY) || last {
            let ([loss, loss_ema], images_per_s) = (state.losses.row(), self.speed.until(step, batch));
            self.bar.set_message(format!("loss {loss_ema:.4}  {images_per_s:.0} images/s"));
            let row = LossRow { step: step as u64, loss, loss_ema, images_per_s, seconds: state.seconds };
            self.log.append(&row)?;
        }
        if stop || step.is_multiple_of(checkpoint_every) || last {
            self.save(trainer, state).await?;
        }
        if sample_every > 0
            && (step.is_multiple_of(sample_every) || last)
            && let Some(picture) = trainer.lesson().picture(&trainer.average(), trainer.device()).await?
        {
            save_png(self.folder.0.join(format!("samples-{step:06}.png")), &picture)?;
        }
        match (stop, last) {
            (true, _) => self.bar.abandon(),
            (_, true) => self.bar.finish(),
            _ => return Ok(()),
        }
        self.sum_up(trainer.waited(), step);
        Ok(())
    }

    /// Says what working together has cost, where several processes did.
    fn sum_up(&self, waited: Duration, step: usize) {
        let (begun, first) = self.begun;
        let [waited, all] =
            [waited, begun.elapsed()].map(|time| 1e3 * time.as_secs_f64() / (step - first) as f64);
        if waited > 0.0 {
            eprintln!("gradients of the others: {waited:.1} ms of the {all:.1} ms of a step");
        }
    }

    /// Writes the checkpoint, the model, examined if it is finished, and the curve so far.
    async fn save<L: Lesson>(&self, trainer: &Trainer<L>, state: &State) -> Result<()> {
        let (lesson, folder) = (trainer.lesson(), self.folder);
        let mut card = lesson.card(Training {
            steps: state.step,
            batch: self.pace.batch,
            hours: state.seconds / 3600.0,
            device: self.opened.name.clone(),
            revision: REVISION.into(),
            command: state.commands.join(" && "),
        });
        if state.step == self.pace.steps {
            card.accuracy = lesson.examine(&trainer.average(), trainer.device()).await?;
        }
        // First, as it refuses weights that have grown out of all bounds: an earlier checkpoint is then kept.
        let model = weights::to_bytes(&trainer.average(), &card, Precision::F16)?;
        checkpoint::save(&folder.checkpoint(), state, trainer)?;
        for (length, module) in trainer.averages() {
            let path = folder.average(state.step, length);
            files::make_folder(folder.0.join(AVERAGES))?;
            // In full: what is made of them later is a difference of large numbers.
            let average = weights::to_bytes(&module, &card, Precision::F32)?;
            files::write_atomic(path, |file| file.write_all(&average))?;
        }
        files::write_atomic(folder.model(&self.pace.name), |file| file.write_all(&model))?;
        let csv = folder.0.join("loss.csv");
        match read_loss_log(&csv)?.len() {
            0 | 1 => Ok(()), // too early for a curve
            _ => draw_loss_curve(&csv, &folder.0.join("loss.png")),
        }
    }
}

/// Measures the speed between rows.
struct Speed {
    since: Instant,
    last_step: usize,
}

impl Speed {
    /// Images per second since this was asked before.
    fn until(&mut self, step: usize, batch: usize) -> f64 {
        let images = (step - self.last_step) * batch;
        let seconds = self.since.elapsed().as_secs_f64();
        *self = Self { since: Instant::now(), last_step: step };
        images as f64 / seconds
    }
}

fn progress_bar(steps: usize, done: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps  {msg}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(steps as u64).with_style(style).with_position(done as u64);
    bar.reset_eta();
    bar
}
