//! Filters that stay transformed as long as their weights live: for a few small images that is half of the work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use burn::tensor::Bytes;

use super::Tiles;
use crate::ops::host::Values;

/// Of all filters together, in values: four times as many as the weights have. The others are transformed each time.
const MOST: usize = if cfg!(target_family = "wasm") { 1 << 24 } else { 1 << 28 };

struct Kept {
    /// As long as this exists, so does the address, and who writes to the weights does it elsewhere.
    weight: Weak<Bytes>,
    /// Where in it the filter begins.
    first: usize,
    filter: Arc<Vec<f32>>,
}

static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

/// All of them. Every state of the list is a good one, also that which a panic has left.
fn all() -> MutexGuard<'static, Vec<Kept>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The transformed filter of a weight that is used more than once: the one of the last time, if neither the weight
/// has changed nor too many others are kept.
pub fn kept(tiles: &Tiles, weight: &Values) -> Arc<Vec<f32>> {
    let (bytes, first) = weight.place();
    let of = |kept: &&Kept| {
        kept.weight.as_ptr() == Arc::as_ptr(&bytes)
            && kept.first == first
            && kept.filter.len() == tiles.filter_len()
    };
    if let Some(found) = all().iter().find(of) {
        return found.filter.clone();
    }
    let mut filter = vec![0.0; tiles.filter_len()];
    tiles.transform_filter(weight.slice(), &mut filter);
    let filter = Arc::new(filter);
    let mut all = all();
    all.retain(|kept| kept.weight.strong_count() > 0);
    if all.iter().map(|kept| kept.filter.len()).sum::<usize>() + filter.len() <= MOST {
        all.push(Kept { weight: Arc::downgrade(&bytes), first, filter: filter.clone() });
    }
    filter
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::ops::host::{change, values};

    #[test]
    fn a_filter_is_kept_as_long_as_its_weight() {
        let tiles = Tiles::new([1, 4, 4], [8, 8]).unwrap();
        let weight = |value: f32| Tensor::<1>::full([9 * 8 * 8], value, &Device::flex());
        let kept = |weight: &Tensor<1>| kept(&tiles, &values(weight));
        let mut first = weight(1.0);
        let ones = kept(&first);
        assert!(Arc::ptr_eq(&ones, &kept(&first)));
        // Another weight, another part of the same row, and this one with another value in the same tensor.
        let second = weight(1.0);
        assert!(!Arc::ptr_eq(&ones, &kept(&second)));
        let row = Tensor::cat(vec![weight(1.0), weight(2.0)], 0);
        let halves = [0, 1].map(|k| kept(&row.clone().narrow(0, k * 9 * 8 * 8, 9 * 8 * 8)));
        assert_eq!(halves[1][0] - halves[0][0], 1.0);
        change(&mut first, |first| first[0] = 2.0);
        let changed = kept(&first);
        assert_eq!(changed[0] - ones[0], 1.0);
        // Nothing but the list had it: the next that comes takes its place.
        let gone = Arc::downgrade(&changed);
        drop((first, changed));
        kept(&weight(3.0));
        assert!(gone.upgrade().is_none());
    }
}
