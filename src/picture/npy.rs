//! NumPy arrays in files.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::Path,
};

use npyz::WriterBuilder;

use crate::{
    error::{Error, Result},
    files::write_atomic,
};

/// Most bytes that the header of an array may have; NumPy reads no longer ones either.
const MAX_HEADER: u32 = 10_000;

/// Saves `values` as a NumPy array of 32-bit floats in C order, all of it or nothing.
///
/// # Errors
/// [`Error::Config`] if `shape` does not fit the count of values; [`Error::Io`] with what to change.
pub fn save_npy(path: impl AsRef<Path>, shape: &[usize], values: &[f32]) -> Result<()> {
    if shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis)) != Some(values.len()) {
        let problem = format!("of shape {shape:?} cannot hold {} values", values.len());
        return Err(Error::config("an array", problem, "pass the shape of the values"));
    }
    let shape: Vec<u64> = shape.iter().map(|&axis| axis as u64).collect();
    write_atomic(path, |file| {
        let mut out = BufWriter::new(file);
        let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
        let mut array = options.writer(&mut out).begin_nd()?;
        array.extend(values.iter().copied())?;
        array.finish()?;
        out.flush()
    })
}

/// Reads a NumPy array of 32-bit floats in C order: its shape and its values.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Data`] if it is another kind of array, is cut short, or
/// holds a NaN or an infinity.
pub fn load_npy(path: impl AsRef<Path>) -> Result<(Vec<usize>, Vec<f32>)> {
    let path = path.as_ref();
    let fix = "use a .npy file of float32 as this program writes it";
    let broken = |problem: String| Error::data(path, problem, fix);
    let unreadable =
        |source| Error::io(path, source, "check that the file is there and that you may read it");
    let not_an_array = |error: io::Error| broken(format!("is not a NumPy array ({})", in_one_line(&error)));
    check_start(File::open(path).map_err(unreadable)?).map_err(not_an_array)?;
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let array = npyz::NpyFile::new(&bytes[..]).map_err(not_an_array)?;
    if array.order() != npyz::Order::C {
        return Err(broken("is in Fortran order".into()));
    }
    let shape: Vec<usize> = array.shape().iter().map(|&axis| axis as usize).collect();
    let len = shape.iter().try_fold(4usize, |len, &axis| len.checked_mul(axis));
    if len.is_none_or(|len| len > bytes.len()) {
        return Err(broken(format!("is too short for the shape {shape:?}")));
    }
    let values: Vec<f32> =
        array.into_vec().map_err(|e| broken(format!("cannot be read as float32 ({e})")))?;
    match values.iter().all(|v| v.is_finite()) {
        true => Ok((shape, values)),
        false => Err(broken("holds a NaN or an infinity".into())),
    }
}

/// Reads the start of an array and refuses a header that is longer than any real one, since its reader takes the memory
/// that it asks for.
///
/// # Errors
/// `InvalidData` for such a header, or for what is no array at all; `UnexpectedEof` for less than a start.
pub(crate) fn check_start(mut reader: impl Read) -> io::Result<()> {
    let mut start = [0; 12];
    reader.read_exact(&mut start)?;
    let [.., a, b, c, d] = start;
    let length = match (&start[..6], start[6]) {
        (b"\x93NUMPY", 1) => u16::from_le_bytes([a, b]).into(),
        (b"\x93NUMPY", _) => u32::from_le_bytes([a, b, c, d]),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not start like one")),
    };
    match length <= MAX_HEADER {
        true => Ok(()),
        false => {
            let problem = format!("it claims a header of {length} bytes");
            Err(io::Error::new(io::ErrorKind::InvalidData, problem))
        }
    }
}

/// The reason without the excerpt of the file that may follow it.
pub(crate) fn in_one_line(error: &io::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_keep_every_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("samples.npy");
        let values = [0., -0., 1.5, f32::MIN_POSITIVE, -7e30, f32::NAN];
        save_npy(&path, &[1, 2, 3], &values).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
        let array = npyz::NpyFile::new(&bytes[..]).unwrap();
        assert_eq!((array.shape(), array.dtype().descr().as_str()), (&[1, 2, 3][..], "'<f4'"));
        assert!(load_npy(&path).unwrap_err().to_string().contains("NaN"));
        let read = array.into_vec::<f32>().unwrap();
        assert!(read.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits()));
        save_npy(dir.path().join("finite.npy"), &[5], &values[..5]).unwrap();
        assert_eq!(load_npy(dir.path().join("finite.npy")).unwrap(), (vec![5], values[..5].to_vec()));
        for damaged in [&bytes[..bytes.len() - 1], &bytes[..20], b"\x93NUMPY", b""] {
            std::fs::write(dir.path().join("cut.npy"), damaged).unwrap();
            assert!(load_npy(dir.path().join("cut.npy")).unwrap_err().to_string().contains("float32"));
        }
        let deep = [b"\x93NUMPY\x01\x00", &9000u16.to_le_bytes()[..], &[b'['; 9000]].concat();
        let endless = [b"\x93NUMPY\x02\x00", &u32::MAX.to_le_bytes()[..], b"{"].concat();
        for (hostile, word) in [(deep, "NumPy array"), (endless, "header of 4294967295 bytes")] {
            std::fs::write(dir.path().join("hostile.npy"), hostile).unwrap();
            let message = load_npy(dir.path().join("hostile.npy")).unwrap_err().to_string();
            assert!(message.contains(word) && message.lines().count() == 1, "{message}");
        }
        assert!(load_npy(dir.path().join("none.npy")).is_err());
        assert!(save_npy(&path, &[2, 2], &values).is_err());
        assert!(save_npy(&path, &[usize::MAX, 8], &values).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
