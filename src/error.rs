//! The crate's one error type. Every message names the thing that failed, why, and what to change.

use std::path::{Path, PathBuf};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, worded for the person who can put it right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting or argument is outside what is allowed.
    #[error("{what} {problem}; {fix}")]
    Config {
        /// The setting, as the user typed it.
        what: String,
        /// What is wrong with it.
        problem: String,
        /// What to change.
        fix: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}; {fix}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
        /// What to change.
        fix: String,
    },
    /// A data set or image file does not hold what its format promises.
    #[error("{path}: {problem}; {fix}", path = path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to change.
        fix: String,
    },
    /// A weight file is damaged or does not fit its own model card.
    #[error("model {name}: {problem}; {fix}")]
    Weights {
        /// File or model name.
        name: String,
        /// What is wrong with it.
        problem: String,
        /// What to change.
        fix: String,
    },
    /// The requested compute device cannot be used.
    #[error("device {device}: {problem}; {fix}")]
    Device {
        /// `gpu` or `cpu`.
        device: String,
        /// Why not.
        problem: String,
        /// What to change.
        fix: String,
    },
    /// A download failed.
    #[error("download of {url} failed: {problem}; {fix}")]
    Download {
        /// Where from.
        url: String,
        /// Why.
        problem: String,
        /// What to change.
        fix: String,
    },
    /// A NaN or an infinity appeared.
    #[error("{what} became NaN or infinite at step {step}; {fix}")]
    NonFinite {
        /// The quantity.
        what: String,
        /// The first step that shows it.
        step: usize,
        /// What to change.
        fix: String,
    },
    /// An adaptive solver needed more steps than it was allowed.
    #[error("the ODE solver used all {max_steps} steps at t = {t:.3e}; raise rtol and atol, or max_steps")]
    TooManySteps {
        /// The limit.
        max_steps: usize,
        /// How far the slowest sample came.
        t: f64,
    },
    /// The caller asked to stop.
    #[error("cancelled after {step} steps")]
    Cancelled {
        /// Steps finished before the request was seen.
        step: usize,
    },
}

impl Error {
    /// A setting that is outside its range or does not fit another one.
    pub fn config(what: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Config { what: what.into(), problem: problem.into(), fix: fix.into() }
    }

    /// A failed file operation, with advice.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error, fix: impl Into<String>) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), source, fix: fix.into() }
    }

    /// A file whose content is not what it should be.
    pub fn data(path: impl AsRef<Path>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Data { path: path.as_ref().to_path_buf(), problem: problem.into(), fix: fix.into() }
    }

    /// A weight file that cannot be used.
    pub fn weights(name: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Weights { name: name.into(), problem: problem.into(), fix: fix.into() }
    }

    /// A device that cannot be used.
    pub fn device(device: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Device { device: device.into(), problem: problem.into(), fix: fix.into() }
    }
}
