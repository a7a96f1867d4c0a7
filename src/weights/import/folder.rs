//! A published model on a disk.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Bundle;
use crate::{Error, Result};

impl Bundle<'static> {
    /// The model of a folder and the folders in it, or of a file of weights and what lies beside that.
    ///
    /// # Errors
    /// [`Error::Io`] for a folder that cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        // Of a name such as `.` or `weights.safetensors`, where that is.
        let path = path.canonicalize().map_err(|e| unreadable(path, e))?;
        let (folder, name) = match path.is_dir() {
            true => (path.clone(), path.file_name()),
            false => (path.parent().unwrap_or(&path).to_owned(), path.file_stem()),
        };
        let name = name.unwrap_or_default().to_string_lossy().into_owned();
        let mut files = Vec::new();
        for entry in entries(&folder)? {
            match entry.is_dir() {
                true if path.is_dir() => files.extend(entries(&entry)?.into_iter().filter(|e| e.is_file())),
                true => {}
                // Of several files of weights the one that was named is meant.
                false if path.is_file() && entry.extension() == path.extension() && entry != path => {}
                false => files.push(entry),
            }
        }
        let listed = |file: &PathBuf| {
            let length = fs::metadata(file).map_err(|e| unreadable(file, e))?.len();
            let inside = file.strip_prefix(&folder).unwrap_or(file).iter();
            let inside: Vec<_> = inside.map(|part| part.to_string_lossy()).collect();
            Ok((inside.join("/"), length as usize))
        };
        let files = files.iter().map(listed).collect::<Result<Vec<_>>>()?;
        Ok(Self::new(&name, files, move |file, range| {
            let file = folder.join(file);
            piece(&file, range).map_err(|e| unreadable(&file, e))
        }))
    }
}

fn unreadable(path: &Path, problem: io::Error) -> Error {
    Error::io(path, problem, "name a folder or a file that can be read")
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let all = || -> io::Result<_> { fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect() };
    all().map_err(|e| unreadable(folder, e))
}

fn piece(file: &Path, range: Range<usize>) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; range.len()];
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(range.start as u64))?;
    file.read_exact(&mut piece)?;
    Ok(piece)
}
