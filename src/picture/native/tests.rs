use std::fs;

use image::{
    Frame, Rgb, Rgba, RgbaImage,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder, webp::WebPEncoder},
};
use moxcms::ColorProfile;
use png::{BitDepth, ColorType, chunk::ChunkType};

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
fn shrinking_averages() {
    let wide = ImageSet {
        name: String::new(),
        licence: String::new(),
        channels: 1,
        height: 8,
        width: 10,
        pixels: [0, 255].repeat(40),
        labels: None,
        class_names: Vec::new(),
    };
    let small = wide.resized(2);
    assert_eq!(small.shape(), [1, 2, 2]);
    assert!(small.pixels.iter().all(|&p| (100..156).contains(&p)), "{:?}", small.pixels);
}

#[test]
fn a_users_picture_is_fitted_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("photo.png");
    RgbImage::from_fn(8, 4, |x, _| image::Rgb([if x < 4 { 255 } else { 0 }, 255, 0])).save(&path).unwrap();
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
/// The bytes `[h, w, 3]` of the picture in these bytes.
fn read(bytes: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let set = decode(file.path()).unwrap();
    let plane = set.height * set.width;
    (0..3 * plane).map(|i| set.pixels[i % 3 * plane + i / 3]).collect()
}

#[track_caller]
fn assert_near(found: &[u8], expected: &[u8], tolerance: u8) {
    let far = found.iter().zip(expected).any(|(a, b)| a.abs_diff(*b) > tolerance);
    assert!(found.len() == expected.len() && !far, "{found:?} is not {expected:?}");
}

/// Pixels of one row as PNG, with chunks before them.
fn png(color: ColorType, depth: BitDepth, width: u32, row: &[u8], chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, 1);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == ColorType::Indexed {
        encoder.set_palette(&[255, 0, 0, 0, 0, 255][..]);
        encoder.set_trns(&[128][..]);
    }
    let mut writer = encoder.write_header().unwrap();
    for (name, content) in chunks {
        writer.write_chunk(ChunkType(**name), content).unwrap();
    }
    writer.write_image_data(row).unwrap();
    writer.finish().unwrap();
    bytes
}

const GAMMA_1: &[u8] = &100_000_u32.to_be_bytes();
const GAMMA_2_2: &[u8] = &45_455_u32.to_be_bytes();

/// White, red, green and blue of sRGB, or with another green, of Adobe RGB.
fn primaries(green: [u32; 2]) -> Vec<u8> {
    let [x, y] = green;
    [31_270, 32_900, 64_000, 33_000, x, y, 15_000, 6000].into_iter().flat_map(u32::to_be_bytes).collect()
}

/// Expected are the values that Chromium 156 shows.
#[test]
fn png_files_say_their_colours_in_four_ways() {
    let of = |chunks: &[(&[u8; 4], &[u8])]| {
        read(&png(ColorType::Rgb, BitDepth::Eight, 2, &[200, 160, 60, 20, 40, 90], chunks))
    };
    let (srgb, adobe) = (primaries([30_000, 60_000]), primaries([21_000, 71_000]));
    let plain = [200, 160, 60, 20, 40, 90];
    assert_eq!(of(&[]), plain);
    assert_eq!(of(&[(b"gAMA", GAMMA_2_2)]), plain);
    assert_eq!(of(&[(b"cHRM", &adobe)]), plain);
    assert_near(&of(&[(b"gAMA", GAMMA_1)]), &[229, 208, 133, 79, 110, 160], 1);
    assert_near(&of(&[(b"gAMA", GAMMA_2_2), (b"cHRM", &srgb)]), &[201, 161, 57, 12, 35, 90], 1);
    assert_near(&of(&[(b"gAMA", GAMMA_2_2), (b"cHRM", &adobe)]), &[215, 161, 46, 0, 35, 91], 1);
    assert_eq!(of(&[(b"sRGB", &[0]), (b"gAMA", GAMMA_1)]), plain);
    assert_near(&of(&[(b"cICP", &[12, 13, 0, 1])]), &[208, 158, 27, 12, 41, 93], 1);
    assert_near(&of(&[(b"cICP", &[1, 13, 0, 1]), (b"gAMA", GAMMA_1)]), &plain, 1);
    let gray = png(ColorType::Grayscale, BitDepth::Eight, 2, &[100, 200], &[(b"gAMA", GAMMA_1)]);
    assert_near(&read(&gray), &[168, 168, 168, 229, 229, 229], 1);
}

#[test]
fn every_depth_and_kind_of_transparency_is_read() {
    let words = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    let deep = png(ColorType::Rgb, BitDepth::Sixteen, 1, &words(&[0xc800, 0xff00, 0x8080]), &[]);
    assert_near(&read(&deep), &[200, 255, 128], 1);
    let clear = words(&[0xffff, 0x8000, 0, 0x4000]);
    let clear = png(ColorType::Rgba, BitDepth::Sixteen, 1, &clear, &[]);
    assert_near(&read(&clear), &[255, 223, 191], 1);
    let palette = png(ColorType::Indexed, BitDepth::Eight, 2, &[0, 1], &[]);
    assert_near(&read(&palette), &[255, 127, 127, 0, 0, 255], 1);
    let keyed = [(b"tRNS", &words(&[7, 8, 9])[..])];
    let keyed = png(ColorType::Rgb, BitDepth::Eight, 2, &[7, 8, 9, 7, 8, 8], &keyed);
    assert_eq!(read(&keyed), [255, 255, 255, 7, 8, 8]);
}

