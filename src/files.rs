//! Writing files that are either complete or not there.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Writes `path` in one step: readers see the old content or all of the new, even after a power cut.
///
/// `write` fills a temporary file in the same folder, which is then synced to disk and renamed. A buffered
/// writer made in `write` has to be flushed there. An existing link is followed; a device or pipe, which
/// cannot be replaced, is written directly.
///
/// # Errors
/// [`Error::Io`] with what to change, if the folder is not there or not writable, the disk is full, or
/// `write` fails. Nothing half-written is left behind, and the old file stays as it was.
pub fn write_atomic(path: impl AsRef<Path>, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let path = path.as_ref();
    place(path).and_then(|place| place.write(write)).map_err(|source| failed(path, source))
}

/// Finds out before any work whether [`write_atomic`] can write `path`. Leaves everything as it is.
///
/// # Errors
/// [`Error::Io`] with what to change, if the folder is not there or not writable.
pub fn check_writable(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let check = || match place(path)? {
        Place::Device(_) => Ok(()),
        Place::File { folder, .. } => temporary().tempfile_in(folder).map(drop),
    };
    check().map_err(|source| failed(path, source))
}

/// Makes the folder `path`, and those that it is to lie in.
///
/// # Errors
/// [`Error::Io`] with what to change.
pub fn make_folder(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    fs::create_dir_all(path).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> Error {
    let fix = advice(&source);
    Error::io(path, source, fix)
}

/// What to change after a write has failed for this reason.
pub fn advice(error: &io::Error) -> &'static str {
    use io::ErrorKind::*;
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => "free some space or write to another disk",
        PermissionDenied | ReadOnlyFilesystem => "write to a folder that is yours",
        NotFound | NotADirectory => "create the folder first, or correct the path",
        IsADirectory => "name a file in it",
        _ => "check the disk, or write to another folder",
    }
}

/// What a path leads to.
enum Place {
    /// A device or pipe.
    Device(PathBuf),
    /// A file in a folder, there or not.
    File { target: PathBuf, folder: PathBuf },
}

fn place(path: &Path) -> io::Result<Place> {
    let target = match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(meta) if !meta.is_file() => return Ok(Place::Device(path.to_path_buf())),
        Ok(_) => fs::canonicalize(path)?,
        Err(_) => path.to_path_buf(),
    };
    let folder = match target.parent() {
        Some(folder) if folder != Path::new("") => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    Ok(Place::File { target, folder })
}

impl Place {
    fn write(self, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let (target, folder) = match self {
            Self::Device(path) => return write(&mut File::options().write(true).open(path)?),
            Self::File { target, folder } => (target, folder),
        };
        let mut file = temporary().tempfile_in(&folder)?;
        write(file.as_file_mut())?;
        file.as_file().sync_all()?;
        file.persist(&target).map_err(|failed| failed.error)?;
        sync_folder(&folder)
    }
}

fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut temporary = tempfile::Builder::new();
    temporary.prefix(".scorefield-").suffix(".part");
    #[cfg(unix)]
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o666); // less the user's umask
    #[cfg(unix)]
    temporary.permissions(readable);
    temporary
}

/// Makes a rename last. Only Unix can; some network file systems refuse, and then there is nothing to be done.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let refused =
            [io::ErrorKind::InvalidInput, io::ErrorKind::Unsupported, io::ErrorKind::PermissionDenied];
        match File::open(folder).and_then(|folder| folder.sync_all()) {
            Err(error) if !refused.contains(&error.kind()) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_file_is_replaced_whole_and_readable_by_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        for content in ["first, and longer", "second"] {
            write_atomic(&path, |file| file.write_all(content.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(names(dir.path()), ["a.bin"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let plain = dir.path().join("plain");
            fs::write(&plain, "").unwrap();
            let mode = |path| fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode(&path), mode(&plain), "temporary files are private, results are not");
        }
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        fs::write(&path, "old").unwrap();
        let error = write_atomic(&path, |file| {
            file.write_all(&[7; 100_000])?;
            Err(io::ErrorKind::StorageFull.into())
        });
        let message = error.unwrap_err().to_string();
        assert!(message.contains("a.bin") && message.contains("free some space"), "{message}");
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), names(dir.path())),
            ("old", vec!["a.bin".into()])
        );
        let panicked = std::panic::catch_unwind(|| write_atomic(&path, |_| panic!("in the middle")));
        assert!(panicked.is_err());
        assert_eq!(names(dir.path()), ["a.bin"]);
    }

    #[test]
    fn wrong_places_say_what_to_change() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: PathBuf| write_atomic(path, |_| Ok(())).unwrap_err().to_string();
        assert!(write(dir.path().join("no/such/folder.bin")).contains("create the folder first"));
        assert!(write(dir.path().into()).contains("name a file in it"));
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(write(dir.path().join("file/below")).contains("correct the path"));
    }

    #[test]
    fn what_cannot_be_written_is_known_before_and_nothing_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let check = |path: PathBuf| check_writable(path).unwrap_err().to_string();
        assert!(check(dir.path().join("no/such/folder.bin")).contains("create the folder first"));
        assert!(check(dir.path().into()).contains("name a file in it"));
        fs::write(dir.path().join("file"), "old").unwrap();
        assert!(check(dir.path().join("file/below")).contains("correct the path"));
        check_writable(dir.path().join("file")).unwrap();
        check_writable(dir.path().join("new")).unwrap();
        assert_eq!(names(dir.path()), ["file"]);
        assert_eq!(fs::read_to_string(dir.path().join("file")).unwrap(), "old");
        make_folder(dir.path().join("a/b")).unwrap();
        check_writable(dir.path().join("a/b/new")).unwrap();
        assert!(make_folder(dir.path().join("file/c")).unwrap_err().to_string().contains("correct the path"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_and_stays_a_device() {
        let message = write_atomic("/dev/full", |file| file.write_all(b"x")).unwrap_err().to_string();
        assert!(message.contains("/dev/full") && message.contains("free some space"), "{message}");
        assert!(!fs::metadata("/dev/full").unwrap().is_file());
        write_atomic("/dev/null", |file| file.write_all(b"x")).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_links() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        write_atomic(&link, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
