//! The visitor's pictures, read as the native program reads them.

use std::{fs, io::Write, path::Path};

use flate2::{Compression, Crc, write::ZlibEncoder};
use image::{
    DynamicImage, ExtendedColorType, Frame, ImageEncoder, ImageFormat, Rgba, RgbaImage,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
};
use scorefield::picture::decode;

use super::{
    harness::Gpu,
    visit::{PATIENCE, Visit},
};
use crate::support::{figure, trials};

trials! { cpu: [pictures_are_read_as_natively, pictures_are_read_as_srgb] }

/// Of the model whose shape the pictures are fitted to: 3 channels, 32 x 32.
const SIDE: usize = 32;

/// Of the pictures.
const WIDTH: u32 = 32;
const HEIGHT: u32 = 24;

/// Bytes of a pixel that rounding may change, and those that decoders of JPEG may.
const ROUNDING: u8 = 1;
const JPEG: u8 = 3;

/// A picture without any symmetry, a part of it transparent.
fn drawn() -> RgbaImage {
    RgbaImage::from_fn(WIDTH, HEIGHT, |x, y| {
        Rgba([8 * x as u8, 10 * y as u8, 90, if x > y { 255 } else { 11 * x as u8 }])
    })
}

/// The names of files, what they hold, and how far the page may be off.
fn files() -> Vec<(String, Vec<u8>, u8)> {
    let picture = DynamicImage::from(drawn());
    let written = |picture: DynamicImage, format| {
        let mut file = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut file, format).expect("a picture");
        file.into_inner()
    };
    let files = [
        ("opaque.png", written(picture.to_rgb8().into(), ImageFormat::Png), ROUNDING),
        ("alpha.png", written(picture.clone(), ImageFormat::Png), ROUNDING),
        ("alpha-16.png", written(picture.to_rgba16().into(), ImageFormat::Png), ROUNDING),
        ("grey-16.png", written(picture.to_luma16().into(), ImageFormat::Png), ROUNDING),
        ("grey-alpha.png", written(picture.to_luma_alpha8().into(), ImageFormat::Png), ROUNDING),
        ("alpha.webp", written(picture.clone(), ImageFormat::WebP), ROUNDING),
        ("opaque.bmp", written(picture.to_rgb8().into(), ImageFormat::Bmp), ROUNDING),
        ("palette.png", palette(), ROUNDING),
        ("moving.png", moving_png(), ROUNDING),
        ("moving.gif", moving_gif(), ROUNDING),
        ("moving.webp", moving_webp(), ROUNDING),
    ];
    let mut files = Vec::from(files.map(|(name, bytes, off)| (name.to_owned(), bytes, off)));
    for orientation in 1..=8 {
        let [mut jpg, mut png, mut webp] = [const { Vec::new() }; 3];
        turned(JpegEncoder::new_with_quality(&mut jpg, 100), orientation);
        turned(PngEncoder::new(&mut png), orientation);
        turned(WebPEncoder::new_lossless(&mut webp), orientation);
        let all = [("jpg", jpg, JPEG), ("png", png, ROUNDING), ("webp", webp, ROUNDING)];
        files.extend(all.map(|(end, bytes, off)| (format!("turned-{orientation}.{end}"), bytes, off)));
    }
    files
}

/// Writes the picture as one that EXIF says is to be turned; in either byte order.
fn turned(mut encoder: impl ImageEncoder, orientation: u8) {
    let exif = match orientation % 2 {
        0 => [&b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..], &[orientation], &[0; 7]].concat(),
        _ => [&b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..], &[orientation], &[0; 6]].concat(),
    };
    encoder.set_exif_metadata(exif).expect("a format with EXIF");
    let rgb = DynamicImage::from(drawn()).to_rgb8();
    encoder.write_image(&rgb, WIDTH, HEIGHT, ExtendedColorType::Rgb8).expect("a picture");
}

/// Four colours, of which the first is opaque and the third cannot be seen.
fn palette() -> Vec<u8> {
    let colours = chunk(b"PLTE", &[255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 80, 200]);
    let rows: Vec<u8> = (0..WIDTH * HEIGHT).map(|i| (i % 5 % 4) as u8).collect();
    png(3, &[colours, chunk(b"tRNS", &[255, 128, 0]), chunk(b"IDAT", &compressed(&rows, 1))])
}

/// The picture, and then another one.
fn moving_png() -> Vec<u8> {
    let numbers = |numbers: &[u32]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_be_bytes()).collect() };
    let frame =
        |number| chunk(b"fcTL", &[numbers(&[number, WIDTH, HEIGHT, 0, 0]), vec![0, 1, 0, 10, 0, 0]].concat());
    let other = compressed(&[70; 4 * (WIDTH * HEIGHT) as usize], 4);
    png(
        6,
        &[
            chunk(b"acTL", &numbers(&[2, 0])),
            frame(0),
            chunk(b"IDAT", &compressed(&drawn(), 4)),
            frame(1),
            chunk(b"fdAT", &[numbers(&[2]), other].concat()),
        ],
    )
}

