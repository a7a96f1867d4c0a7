//! How much work a dispatch may be.
//!
//! Phones and Windows reset a graphics card whose dispatch lasts too long, half a second to two, and a page that draws in
//! the meantime stutters. An evaluation of many images is therefore divided where one of its dispatches would last longer
//! than [`LONGEST`] at the speed that was measured.

use std::cell::Cell;
use std::sync::{PoisonError, RwLock};

/// Seconds of a dispatch.
const LONGEST: f64 = 0.05;

/// Operations that the GPU does in a second inside a convolution; at first nothing is known of it.
static MEASURED: RwLock<f64> = RwLock::new(f64::INFINITY);

thread_local! {
    static PRETENDED: Cell<Option<f64>> = const { Cell::new(None) };
}

/// From now on evaluations are divided for a GPU of this pace; at an infinite one none is.
pub fn set_pace(pace: f64) {
    *MEASURED.write().unwrap_or_else(PoisonError::into_inner) = pace;
}

/// `work` at another pace, on this thread.
pub fn at_pace<T>(pace: f64, work: impl FnOnce() -> T) -> T {
    let before = PRETENDED.replace(Some(pace));
    let result = work();
    PRETENDED.set(before);
    result
}

/// How many of `n` images an evaluation takes at once, whose largest dispatch is so many operations for each.
pub fn at_once(n: usize, operations: f64) -> usize {
    let measured = || *MEASURED.read().unwrap_or_else(PoisonError::into_inner);
    divided(n, LONGEST * PRETENDED.get().unwrap_or_else(measured) / operations)
}

/// `n` in parts of at most `most`, at least 1: the size of equal parts, if there are some that are not much smaller, since
/// equal evaluations are replayed.
fn divided(n: usize, most: f64) -> usize {
    let most = most.clamp(1.0, n.max(1) as f64) as usize;
    let equal = (most.div_ceil(2)..=most).rev().find(|size| n.is_multiple_of(*size));
    equal.unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_equal_where_they_can_be() {
        for (n, most, expected) in [
            (64, 1e9, 64),
            (64, 64.0, 64),
            (64, 63.0, 32),
            (64, 20.0, 16),
            (16, 0.1, 1),
            (17, 9.0, 9),
            (1, 0.5, 1),
        ] {
            assert_eq!(divided(n, most), expected, "{n} by {most}");
        }
        assert_eq!(divided(0, 5.0), 1);
    }

    /// A dispatch of two operations an image at ten a second lasts .2 s for each: one at a time is the least.
    #[test]
    fn a_slow_device_takes_few_at_once() {
        assert_eq!(at_pace(10.0, || at_once(8, 2.0)), 1);
        assert_eq!(at_pace(160.0, || at_once(8, 2.0)), 4);
        assert_eq!(at_once(8, 2.0), 8);
    }
}
