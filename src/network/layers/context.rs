use super::Dropout;

/// What a network may be told besides an image and its noise; nothing by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The classes of the images, `None` for any: one for the whole batch or one per image; empty is `None`.
    pub labels: &'a [Option<usize>],
    /// How each image was moved, for a network that learns from moved ones; empty where none was.
    pub moved: &'a [Moved],
    /// The masks of a training step.
    pub dropout: Option<&'a Dropout>,
}

/// How an image was moved, nine numbers that are zero where it was not: whether it was mirrored left to right and top to
/// bottom; the logarithm of its size; cosine (less one) and sine of the angle it was turned by; the logarithm of its stretching
/// times cosine and sine of twice the direction's angle; and its shift, the last six in the units they are drawn in.
pub type Moved = [f32; 9];
