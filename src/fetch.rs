//! One file over HTTP: continued where it stopped, checked, and only then given its name.
//!
//! Nothing here knows what the file is for. A file of that name is all of it and the right one: until its
//! SHA-256 has been checked, it is called `.part`.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use ureq::{Agent, http::header};

use crate::{
    error::{Error, Result},
    files::{advice, sync_folder},
    weights::hex,
};

/// How often a server may break off without having sent anything.
const FRUITLESS: usize = 3;

/// Why one attempt failed, and so what to do next.
enum Failure {
    /// The server has nothing for us: go to the next one.
    Refused(String),
    /// The connection broke; what has come is kept.
    Interrupted(String),
    /// All came, but it is not the file; `resumed` if part of it was there before.
    Wrong { resumed: bool, sha256: String },
    /// The disk is the problem, not the network.
    Disk(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// Fetches the file with this length and SHA-256 to `path`, from the first of `urls` that has it.
///
/// # Errors
/// [`Error::Download`] with what every server answered; [`Error::Data`] if another program is at it, or if a
/// different file has that name already; [`Error::Io`] if it cannot be written.
pub fn fetch(urls: &[String], bytes: u64, sha256: &str, path: &Path) -> Result<()> {
    let part_path = path.with_added_extension("part");
    let io = |source: io::Error| {
        let fix = advice(&source);
        Error::io(&part_path, source, fix)
    };
    let mut options = File::options();
    let part = options.read(true).write(true).create(true).truncate(false).open(&part_path).map_err(io)?;
    if let Err(TryLockError::WouldBlock) = part.try_lock() {
        return Err(Error::data(&part_path, "is being downloaded by another program", "wait for it"));
    }
    // whoever held the lock before may have finished
    if path.exists() {
        let file = File::open(path).map_err(io)?;
        drop(fs::remove_file(&part_path));
        let is = digest(file).map_err(io)?;
        let problem = || format!("is there, but is not the original file (its SHA-256 is {is})");
        return match is == sha256 {
            true => Ok(()),
            false => Err(Error::data(path, problem(), "move it away to have it downloaded")),
        };
    }

    let mut download = Download { agent: agent(), part, bytes, sha256, bar: progress_bar(path, bytes) };
    let mut problems = Vec::new();
    for url in urls {
        match download.try_server(url).map_err(io)? {
            None => {
                download.bar.finish();
                download.part.sync_all().map_err(io)?;
                fs::rename(&part_path, path).map_err(io)?;
                return sync_folder(path.parent().unwrap_or(Path::new("."))).map_err(io);
            }
            Some(problem) => problems.push(format!("{url}: {problem}")),
        }
    }
    download.bar.abandon();
    let kept = download.part.metadata().map_err(io)?.len();
    if kept == 0 {
        drop(fs::remove_file(&part_path));
    }
    let again = if kept > 0 { "try again, it goes on where it stopped" } else { "try again" };
    Err(Error::Download {
        url: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        problem: problems.join("; "),
        fix: format!(
            "check the network and {again}, or put the file into {} yourself",
            path.parent().unwrap_or(Path::new(".")).display()
        ),
    })
}

/// A file on its way.
struct Download<'a> {
    agent: Agent,
    part: File,
    /// Length and SHA-256 of the whole.
    bytes: u64,
    sha256: &'a str,
    bar: ProgressBar,
}

impl Download<'_> {
    /// Tries one server until it is done (`None`) or there is no sense in going on (the reason).
    fn try_server(&mut self, url: &str) -> io::Result<Option<String>> {
        let mut fruitless = 0;
        loop {
            let before = self.part.metadata()?.len();
            match self.attempt(url) {
                Ok(()) => return Ok(None),
                Err(Failure::Disk(error)) => return Err(error),
                Err(Failure::Refused(problem)) => return Ok(Some(problem)),
                Err(Failure::Interrupted(problem)) => {
                    let progress = self.part.metadata()?.len() > before;
                    fruitless = if progress { 0 } else { fruitless + 1 };
                    if fruitless >= FRUITLESS {
                        return Ok(Some(problem));
                    }
                }
                Err(Failure::Wrong { resumed, sha256: is }) => {
                    self.part.set_len(0)?;
                    if !resumed {
                        let problem = format!(
                            "the content has SHA-256 {is} instead of {} and was deleted",
                            self.sha256
                        );
                        return Ok(Some(problem));
                    }
                }
            }
        }
    }

    /// One request, from where `part` ends, and the check of the whole.
    fn attempt(&mut self, url: &str) -> Result<(), Failure> {
        let mut have = self.part.metadata()?.len();
        let resumed = have > 0;
        if have < self.bytes {
            let mut request = self.agent.get(url);
            if resumed {
                request = request.header(header::RANGE, format!("bytes={have}-"));
            }
            let response = request.call().map_err(|error| match error {
                ureq::Error::HostNotFound => Failure::Refused("the address is not known".into()),
                error => Failure::Interrupted(error.to_string()),
            })?;
            let range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
            match response.status().as_u16() {
                200 => have = 0,
                206 if range.is_some_and(|range| range.starts_with(&format!("bytes {have}-"))) => {}
                206 => have = self.restart("the server sent another range than asked for")?,
                416 => have = self.restart("the server has less than was asked for")?,
                500.. => {
                    return Err(Failure::Interrupted(format!("the server answers {}", response.status())));
                }
                _ => return Err(Failure::Refused(format!("the server answers {}", response.status()))),
            }
            self.part.set_len(have)?;
            self.part.seek(SeekFrom::End(0))?;
            self.bar.set_position(have);
            // one byte more than there should be is enough to see that it is another file
            let mut body = response.into_body().into_reader().take(self.bytes - have + 1);
            let mut buffer = [0; 1 << 16];
            loop {
                let n = match body.read(&mut buffer) {
                    Ok(n) => n,
                    Err(error) => {
                        return Err(Failure::Interrupted(format!("the connection broke ({error})")));
                    }
                };
                if n == 0 {
                    break;
                }
                self.part.write_all(&buffer[..n])?;
                have += n as u64;
                self.bar.set_position(have);
            }
            if have < self.bytes {
                return Err(Failure::Interrupted(format!(
                    "the connection ended after {have} of {} bytes",
                    self.bytes
                )));
            }
        }
        self.part.seek(SeekFrom::Start(0))?;
        match digest(&mut self.part)? {
            is if is == self.sha256 => Ok(()),
            is => Err(Failure::Wrong { resumed, sha256: is }),
        }
    }

    /// Drops what is there after an answer that does not continue it.
    fn restart(&mut self, problem: &str) -> Result<u64, Failure> {
        self.part.set_len(0)?;
        Err(Failure::Interrupted(problem.into()))
    }
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_per_read(Some(Duration::from_secs(30)))
        .http_status_as_error(false)
        // many files are compressed; a server must not unpack them on the way
        .accept_encoding("identity")
        .user_agent(concat!("scorefield/", env!("CARGO_PKG_VERSION")));
    config.build().new_agent()
}

fn progress_bar(path: &Path, bytes: u64) -> ProgressBar {
    let template = "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ProgressBar::new(bytes).with_style(style.progress_chars("=> ")).with_message(name)
}

fn digest(mut reader: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = [0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