/// A picture as PNG, WebP and JPEG, each with a profile and an orientation.
fn in_formats(picture: &RgbImage, icc: Option<&[u8]>, orientation: u8) -> [Vec<u8>; 3] {
    fn write(mut encoder: impl ImageEncoder, picture: &RgbImage, icc: Option<&[u8]>, orientation: u8) {
        if let Some(icc) = icc {
            encoder.set_icc_profile(icc.to_vec()).unwrap();
        }
        // A TIFF file of one entry.
        let start = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0";
        let exif = [&start[..], &[orientation], &[0; 7]].concat();
        encoder.set_exif_metadata(exif).unwrap();
        let (width, height) = picture.dimensions();
        encoder.write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8).unwrap();
    }
    let mut files = [const { Vec::new() }; 3];
    let [png, webp, jpeg] = &mut files;
    write(PngEncoder::new(png), picture, icc, orientation);
    write(WebPEncoder::new_lossless(webp), picture, icc, orientation);
    write(JpegEncoder::new_with_quality(jpeg, 100), picture, icc, orientation);
    files
}

/// (200, 160, 60) of Adobe RGB is (215, 161, 47) to a colour-managed reader.
#[test]
fn profiles_are_turned_into_srgb_in_every_format() {
    let flat = RgbImage::from_pixel(8, 8, Rgb([200, 160, 60]));
    let [adobe, srgb] =
        [ColorProfile::new_adobe_rgb(), ColorProfile::new_srgb()].map(|profile| profile.encode().unwrap());
    for file in in_formats(&flat, Some(&adobe), 1) {
        assert_near(&read(&file)[..3], &[215, 161, 47], 2);
    }
    for icc in [None, Some(&srgb[..]), Some(b"no profile")] {
        for file in in_formats(&flat, icc, 1) {
            assert_near(&read(&file)[..3], &[200, 160, 60], 1);
        }
    }
}

#[test]
fn pictures_are_turned_upright_in_every_format() {
    let (red, blue) = (Rgb([250, 0, 0]), Rgb([0, 0, 250]));
    let lying = RgbImage::from_fn(32, 16, |x, _| if x < 16 { red } else { blue });
    for file in in_formats(&lying, None, 6) {
        let upright = read(&file);
        assert_eq!(upright.len(), 3 * 32 * 16);
        // The second row, which lying would be the right half of the first.
        assert_near(&upright[3 * 24..][..3], &red.0, 3);
        assert_near(&upright[3 * (32 * 16 - 24)..][..3], &blue.0, 3);
    }
}

#[test]
fn of_moving_pictures_the_first_frame_is_read() {
    let mut gif = Vec::new();
    let frame = |color| Frame::new(RgbaImage::from_pixel(2, 1, Rgba(color)));
    let frames = [frame([200, 0, 0, 255]), frame([0, 0, 200, 255])];
    GifEncoder::new(&mut gif).encode_frames(frames).unwrap();
    assert_near(&read(&gif), &[200, 0, 0, 200, 0, 0], 2);
}

/// Headers of five formats without the pixels that they claim.
#[test]
fn what_a_header_claims_is_checked_before_anything_is_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("claim.png");
    let claiming = |width: u32, height: u32| {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_depth(BitDepth::One);
        encoder.write_header().unwrap().write_chunk(png::chunk::IDAT, &[]).unwrap();
        bytes
    };
    let [.., mut jpeg] = in_formats(&RgbImage::new(8, 8), None, 1);
    let mut webp = Vec::new();
    let simple = WebPEncoder::new_lossless(&mut webp);
    simple.encode(&[0; 3 * 8 * 8], 8, 8, ExtendedColorType::Rgb8).unwrap();
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff);
    let pixels = webp.windows(4).position(|name| name == b"VP8L").unwrap() + 9;
    webp[pixels..pixels + 4].copy_from_slice(&[0xfe, 0xbf, 0xff, 0x0f]);
    let gif = b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\0;".to_vec();
    let bmp = [
        &b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"[..],
        &[60_000_u32.to_le_bytes(), 60_000_u32.to_le_bytes()].concat(),
        &[1, 0, 24, 0],
        &[0; 24],
    ]
    .concat();
    for file in [claiming(60_000, 60_000), claiming(30_000, 20_000), webp, jpeg, gif, bmp] {
        fs::write(&path, &file).unwrap();
        for message in [decode(&path).unwrap_err(), load_image(&path, [1, 8, 8], Fit::Fill).unwrap_err()] {
            let message = message.to_string();
            assert!(
                message.contains("claim.png: claims") && message.contains("make it smaller"),
                "{message}"
            );
        }
    }
    fs::write(&path, claiming(8000, 8000)).unwrap();
    let message = load_image(&path, [1, 28, 28], Fit::Exact).unwrap_err().to_string();
    assert!(message.contains("claim.png: has 8000 x 8000 pixels") && message.contains("--fit"), "{message}");
}
