//! Pictures and arrays in files, and images made smaller or larger.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
    str::FromStr,
};

use image::{
    DynamicImage, ExtendedColorType, GrayImage, ImageDecoder, ImageEncoder, ImageError, ImageReader, Luma,
    RgbImage,
    codecs::png::{CompressionType, FilterType, PngEncoder},
    imageops,
};
use npyz::WriterBuilder;

use super::Picture;
use crate::{
    error::{Error, Result},
    files::write_atomic,
    images::ImageSet,
};

/// What to do with a picture that has not the size the model wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fit {
    /// Refuse it.
    #[default]
    Exact,
    /// Cut the longer side and scale, so that it fills the square.
    Fill,
    /// Scale the longer side to the square and leave black margins.
    Pad,
}

impl FromStr for Fit {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "exact" => Ok(Self::Exact),
            "fill" => Ok(Self::Fill),
            "pad" => Ok(Self::Pad),
            _ => Err(Error::config("--fit", format!("`{name}` is not known"), "use exact, fill or pad")),
        }
    }
}

/// Saves a picture as PNG, all of it or nothing.
///
/// # Errors
/// [`Error::Io`] with what to change.
pub fn save_png(path: impl AsRef<Path>, picture: &Picture) -> Result<()> {
    let (width, height) = (picture.width as u32, picture.height as u32);
    write_atomic(path, |file| {
        // encoded in memory, because the encoder hides the disk's reasons
        let mut png = Vec::new();
        PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive)
            .write_image(&picture.rgb, width, height, ExtendedColorType::Rgb8)
            .map_err(io::Error::other)?;
        file.write_all(&png)
    })
}

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
    let bytes = std::fs::read(path)
        .map_err(|source| Error::io(path, source, "check that the file is there and that you may read it"))?;
    let array = npyz::NpyFile::new(&bytes[..]).map_err(|e| broken(format!("is not a NumPy array ({e})")))?;
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

/// Reads a picture as 8-bit RGB, turned upright; transparent parts lie on white.
///
/// The format is seen from the content, not from the name. Of a moving picture, the first frame.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened, [`Error::Data`] if it cannot be decoded.
pub fn decode(path: &Path) -> Result<ImageSet> {
    let reader = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|source| Error::io(path, source, "check that the file is there and that you may read it"))?;
    let broken = |error: ImageError| {
        let fix = "use a whole PNG, JPEG, BMP, WebP or GIF file, or take it away";
        Error::data(path, format!("cannot be decoded as a picture ({error})"), fix)
    };
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let orientation = decoder.orientation().map_err(broken)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);
    let rgb = match picture.color().has_alpha() {
        true => on_white(picture),
        false => picture.into_rgb8(),
    };
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    if width == 0 || height == 0 {
        return Err(Error::data(path, "is a picture without pixels", "take it away"));
    }
    let pixels = (0..3).flat_map(|channel| rgb.as_raw().iter().skip(channel).step_by(3).copied()).collect();
    Ok(ImageSet {
        name: String::new(),
        licence: String::new(),
        channels: 3,
        height,
        width,
        pixels,
        labels: None,
    })
}

/// Reads a user's picture as `[c, h, w]` in [0, 1], `shape` being what a model takes.
///
/// # Errors
/// As [`decode`], and [`Error::Data`] if the picture has another size and `fit` is [`Fit::Exact`], or
/// [`Error::Config`] for a shape that is not a square of 1 or 3 channels.
pub fn load_image(path: &Path, shape: [usize; 3], fit: Fit) -> Result<Vec<f32>> {
    let [channels, height, width] = shape;
    let fits_exactly = fit == Fit::Exact;
    if !matches!(channels, 1 | 3) || (!fits_exactly && height != width) {
        let problem = format!("cannot fill the shape {shape:?}");
        return Err(Error::config("a picture", problem, "use a model of squares with 1 or 3 channels"));
    }
    let mut picture = decode(path)?;
    match fit {
        Fit::Exact if picture.shape()[1..] != shape[1..] => {
            let problem =
                format!("has {} x {} pixels instead of {width} x {height}", picture.width, picture.height);
            return Err(Error::data(path, problem, "resize the picture, or let it be fitted"));
        }
        Fit::Exact => {}
        Fit::Fill => picture = picture.resized(width),
        Fit::Pad => {
            let side = picture.height.max(picture.width);
            picture = picture.padded(side).resized(width);
        }
    }
    if channels == 1 {
        picture = picture.grayed();
    }
    Ok(picture.pixels.iter().map(|&byte| byte as f32 / 255.).collect())
}

