//! Which draw is for what, in the domains where several things are drawn: one list, so that no two share a place.
//!
//! Like domains, the numbers are part of what a seed means: a new purpose takes the next free one.

/// Draws of [`Domain::Training`](super::Domain::Training), whose rows are the steps of a run.
pub mod training {
    /// Uniform noise that makes bytes continuous.
    pub const DEQUANTISE: u32 = 0;
    /// Which images are mirrored.
    pub const FLIP: u32 = 1;
    /// The numbers that become training times or noise levels.
    pub const TIMES: u32 = 2;
    /// The noise added to the images.
    pub const NOISE: u32 = 3;
    /// Which classes are kept from the network.
    pub const LABELS: u32 = 4;
    /// How far the images are moved.
    pub const SHIFT: u32 = 5;
    /// Vectors that a Jacobian is multiplied by: this one, and every draw after it.
    pub const PROBES: u32 = 6;

    #[cfg(test)]
    pub(super) const ALL: [u32; 7] = [DEQUANTISE, FLIP, TIMES, NOISE, LABELS, SHIFT, PROBES];
}

/// Draws of [`Domain::Probe`](super::Domain::Probe), whose rows are the images.
pub mod probe {
    /// Uniform noise that makes bytes continuous.
    pub const DEQUANTISE: u32 = 0;

    /// Probe vector `k`, and every draw after it.
    pub const fn vector(k: u32) -> u32 {
        1 + k
    }
}

#[cfg(test)]
mod tests {
    use super::{probe, training};

    #[test]
    fn no_two_purposes_share_a_draw() {
        let mut all = training::ALL.to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), training::ALL.len());
        assert!((0..3).all(|k| probe::vector(k) > probe::DEQUANTISE));
    }
}
