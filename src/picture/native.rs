//! Pictures in files, and images made smaller or larger.

use std::{
    io::{self, Write},
    path::Path,
    str::FromStr,
};

use image::{
    DynamicImage, ExtendedColorType, GrayImage, ImageDecoder, ImageEncoder, ImageError, ImageFormat,
    ImageReader, Luma, RgbImage,
    codecs::png::{CompressionType, FilterType, PngEncoder},
    imageops,
    metadata::Orientation,
};

use super::{Picture, profile};
use crate::{
    error::{Error, Result},
    files::write_atomic,
    images::ImageSet,
};

/// Most pixels of a picture: above those of most cameras, and 200 MB in memory.
const MAX_PIXELS: u64 = 1 << 26;

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

/// Reads a picture as 8-bit sRGB, turned upright; transparent parts lie on white.
///
/// The format is seen from the content, not from the name. Of a moving picture, the first frame. Colours are those of
/// the profile in the file, if there is one. A browser reads the same.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened, [`Error::Data`] if it cannot be decoded or claims more than 2^26 pixels,
/// which is seen before any of them is decoded.
pub fn decode(path: &Path) -> Result<ImageSet> {
    Unread::open(path)?.decode()
}

/// A picture of which only the header has been read, so that one of a wrong size costs nothing.
struct Unread<'a> {
    path: &'a Path,
    format: Option<ImageFormat>,
    decoder: Box<dyn ImageDecoder + 'a>,
    orientation: Orientation,
}

impl<'a> Unread<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let reader =
            ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(|source| {
                Error::io(path, source, "check that the file is there and that you may read it")
            })?;
        let format = reader.format();
        let mut decoder = reader.into_decoder().map_err(|error| broken(path, error))?;
        let orientation = decoder.orientation().map_err(|error| broken(path, error))?;
        let unread = Self { path, format, decoder: Box::new(decoder), orientation };
        let [height, width] = unread.size();
        match height as u64 * width as u64 {
            0 => Err(Error::data(path, "is a picture without pixels", "take it away")),
            1..=MAX_PIXELS => Ok(unread),
            _ => {
                let problem = format!("claims {width} x {height} pixels, more than {MAX_PIXELS} in all");
                Err(Error::data(path, problem, "make it smaller, or take it away"))
            }
        }
    }

    /// Rows and columns of the upright picture.
    fn size(&self) -> [usize; 2] {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        let (width, height) = self.decoder.dimensions();
        let lies = matches!(self.orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH);
        let (width, height) = if lies { (height, width) } else { (width, height) };
        [height as usize, width as usize]
    }

    fn decode(mut self) -> Result<ImageSet> {
        let [height, width] = self.size();
        let broken = |error| broken(self.path, error);
        let profile = match self.format {
            Some(ImageFormat::Png) => profile::of_png(self.path),
            _ => self.decoder.icc_profile().ok().flatten().as_deref().and_then(profile::of_icc),
        };
        let mut picture = DynamicImage::from_decoder(self.decoder).map_err(broken)?;
        picture.apply_orientation(self.orientation);
        if let Some(profile) = profile {
            picture = profile::to_srgb(picture, &profile);
        }
        let rgb = match picture.color().has_alpha() {
            true => on_white(picture),
            false => picture.into_rgb8(),
        };
        let pixels =
            (0..3).flat_map(|channel| rgb.as_raw().iter().skip(channel).step_by(3).copied()).collect();
        Ok(ImageSet {
            name: String::new(),
            licence: String::new(),
            channels: 3,
            height,
            width,
            pixels,
            labels: None,
            class_names: Vec::new(),
        })
    }
}

fn broken(path: &Path, error: ImageError) -> Error {
    let fix = "use a whole PNG, JPEG, BMP, WebP or GIF file, or take it away";
    Error::data(path, format!("cannot be decoded as a picture ({error})"), fix)
}

/// Reads a user's picture as `[c, h, w]` in [0, 1], `shape` being what a model takes.
///
/// # Errors
/// As [`decode`], and [`Error::Data`] if the picture has another size and `fit` is [`Fit::Exact`], which is seen before
/// it is decoded, or [`Error::Config`] for a shape that is not a square of 1 or 3 channels.
pub fn load_image(path: &Path, shape: [usize; 3], fit: Fit) -> Result<Vec<f32>> {
    let [channels, height, width] = shape;
    let fits_exactly = fit == Fit::Exact;
    if !matches!(channels, 1 | 3) || (!fits_exactly && height != width) {
        let problem = format!("cannot fill the shape {shape:?}");
        return Err(Error::config("a picture", problem, "use a model of squares with 1 or 3 channels"));
    }
    let unread = Unread::open(path)?;
    let [rows, columns] = unread.size();
    if fits_exactly && [rows, columns] != [height, width] {
        let problem = format!("has {columns} x {rows} pixels instead of {width} x {height}");
        return Err(Error::data(path, problem, "resize the picture, or add --fit fill or --fit pad"));
    }
    let mut picture = unread.decode()?;
    match fit {
        Fit::Exact => {}
        Fit::Fill => picture = picture.resized(width),
        Fit::Pad => picture = picture.padded(rows.max(columns)).resized(width),
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
mod tests;
