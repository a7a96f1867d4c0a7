//! Colours of other colour spaces than sRGB. As in browsers, colours are taken to be sRGB where a file says nothing, or
//! what it says cannot be read or is of another kind of colours than its picture.

use std::{fs::File, io::BufReader, path::Path};

use image::{DynamicImage, ImageBuffer, Rgba};
use moxcms::{
    Chromaticity, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace, Layout, MatrixCoefficients,
    ToneReprCurve, TransformOptions,
};
use png::{CodingIndependentCodePoints, Info, ScaledFloat, SourceChromaticities};

/// A gamma of 1/2.2, as PNG files have it. Without primaries beside it, it means sRGB.
const USUAL_GAMMA: u32 = 45_455;

/// The colours that an ICC profile describes.
pub fn of_icc(icc: &[u8]) -> Option<ColorProfile> {
    ColorProfile::new_from_slice(icc).ok()
}

/// The colours of a PNG file, which has four ways to say it; the first one counts (PNG 3, section 4.3).
pub fn of_png(path: &Path) -> Option<ColorProfile> {
    let reader = png::Decoder::new(BufReader::new(File::open(path).ok()?)).read_info().ok()?;
    let info = reader.info();
    if let Some(code_points) = info.coding_independent_code_points {
        of_code_points(code_points)
    } else if let Some(icc) = &info.icc_profile {
        of_icc(icc)
    } else if info.srgb.is_some() {
        None
    } else {
        of_gamma(info)
    }
}

fn of_code_points(code_points: CodingIndependentCodePoints) -> Option<ColorProfile> {
    let mut profile = ColorProfile::new_srgb();
    // It stays sRGB where the numbers stand for nothing. What is returned does not tell.
    let _ = profile.update_rgb_colorimetry_from_cicp(CicpProfile {
        color_primaries: code_points.color_primaries.try_into().ok()?,
        transfer_characteristics: code_points.transfer_function.try_into().ok()?,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    Some(profile)
}

fn of_gamma(info: &Info<'_>) -> Option<ColorProfile> {
    let (gamma, primaries) = (info.gama_chunk?, info.chrm_chunk);
    if gamma.into_scaled() == 0 || (primaries.is_none() && gamma.into_scaled() == USUAL_GAMMA) {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    // The name of a known curve would go before the curve itself.
    profile.cicp = None;
    if let Some(SourceChromaticities { white, red, green, blue }) = primaries {
        let place = |(x, y): (ScaledFloat, ScaledFloat)| Chromaticity::new(x.into_value(), y.into_value());
        let [red, green, blue] = [red, green, blue].map(place);
        profile.update_rgb_colorimetry(place(white).to_xyyb(), ColorPrimaries { red, green, blue });
    }
    let curve = ToneReprCurve::Parametric(vec![gamma.into_value().recip()]);
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
    Some(profile)
}

/// `picture`, whose colours are those of `profile`, in sRGB.
pub fn to_srgb(picture: DynamicImage, profile: &ColorProfile) -> DynamicImage {
    convert(&picture, profile).map_or(picture, DynamicImage::from)
}

/// In 16 bits, so that bytes are rounded once.
fn convert(picture: &DynamicImage, profile: &ColorProfile) -> Option<ImageBuffer<Rgba<u16>, Vec<u16>>> {
    let (source, layout) = match profile.color_space {
        DataColorSpace::Rgb => (picture.to_rgba16().into_raw(), Layout::Rgba),
        DataColorSpace::Gray if !picture.color().has_color() => {
            (picture.to_luma_alpha16().into_raw(), Layout::GrayAlpha)
        }
        _ => return None,
    };
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let transform = profile.create_transform_16bit(layout, &srgb, Layout::Rgba, options).ok()?;
    let (width, height) = (picture.width(), picture.height());
    let mut converted = vec![0; 4 * width as usize * height as usize];
    transform.transform(&source, &mut converted).ok()?;
    ImageBuffer::from_raw(width, height, converted)
}