impl ImageSet {
    /// The images scaled to a square of side `size`, after cutting the longer side to the shorter one.
    ///
    /// A triangle filter as wide as the scale asks, so shrinking averages and does not alias.
    pub fn resized(self, size: usize) -> Self {
        if self.shape()[1..] == [size, size] {
            return self;
        }
        let square = self.height.min(self.width);
        let set = self.cropped(square, square);
        let mut pixels = Vec::with_capacity(set.len() * set.channels * size * size);
        for plane in set.pixels.chunks_exact(square * square) {
            let at = |x, y| Luma([plane[y as usize * square + x as usize]]);
            let plane = GrayImage::from_fn(square as u32, square as u32, at);
            let scaled = imageops::resize(&plane, size as u32, size as u32, imageops::FilterType::Triangle);
            pixels.extend_from_slice(scaled.as_raw());
        }
        Self { height: size, width: size, pixels, ..set }
    }
}

fn on_white(picture: DynamicImage) -> RgbImage {
    let rgba = picture.into_rgba8();
    let mut rgb = RgbImage::new(rgba.width(), rgba.height());
    for (to, from) in rgb.pixels_mut().zip(rgba.pixels()) {
        let [.., alpha] = from.0.map(u32::from);
        for (to, &from) in to.0.iter_mut().zip(&from.0) {
            *to = ((from as u32 * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Grid;

    #[test]
    fn a_grid_survives_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("grid.png");
        let values: Vec<f32> = (0..2 * 3 * 4 * 4).map(|i| i as f32 / 95.).collect();
        let picture = Grid { scale: 3, ..Grid::default() }.draw(&values, [2, 3, 4, 4]).unwrap();
        save_png(&path, &picture).unwrap();
        assert_eq!(image::open(&path).unwrap().into_rgb8().into_raw(), picture.rgb);
        let message = |path: &Path| save_png(path, &picture).unwrap_err().to_string();
        assert!(message(&dir.path().join("no/grid.png")).contains("create the folder first"));
        #[cfg(target_os = "linux")]
        assert!(message(Path::new("/dev/full")).contains("free some space"));
    }

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
        assert!(load_npy(dir.path().join("none.npy")).is_err());
        assert!(save_npy(&path, &[2, 2], &values).is_err());
        assert!(save_npy(&path, &[usize::MAX, 8], &values).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn shrinking_averages() {
        let wide = ImageSet {
            name: String::new(),
            licence: String::new(),
            channels: 1,
            height: 8,
            width: 10,
            pixels: [0, 255].repeat(40),
            labels: None,
        };
        let small = wide.resized(2);
        assert_eq!(small.shape(), [1, 2, 2]);
        assert!(small.pixels.iter().all(|&p| (100..156).contains(&p)), "{:?}", small.pixels);
    }

    #[test]
    fn a_users_picture_is_fitted_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("photo.png");
        RgbImage::from_fn(8, 4, |x, _| image::Rgb([if x < 4 { 255 } else { 0 }, 255, 0]))
            .save(&path)
            .unwrap();
        let load = |shape, fit| load_image(&path, shape, fit);
        let exact = load([3, 4, 8], Fit::Exact).unwrap();
        assert_eq!((exact[0], exact[7], exact[32], exact[64]), (1., 0., 1., 0.));
        let message = load([3, 4, 4], Fit::Exact).unwrap_err().to_string();
        assert!(message.contains("photo.png: has 8 x 4 pixels instead of 4 x 4"), "{message}");
        let fill = load([3, 4, 4], Fit::Fill).unwrap();
        assert_eq!(fill[..4], [1., 1., 0., 0.], "the middle of the longer side");
        let pad = load([1, 4, 4], Fit::Pad).unwrap();
        assert!(pad[0] < 0.2 && pad[5] > 0.5 && pad.len() == 16, "{pad:?}");
        assert!(load([2, 4, 4], Fit::Fill).is_err());
        std::fs::write(&path, "not a picture").unwrap();
        assert!(load([3, 4, 4], Fit::Fill).unwrap_err().to_string().contains("photo.png"));
        assert!(load_image(&dir.path().join("none.png"), [3, 4, 4], Fit::Fill).is_err());
    }
}
