//! What a training run tells afterwards: `loss.csv` and a picture of it.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

pub use super::curve::draw_loss_curve;

use crate::{
    error::{Error, Result},
    files::{advice, write_atomic},
};

const HEADER: &str = "step,loss,loss_ema,images_per_s,seconds";

/// One line of `loss.csv`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossRow {
    /// Optimiser steps done.
    pub step: u64,
    /// Loss, averaged since the row before.
    pub loss: f64,
    /// Its exponential moving average.
    pub loss_ema: f64,
    /// Speed since the row before.
    pub images_per_s: f64,
    /// Time in training, over all resumed runs.
    pub seconds: f64,
}

impl fmt::Display for LossRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, loss, loss_ema, images_per_s, seconds } = self;
        write!(f, "{step},{loss:.6},{loss_ema:.6},{images_per_s:.1},{seconds:.1}")
    }
}

impl FromStr for LossRow {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let mut fields = line.trim_end().split(',');
        let step = fields.next().and_then(|field| field.parse().ok()).ok_or(())?;
        let mut number = || fields.next().and_then(|field| field.parse().ok()).ok_or(());
        let row =
            Self { step, loss: number()?, loss_ema: number()?, images_per_s: number()?, seconds: number()? };
        fields.next().is_none().then_some(row).ok_or(())
    }
}

/// `loss.csv`, growing by one line at a time. Every row is in the file when [`append`](Self::append) returns.
#[derive(Debug)]
pub struct LossLog {
    path: PathBuf,
    file: File,
}

impl LossLog {
    /// Starts the file anew, or continues it after `resumed_step`, dropping what a lost run wrote behind it.
    ///
    /// # Errors
    /// [`Error::Io`] with what to change; [`Error::Data`] if the file to be continued is something else.
    pub fn open(path: impl Into<PathBuf>, resumed_step: Option<u64>) -> Result<Self> {
        let path = path.into();
        let mut text = format!("{HEADER}\n");
        if let Some(last) = resumed_step.filter(|_| path.exists()) {
            for row in read_loss_log(&path)?.into_iter().filter(|row| row.step <= last) {
                text += &format!("{row}\n");
            }
        }
        write_atomic(&path, |file| file.write_all(text.as_bytes()))?;
        let file = File::options().append(true).open(&path).map_err(|source| failed(&path, source))?;
        Ok(Self { path, file })
    }

    /// Adds a row, all of it or nothing.
    ///
    /// # Errors
    /// [`Error::Io`] with what to change.
    pub fn append(&mut self, row: &LossRow) -> Result<()> {
        let mut add = || {
            let len = self.file.metadata()?.len();
            self.file.write_all(format!("{row}\n").as_bytes()).inspect_err(|_| {
                // on a full disk half of the row may be there
                let _ = self.file.set_len(len);
            })
        };
        add().map_err(|source| failed(&self.path, source))
    }
}

/// Reads `loss.csv`. A last line without its end, from a run that was killed, does not count.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::Data`] with the line that is not a row.
pub fn read_loss_log(path: &Path) -> Result<Vec<LossRow>> {
    let text = fs::read_to_string(path).map_err(|source| failed(path, source))?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let fix = "move the file away, or resume another run";
    let mut lines = whole.lines();
    match lines.next() {
        None => return Ok(Vec::new()),
        Some(HEADER) => {}
        Some(_) => return Err(Error::data(path, format!("does not start with `{HEADER}`"), fix)),
    }
    lines
        .enumerate()
        .map(|(i, line)| {
            let problem = || format!("line {} is not a row: `{line}`", i + 2);
            line.parse().map_err(|()| Error::data(path, problem(), fix))
        })
        .collect()
}

fn failed(path: &Path, source: io::Error) -> Error {
    let fix = advice(&source);
    Error::io(path, source, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64) -> LossRow {
        let loss = 50. / step as f64;
        LossRow { step, loss, loss_ema: 0.9 * loss, images_per_s: 530., seconds: step as f64 * 0.12 }
    }

    #[test]
    fn rows_survive_the_file_and_resuming_drops_the_lost_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("loss.csv");
        let steps = |path: &Path| read_loss_log(path).unwrap().iter().map(|row| row.step).collect::<Vec<_>>();
        let mut log = LossLog::open(&path, None).unwrap();
        for step in [100, 200, 300, 400] {
            log.append(&row(step)).unwrap();
        }
        let read = read_loss_log(&path).unwrap()[1];
        assert!((read.loss - row(200).loss).abs() < 1e-6 && read.seconds == 24.);

        // killed in the middle of a line
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"500,0.12").unwrap();
        assert_eq!(steps(&path), [100, 200, 300, 400]);
        let mut log = LossLog::open(&path, Some(250)).unwrap();
        log.append(&row(300)).unwrap();
        assert_eq!(steps(&path), [100, 200, 300]);
        LossLog::open(&path, None).unwrap();
        assert!(steps(&path).is_empty());
        let fresh = dir.path().join("fresh.csv");
        LossLog::open(&fresh, Some(10)).unwrap();
        assert!(steps(&fresh).is_empty());
    }

    #[test]
    fn a_foreign_or_damaged_file_is_not_overwritten_by_resuming() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("loss.csv");
        let damaged = format!("{HEADER}\n100,0.5,0.5,1,1\n200,0.5,x,1,1\n");
        for (text, word) in
            [("a,b\n1,2\n", "does not start"), (&damaged, "line 3 is not a row: `200,0.5,x,1,1`")]
        {
            fs::write(&path, text).unwrap();
            let message = LossLog::open(&path, Some(100)).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
