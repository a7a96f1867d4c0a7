//! Fetching the public data sets: which files, from where, and how they are unpacked.
//!
//! A new data set is an entry in [`remote_files`]. Every file is pinned by its length and SHA-256, so a
//! mirror need not be trusted.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;

use super::{Dataset, Split, cifar, idx};
use crate::{
    error::{Error, Result},
    fetch::{self, fetch},
    files::{advice, write_atomic},
};

/// Environment variable with the base address of a mirror: it serves `<base>/<data set>/<file>`.
pub const MIRROR_VARIABLE: &str = "SCOREFIELD_MIRROR";

/// A file, where it is kept, and what it must contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its name, on the server and on disk.
    pub name: &'static str,
    /// Its length.
    pub bytes: u64,
    /// Lower-case hexadecimal SHA-256 of all of it.
    pub sha256: &'static str,
    /// Addresses that end in `/`, tried in this order.
    pub bases: &'static [&'static str],
}

const MNIST: &[&str] = &[
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
];
const FASHION_MNIST: &[&str] = &[
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
];
const CIFAR10: &[&str] = &["https://www.cs.toronto.edu/~kriz/"];

/// The files of a data set; none if it has no public address.
pub fn remote_files(dataset: Dataset) -> Vec<RemoteFile> {
    let file = |bases, name, bytes, sha256| RemoteFile { name, bytes, sha256, bases };
    match dataset {
        Dataset::Mnist => vec![
            file(
                MNIST,
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            file(
                MNIST,
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            file(
                MNIST,
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            file(
                MNIST,
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ],
        Dataset::FashionMnist => vec![
            file(
                FASHION_MNIST,
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            file(
                FASHION_MNIST,
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            file(
                FASHION_MNIST,
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            file(
                FASHION_MNIST,
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ],
        Dataset::Cifar10 => vec![file(
            CIFAR10,
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        )],
        _ => Vec::new(),
    }
}

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
        let files = remote_files(dataset);
        if files.is_empty() {
            let fix = "get it from its authors and name its folder with --data-dir";
            return Err(Error::config("data set", format!("`{dataset}` cannot be downloaded"), fix));
        }
        if dataset == Dataset::Cifar10
            && [Split::Train, Split::Test].iter().all(|&s| cifar::is_complete(dir, s))
        {
            return Ok(());
        }
        fs::create_dir_all(dir).map_err(|source| {
            let fix = advice(&source);
            Error::io(dir, source, fix)
        })?;
        for file in files {
            let path = dir.join(file.name);
            let was_there = path.exists();
            if idx::find(dir, file.name.trim_end_matches(".gz")).is_some() {
                continue;
            }
            fetch(&self.urls(dataset, &file), file.bytes, file.sha256, &path)?;
            if dataset == Dataset::Cifar10 {
                unpack_cifar(&path)?;
                if !was_there {
                    // 170 MB that nobody needs any more, but no harm if they stay
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

/// Takes the batches out of the archive, into its folder. Other entries, and the folders in it, are ignored.
fn unpack_cifar(archive: &Path) -> Result<()> {
    let dir = archive.parent().unwrap_or(Path::new("."));
    let wanted = || [Split::Train, Split::Test].into_iter().flat_map(cifar::file_names);
    let damaged = |error: io::Error| {
        Error::data(archive, format!("cannot be unpacked ({error})"), "delete it and download again")
    };
    let file = fs::File::open(archive).map_err(damaged)?;
    let mut archive = tar::Archive::new(GzDecoder::new(io::BufReader::new(file)));
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path: PathBuf = entry.path().map_err(damaged)?.into_owned();
        if let Some(name) = wanted().find(|&name| path.file_name() == Some(name.as_ref())) {
            write_atomic(dir.join(name), |file| io::copy(&mut entry, file).map(drop))?;
        }
    }
    match wanted().find(|name| !dir.join(name).is_file()) {
        Some(name) => Err(damaged(io::Error::other(format!("there is no {name} in it")))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::data::test_data;

    #[test]
    fn every_downloadable_set_has_pinned_files() {
        for dataset in Dataset::ALL {
            let files = remote_files(dataset);
            assert_eq!(dataset.is_downloadable(), !files.is_empty());
            for file in files {
                assert!(file.sha256.len() == 64 && file.bytes > 0 && !file.bases.is_empty());
                assert!(file.bases.iter().all(|base| base.ends_with('/')));
            }
        }
        let none = Downloader::default().fetch(Dataset::Celeba, Path::new("/nowhere")).unwrap_err();
        assert!(none.to_string().contains("--data-dir"));
    }

    #[test]
    fn the_pins_are_those_of_the_original_files() {
        for dataset in [Dataset::Mnist, Dataset::FashionMnist] {
            let Some(dir) = test_data(dataset.name()) else { continue };
            let files = remote_files(dataset);
            if !files.iter().all(|file| dir.join(file.name).is_file()) {
                continue;
            }
            for file in files {
                let bytes = fs::read(dir.join(file.name)).unwrap();
                assert_eq!(bytes.len() as u64, file.bytes);
                assert_eq!(fetch::hex(&Sha256::digest(&bytes)), file.sha256, "{}", file.name);
            }
            // nothing is missing, so nobody is asked
            Downloader { mirror: Some("http://127.0.0.1:9".into()) }.fetch(dataset, &dir).unwrap();
        }
    }

    #[test]
    fn a_mirror_replaces_every_address() {
        let file = remote_files(Dataset::Mnist)[0];
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
        let mut names = [cifar::file_names(Split::Train), cifar::file_names(Split::Test)].concat();
        names.push("readme.html");
        pack(&names);
        unpack_cifar(&path).unwrap();
        assert_eq!(fs::read(dir.path().join("test_batch.bin")).unwrap(), b"abc");
        assert!(
            !dir.path().join("readme.html").exists() && !dir.path().join("cifar-10-batches-bin").exists()
        );

        fs::remove_file(dir.path().join("test_batch.bin")).unwrap();
        pack(&names[..3]);
        assert!(unpack_cifar(&path).unwrap_err().to_string().contains("there is no test_batch.bin in it"));
        fs::write(&path, "no archive").unwrap();
        assert!(unpack_cifar(&path).unwrap_err().to_string().contains("download again"));
    }
}
