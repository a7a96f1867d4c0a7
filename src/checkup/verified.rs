//! Devices of this machine that were found to compute rightly.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
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
    let known = if is_fixed { known(&line) } else { None };
    let pace = match known {
        Some(pace) => pace,
        None => match verify(&opened.device, "use the CPU; `scorefield device` tells more").await {
            Ok(_) => {
                let pace = pace(&opened.device, seconds).await?;
                if is_fixed {
                    remember(format!("{line}{PACE}{pace}"));
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

/// Version, adapter and driver: what has to be the same for the answer to hold.
fn line(opened: &Opened) -> String {
    let facts: Vec<_> = opened.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{}, {}, {}", env!("SCOREFIELD_REVISION"), opened.name, facts.join(", "))
}

fn file() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("scorefield").join("verified"))
}

/// Between what was verified and its pace.
const PACE: &str = ", pace ";

fn kept() -> Vec<String> {
    let text = file().and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The pace of what was verified before.
fn known(line: &str) -> Option<f64> {
    kept().iter().find_map(|kept| kept.strip_prefix(line)?.strip_prefix(PACE)?.parse().ok())
}

/// The last few. Where nothing can be kept, the next run tries again, which is no reason to complain.
fn remember(line: String) {
    const KEPT: usize = 8;
    let Some(file) = file() else { return };
    let mut lines = kept();
    lines.push(line);
    let text = lines[lines.len().saturating_sub(KEPT)..].join("\n") + "\n";
    let folder = file.parent().map_or(Ok(()), make_folder);
    folder.and_then(|()| write_atomic(&file, |file| file.write_all(text.as_bytes()))).ok();
}