/// A PNG of a colour type, in 8 bits.
fn png(colour: u8, chunks: &[Vec<u8>]) -> Vec<u8> {
    let header = [&WIDTH.to_be_bytes()[..], &HEIGHT.to_be_bytes(), &[8, colour, 0, 0, 0]].concat();
    let [header, end] = [chunk(b"IHDR", &header), chunk(b"IEND", b"")];
    [&b"\x89PNG\r\n\x1a\n"[..], &header, &chunks.concat(), &end].concat()
}

fn chunk(name: &[u8], content: &[u8]) -> Vec<u8> {
    let named = [name, content].concat();
    let mut crc = Crc::new();
    crc.update(&named);
    [&(content.len() as u32).to_be_bytes()[..], &named, &crc.sum().to_be_bytes()].concat()
}

/// Rows of pixels as a PNG has them, each after the number of its filter: none.
fn compressed(pixels: &[u8], channels: usize) -> Vec<u8> {
    let mut file = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in pixels.chunks(channels * WIDTH as usize) {
        file.write_all(&[0]).and_then(|()| file.write_all(row)).expect("memory");
    }
    file.finish().expect("memory")
}

fn moving_gif() -> Vec<u8> {
    let mut file = Vec::new();
    let other = RgbaImage::from_pixel(WIDTH, HEIGHT, Rgba([70; 4]));
    GifEncoder::new(&mut file).encode_frames([drawn(), other].map(Frame::new)).expect("a picture");
    file
}

fn moving_webp() -> Vec<u8> {
    let chunk = |name: &[u8], content: &[u8]| {
        [name, &(content.len() as u32).to_le_bytes(), content, &vec![0; content.len() % 2]].concat()
    };
    let size = [WIDTH as u8 - 1, 0, 0, HEIGHT as u8 - 1, 0, 0];
    let other = RgbaImage::from_pixel(WIDTH, HEIGHT, Rgba([70; 4]));
    let frames = [drawn(), other].map(|frame| {
        let mut still = Vec::new();
        let encoder = WebPEncoder::new_lossless(&mut still);
        encoder.write_image(&frame, WIDTH, HEIGHT, ExtendedColorType::Rgba8).expect("a picture");
        // Its place, its size, a tenth of a second; then what follows the header of a picture that stands still.
        chunk(b"ANMF", &[&[0; 6][..], &size, &[100, 0, 0, 2], &still[12..]].concat())
    });
    let header = chunk(b"VP8X", &[&[0x12, 0, 0, 0][..], &size].concat());
    let chunks = [&b"WEBP"[..], &header, &chunk(b"ANIM", &[0; 6]), &frames.concat()].concat();
    chunk(b"RIFF", &chunks)
}

/// A visit to the task whose pictures are fitted to a model of 3 channels.
fn visit() -> Visit {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=edit&device=cpu&model=avatars");
    visit
}

/// Chooses a file: the bytes `[c, h, w]` that the page then has for the model.
fn seen(visit: &mut Visit, file: &Path) -> Vec<u8> {
    visit.browser.eval("document.querySelector('#edit .endpoint-note').textContent = ''");
    visit.browser.choose_files("#edit [type=file]", &[file]);
    visit
        .browser
        .wait_for("document.querySelector('#edit .endpoint-note').textContent == 'Your file.'", PATIENCE);
    let rgb = visit.browser.eval(
        "const canvas = document.querySelector('#edit .thumb');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        [0, 1, 2].flatMap((channel) => Array.from(data.filter((_, i) => i % 4 == channel)))",
    );
    serde_json::from_value(rgb).expect("bytes")
}

fn pictures_are_read_as_natively() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut visit = visit();
    for (name, bytes, allowed) in files() {
        let file = folder.path().join(&name);
        fs::write(&file, bytes).expect("a file");
        let shown = seen(&mut visit, &file);
        let native = decode(&file).expect("a picture").padded(SIDE); // in the middle, on black
        assert_eq!(native.shape(), [3, SIDE, SIDE]);
        let off = shown.iter().zip(&native.pixels).map(|(a, b)| a.abs_diff(*b)).max();
        figure(format_args!("{name}: off by {off:?} of 255"));
        assert!(off <= Some(allowed), "{name}: off by {off:?} of 255");
    }
    visit.assert_clean();
}

/// What a reader that heeds the profile sees in a picture of one colour.
fn pictures_are_read_as_srgb() {
    let mut visit = visit();
    for (name, colour) in
        [("adobe.png", [215, 161, 47]), ("adobe.jpg", [215, 161, 47]), ("swapped.png", [0, 0, 255])]
    {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(name);
        for (plane, value) in seen(&mut visit, &file).chunks(SIDE * SIDE).zip(colour) {
            let off = plane.iter().map(|byte| byte.abs_diff(value)).max();
            assert!(off <= Some(ROUNDING), "{name}: off by {off:?} of 255 from {value}");
        }
    }
    visit.assert_clean();
}
