//! Devices of this machine that were found to compute rightly.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use super::verify;
use crate::Result;
use crate::device::{self, DeviceChoice, Opened};
use crate::files::{make_folder, write_atomic};

/// [`device::open`], but a GPU is used only if it computes what the CPU does.
///
/// [`verify`] tries it once for each adapter, driver and version of the program; the user's cache folder remembers. With
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
    if is_fixed && known().contains(&line) {
        return Ok(opened);
    }
    match verify(&opened.device, "use the CPU; `scorefield device` tells more").await {
        Ok(_) => {
            if is_fixed {
                remember(line);
            }
            Ok(opened)
        }
        Err(problem) if choice == DeviceChoice::Auto => Ok(Opened::cpu(format!("The {problem}."))),
        Err(problem) => Err(problem),
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
