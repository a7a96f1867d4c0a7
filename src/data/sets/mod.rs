//! What is known of each data set, one file a set: words and numbers, without any reader.
//!
//! To add one whose [`Format`] is known: a file with a `SET`, its `mod` line and its line in the `sets!` list
//! below. Its name, title, licence, help text, download and the defaults of its shape follow from the file.

pub mod avatars;
pub mod celeba;
pub mod cifar10;
pub mod fashion_mnist;
pub mod folder;
pub mod letters;
pub mod mnist;
pub mod npz;
pub mod synthetic;

use std::{fmt, ops::RangeInclusive, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What is known of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// The name on the command line, in configuration files and of the folder below the data directory: the
    /// variant's in kebab case.
    pub name: &'static str,
    /// What its images show, for people.
    pub title: &'static str,
    /// Under which terms the images may be used, as far as their authors say; `None` for the user's own
    /// files, which are only looked for where the user says.
    pub licence: Option<&'static str>,
    /// Who reads it.
    pub format: Format,
    /// What `--download` fetches; nothing if there is no public address.
    pub files: &'static [RemoteFile],
    /// Side of the centred square that is cut out, if the user asks for no other.
    pub crop: Option<usize>,
    /// Side to which images are resized, if the user asks for no other.
    pub size: Option<usize>,
    /// What its classes are called, in the order of their numbers; none if the files say it, or nobody does.
    pub class_names: &'static [&'static str],
}

/// How a data set lies in files, and so who reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// The four IDX files of MNIST.
    Idx,
    /// The binary version of CIFAR-10.
    Cifar,
    /// A folder of pictures, in which `train` and `test` are the parts and other folders the classes.
    Folder,
    /// A folder of pictures that are named by numbers, which say to which part each belongs.
    Numbered {
        /// The folder's name in its archive.
        folder: &'static str,
        /// The pictures to learn from.
        train: RangeInclusive<u32>,
        /// The pictures to measure with.
        test: RangeInclusive<u32>,
    },
    /// A NumPy archive.
    Npz,
    /// No file at all: digits drawn by [`synthetic`](super::synthetic).
    Drawn,
}

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

macro_rules! sets {
    ($($(#[$attribute:meta])* $Variant:ident => $file:ident),+ $(,)?) => {
        /// The data sets that can be asked for by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum Dataset {
            $(
                #[doc = concat!("[`", stringify!($file), "`](crate::data::sets::", stringify!($file), ")")]
                $(#[$attribute])*
                $Variant,
            )+
        }

        impl Dataset {
            /// Every data set, in the order of the help text.
            pub const ALL: &[Self] = &[$(Self::$Variant),+];

            /// What is known of it.
            pub fn set(self) -> &'static Set {
                match self {
                    $(Self::$Variant => &$file::SET,)+
                }
            }
        }
    };
}

sets! {
    #[default]
    Mnist => mnist,
    FashionMnist => fashion_mnist,
    Cifar10 => cifar10,
    Celeba => celeba,
    Letters => letters,
    Avatars => avatars,
    Folder => folder,
    Npz => npz,
    Synthetic => synthetic,
}

impl Dataset {
    /// The name on the command line, in configuration files and of the folder below the data directory.
    pub fn name(self) -> &'static str {
        self.set().name
    }

    /// What its images show, for people.
    pub fn title(self) -> &'static str {
        self.set().title
    }

    /// Under which terms the images may be used, as far as their authors say; `None` for the user's own
    /// files.
    pub fn licence(self) -> Option<&'static str> {
        self.set().licence
    }

    /// Whether the images are the user's own, who alone knows where they are and what they are called.
    pub fn is_own(self) -> bool {
        self.licence().is_none()
    }

    /// The files of the set at its public address; none if it has no such address.
    pub fn remote_files(self) -> &'static [RemoteFile] {
        self.set().files
    }

    /// Whether `--download` knows where to get it.
    pub fn is_downloadable(self) -> bool {
        !self.remote_files().is_empty()
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Dataset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|set| set.name() == name).ok_or_else(|| {
            let known = Self::ALL.iter().map(|set| set.name()).collect::<Vec<_>>().join(", ");
            Error::config("data set", format!("`{name}` is not known"), format!("use one of {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_keeps_what_the_registry_promises() {
        let readme = include_str!("../../../README.md");
        let paragraph = readme.split("\n\n").find(|paragraph| paragraph.starts_with("Data sets:"));
        for (i, &dataset) in Dataset::ALL.iter().enumerate() {
            let name = dataset.name();
            assert_eq!(name.parse::<Dataset>().unwrap(), dataset);
            assert_eq!(dataset.to_string(), name);
            let text = serde_json::to_string(&dataset).unwrap();
            assert_eq!(text, format!("\"{name}\""), "configuration files and the command line agree");
            assert_eq!(serde_json::from_str::<Dataset>(&text).unwrap(), dataset);
            assert!(Dataset::ALL[..i].iter().all(|other| other.name() != name), "{name} is one set only");
            assert!(!dataset.title().is_empty() && dataset.licence() != Some(""), "{name}");
            for file in dataset.remote_files() {
                let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                assert!(file.sha256.len() == 64 && file.sha256.chars().all(is_hex), "{}", file.name);
                assert!(file.bytes > 0 && !file.bases.is_empty(), "{}", file.name);
                assert!(file.bases.iter().all(|base| base.ends_with('/')), "{}", file.name);
            }
            let mentioned = format!("`{name}`");
            assert!(paragraph.is_some_and(|text| text.contains(&mentioned)), "README leaves out {name}");
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let message = "minst".parse::<Dataset>().unwrap_err().to_string();
        assert!(message.contains("`minst`") && message.contains("fashion-mnist"), "{message}");
        assert_eq!(Dataset::default(), Dataset::Mnist);
    }
}
