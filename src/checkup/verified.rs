//! Devices of this machine that were found to compute rightly.

use std::fmt::{Display, Formatter};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Instant;

use super::{pace, verify};
use crate::Result;
use crate::device::{self, DeviceChoice, Opened};
use crate::files::{make_folder, write_atomic};
use crate::ops::set_pace;

/// [`device::open`], but a GPU is used only if it computes what the CPU does.
///
/// [`verify`] tries it once for each adapter, driver and version of the program, and [`pace`] measures it, by which
/// evaluations are then divided; the user's cache folder remembers both. With
/// [`DeviceChoice::Auto`] the CPU takes the place of a GPU that fails.
///
/// # Errors
/// As [`device::open`], and [`Error::Device`](crate::Error::Device) if the GPU was asked for and computes wrongly.
pub async fn open(choice: DeviceChoice) -> Result<Opened> {
    let opened = device::open(choice).await?;
    if opened.kind == DeviceChoice::Cpu {
        return Ok(opened);
    }
    let line = line(&opened);
    // Of a program that is being changed, nothing is known.
    let is_fixed = !env!("SCOREFIELD_REVISION").ends_with("dirty");
    let known =
        is_fixed.then(|| known().iter().find_map(|kept| kept.strip_prefix(&line)?.parse().ok())).flatten();
    let pace = match known {
        Some(Pace(pace)) => pace,
        None => match verify(&opened.device, "use the CPU; `scorefield device` tells more").await {
            Ok(_) => {
                let pace = pace(&opened.device, seconds).await?;
                if is_fixed {
                    remember(format!("{line}{}", Pace(pace)));
                }
                pace
            }
            Err(problem) if choice == DeviceChoice::Auto => {
                return Ok(Opened::cpu(format!("The {problem}.")));
            }
            Err(problem) => return Err(problem),
        },
    };
    set_pace(pace);
    Ok(opened)
}

/// Seconds since the first call: a [`Clock`](super::Clock).
pub fn seconds() -> f64 {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGUN.elapsed().as_secs_f64()
}

/// The end of a line that is remembered: operations per second, or 0 where nobody measures them.
struct Pace(Option<f64>);

impl Display for Pace {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, ", pace {}", self.0.unwrap_or(0.0))
    }
}

impl FromStr for Pace {
    type Err = std::num::ParseFloatError;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let pace: f64 = text.trim_start_matches(", pace ").parse()?;
        Ok(Self(Some(pace).filter(|pace| *pace > 0.0)))
    }
}

/// Version, adapter and driver: what has to be the same for the answer to hold.
fn line(opened: &Opened) -> String {
    let facts: Vec<_> = opened.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{}, {}, {}", env!("SCOREFIELD_REVISION"), opened.name, facts.join(", "))
}

fn file() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("scorefield").join("verified"))
}

fn known() -> Vec<String> {
    let text = file().and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The last few. Where nothing can be kept, the next run tries again, which is no reason to complain.
fn remember(line: String) {
    const KEPT: usize = 8;
    let Some(file) = file() else { return };
    let mut lines = known();
    lines.push(line);
    let text = lines[lines.len().saturating_sub(KEPT)..].join("\n") + "\n";
    let folder = file.parent().map_or(Ok(()), make_folder);
    folder.and_then(|()| write_atomic(&file, |file| file.write_all(text.as_bytes()))).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_read_as_it_was_kept() {
        for pace in [None, Some(1.5e11)] {
            assert_eq!(Pace(pace).to_string().parse::<Pace>().unwrap().0, pace);
        }
        assert!("".parse::<Pace>().is_err());
    }
}
