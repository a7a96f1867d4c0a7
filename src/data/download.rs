//! Fetching the public data sets: from where, and how they are unpacked.
//!
//! Every file is pinned by its length and SHA-256 in its [`Set`](super::Set), so a mirror need not be
//! trusted.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;

use super::{Dataset, RemoteFile};
use crate::{
    error::{Error, Result},
    fetch::fetch,
    files::{make_folder, write_atomic},
};

/// Environment variable with the base address of a mirror: it serves `<base>/<data set>/<file>`.
pub const MIRROR_VARIABLE: &str = "SCOREFIELD_MIRROR";

/// Fetches data sets, from the usual places or from one mirror.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Downloader {
    /// Base address to use instead of the usual ones; see [`MIRROR_VARIABLE`].
    pub mirror: Option<String>,
}

impl Downloader {
    /// With the mirror that the environment names, if it does.
    pub fn from_env() -> Self {
        Self { mirror: std::env::var(MIRROR_VARIABLE).ok().filter(|base| !base.is_empty()) }
    }

    /// Fetches into `dir` what is not there yet, with a progress bar on stderr.
    ///
    /// Interrupted files stay as `.part` and are continued next time. A file appears under its name only
    /// after its SHA-256 has been checked.
    ///
    /// # Errors
    /// [`Error::Config`] if the set has no public address; [`Error::Download`] with what every mirror
    /// answered; [`Error::Io`] if `dir` cannot be written.
    pub fn fetch(&self, dataset: Dataset, dir: &Path) -> Result<()> {
        let set = dataset.set();
        if set.files.is_empty() {
            let fix = "get it from its authors and name its folder with --data-dir";
            return Err(Error::config("data set", format!("`{dataset}` cannot be downloaded"), fix));
        }
        make_folder(dir)?;
        for file in set.files {
            if set.format.has(dir, file) {
                continue;
            }
            let path = dir.join(file.name);
            let was_there = path.exists();
            fetch(&self.urls(dataset, file), file.bytes, file.sha256, &path)?;
            let wanted = set.format.unpacked();
            if !wanted.is_empty() {
                unpack(&path, &wanted)?;
                if !was_there {
                    // an archive that nobody needs any more, but no harm if it stays
                    let _ = fs::remove_file(&path);
                }
            }
        }
        Ok(())
    }

    fn urls(&self, dataset: Dataset, file: &RemoteFile) -> Vec<String> {
        match &self.mirror {
            Some(base) => vec![format!("{}/{dataset}/{}", base.trim_end_matches('/'), file.name)],
            None => file.bases.iter().map(|base| format!("{base}{}", file.name)).collect(),
        }
    }
}

/// Takes the wanted files out of an archive, into its folder. Other entries, and the folders in it, are
/// ignored.
fn unpack(archive: &Path, wanted: &[&str]) -> Result<()> {
    let dir = archive.parent().unwrap_or(Path::new("."));
    let damaged = |error: io::Error| {
        Error::data(archive, format!("cannot be unpacked ({error})"), "delete it and download again")
    };
    let file = fs::File::open(archive).map_err(damaged)?;
    let mut archive = tar::Archive::new(GzDecoder::new(io::BufReader::new(file)));
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path: PathBuf = entry.path().map_err(damaged)?.into_owned();
        if let Some(name) = wanted.iter().find(|&name| path.file_name() == Some(name.as_ref())) {
            write_atomic(dir.join(name), |file| io::copy(&mut entry, file).map(drop))?;
        }
    }
    match wanted.iter().find(|name| !dir.join(name).is_file()) {
        Some(name) => Err(damaged(io::Error::other(format!("there is no {name} in it")))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::{data::formats::test_data, weights::hex};

    #[test]
    fn a_set_without_an_address_says_where_else_to_get_it() {
        let none = Downloader::default().fetch(Dataset::Celeba, Path::new("/nowhere")).unwrap_err();
        assert!(none.to_string().contains("--data-dir"));
    }

    #[test]
    fn the_pins_are_those_of_the_original_files() {
        for dataset in [Dataset::Mnist, Dataset::FashionMnist] {
            let Some(dir) = test_data(dataset.name()) else { continue };
            let files = dataset.remote_files();
            if !files.iter().all(|file| dir.join(file.name).is_file()) {
                continue;
            }
            for file in files {
                let bytes = fs::read(dir.join(file.name)).unwrap();
                assert_eq!(bytes.len() as u64, file.bytes);
                assert_eq!(hex(&Sha256::digest(&bytes)), file.sha256, "{}", file.name);
            }
            // nothing is missing, so nobody is asked
            Downloader { mirror: Some("http://127.0.0.1:9".into()) }.fetch(dataset, &dir).unwrap();
        }
    }

    #[test]
    fn a_mirror_replaces_every_address() {
        let file = Dataset::Mnist.remote_files()[0];
        let mirror = Downloader { mirror: Some("http://host/base/".into()) };
        assert_eq!(mirror.urls(Dataset::Mnist, &file), ["http://host/base/mnist/train-images-idx3-ubyte.gz"]);
        let usual = Downloader::default().urls(Dataset::Mnist, &file);
        assert_eq!(usual[1], "https://storage.googleapis.com/cvdf-datasets/mnist/train-images-idx3-ubyte.gz");
    }

    #[test]
    fn the_archive_is_unpacked_beside_itself_whatever_its_paths() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cifar-10-binary.tar.gz");
        let pack = |names: &[&str]| {
            let gz = flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), Default::default());
            let mut tar = tar::Builder::new(gz);
            for name in names {
                let mut header = tar::Header::new_gnu();
                header.set_size(3);
                header.set_mode(0o644);
                tar.append_data(&mut header, format!("cifar-10-batches-bin/{name}"), &b"abc"[..]).unwrap();
            }
            tar.into_inner().unwrap().finish().unwrap();
        };
        let wanted = Dataset::Cifar10.set().format.unpacked();
        let names = [&wanted[..], &["readme.html"]].concat();
        pack(&names);
        unpack(&path, &wanted).unwrap();
        assert_eq!(fs::read(dir.path().join("test_batch.bin")).unwrap(), b"abc");
        assert!(
            !dir.path().join("readme.html").exists() && !dir.path().join("cifar-10-batches-bin").exists()
        );

        fs::remove_file(dir.path().join("test_batch.bin")).unwrap();
        pack(&names[..3]);
        assert!(unpack(&path, &wanted).unwrap_err().to_string().contains("there is no test_batch.bin in it"));
        fs::write(&path, "no archive").unwrap();
        assert!(unpack(&path, &wanted).unwrap_err().to_string().contains("download again"));
    }
}
