use crate::images::{ImageSet, mirror};

/// How different the mean image may be from its mirror image, of the deviation of all pixels. Faces and people of
/// `avatars` have 0.05, letters 0.13, digits 0.22, articles of `fashion-mnist` 0.23: their shoes all point to the left.
const ALIKE: f64 = 0.1;

/// Says so if mirror images of `images` are not like these, so that a model of both draws what is in none of them.
pub fn unlike_mirrored(images: &ImageSet) -> Option<String> {
    let (difference, chance) = asymmetry(images);
    (difference > ALIKE + 2.0 * chance).then(|| {
        format!(
            "flip: the mean of {} differs from its mirror image by {difference:.2} of the pixels' standard deviation, so \
             half of what is drawn will be mirrored, as no image is; leave flip out",
            images.name
        )
    })
}

/// The root of the mean squared difference of the mean image and its mirror image, and what it would be by chance if
/// images and their mirror images were alike, both over the standard deviation of all pixels.
fn asymmetry(images: &ImageSet) -> (f64, f64) {
    let (n, stride, width) = (images.len() as f64, images.stride(), images.width);
    let (mut sums, mut squares) = (vec![0.0; stride], 0.0);
    for image in images.pixels.chunks_exact(stride) {
        for (sum, byte) in sums.iter_mut().zip(image) {
            *sum += f64::from(*byte);
            squares += f64::from(*byte).powi(2);
        }
    }
    let means: Vec<f64> = sums.iter().map(|sum| sum / n).collect();
    let mut mirrored = means.clone();
    mirror(&mut mirrored, width);
    let mean_of = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / stride as f64;
    let (all, between) = (mean_of(&mut means.iter().copied()), mean_of(&mut means.iter().map(|m| m * m)));
    let square = squares / (n * stride as f64);
    let deviation = (square - all * all).max(f64::MIN_POSITIVE).sqrt();
    let difference = mean_of(&mut means.iter().zip(&mirrored).map(|(a, b)| (a - b).powi(2))).sqrt();
    (difference / deviation, (2.0 * (square - between).max(0.0) / n).sqrt() / deviation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Noise;

    /// Images of 1x4 pixels: random bytes, the first `more` brighter.
    fn images(n: usize, more: u8) -> ImageSet {
        let mut stream = Noise::new(3).stream(0);
        let pixel = |k: usize, byte: usize| byte as u8 + if k.is_multiple_of(4) { more } else { 0 };
        ImageSet {
            name: "random".into(),
            licence: "CC0-1.0".into(),
            channels: 1,
            height: 1,
            width: 4,
            pixels: (0..4 * n).map(|k| pixel(k, stream.below(100))).collect(),
            labels: None,
            class_names: Vec::new(),
        }
    }

    #[test]
    fn images_that_mirroring_changes_are_told_from_those_by_chance() {
        assert_eq!(unlike_mirrored(&images(2000, 0)), None);
        assert_eq!(unlike_mirrored(&images(4, 0)), None);
        let said = unlike_mirrored(&images(2000, 60)).unwrap();
        // sqrt(2·60²/4) of sqrt(100²/12 + 60²·3/16).
        let expected = 42.4 / (833.0_f64 + 675.0).sqrt();
        let (found, chance) = asymmetry(&images(2000, 60));
        assert!((found / expected - 1.0).abs() < 0.05, "{found}, {expected}");
        assert!(chance < 0.03 && said.contains("leave flip out"), "{chance}, {said}");
    }
}
