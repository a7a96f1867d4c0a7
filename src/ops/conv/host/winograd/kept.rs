//! Filters that stay transformed as long as their weights live: for a few small images that is half of the work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use burn::backend::flex::FlexTensor;
use burn::tensor::Bytes;

use super::Tiles;

/// Of all filters together, in values: four times as many as the weights have. The others are transformed each time.
const MOST: usize = if cfg!(target_family = "wasm") { 1 << 24 } else { 1 << 28 };

struct Kept {
    /// As long as this exists, so does the address, and who writes to the weights does it elsewhere.
    weight: Weak<Bytes>,
    filter: Arc<Vec<f32>>,
}

static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

/// All of them. Every state of the list is a good one, also that which a panic has left.
fn all() -> MutexGuard<'static, Vec<Kept>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The transformed filter of a weight that is used more than once: the one of the last time, if neither the weight
/// has changed nor too many others are kept.
pub fn kept(tiles: &Tiles, weight: &FlexTensor) -> Arc<Vec<f32>> {
    let bytes = weight.data_arc();
    let of =
        |kept: &&Kept| kept.weight.as_ptr() == Arc::as_ptr(&bytes) && kept.filter.len() == tiles.filter_len();
    if let Some(found) = all().iter().find(of) {
        return found.filter.clone();
    }
    let mut filter = vec![0.0; tiles.filter_len()];
    tiles.transform_filter(weight.storage(), &mut filter);
    let filter = Arc::new(filter);
    let mut all = all();
    all.retain(|kept| kept.weight.strong_count() > 0);
    if all.iter().map(|kept| kept.filter.len()).sum::<usize>() + filter.len() <= MOST {
        all.push(Kept { weight: Arc::downgrade(&bytes), filter: filter.clone() });
    }
    filter
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn a_filter_is_kept_as_long_as_its_weight() {
        let tiles = Tiles::new([1, 4, 4], [8, 8]).unwrap();
        let weight = |value: f32| FlexTensor::from_data(TensorData::new(vec![value; 9 * 8 * 8], [72, 8]));
        let mut first = weight(1.0);
        let ones = kept(&tiles, &first);
        assert!(Arc::ptr_eq(&ones, &kept(&tiles, &first)));
        // Another weight, and this one with another value in the same tensor.
        let second = weight(1.0);
        assert!(!Arc::ptr_eq(&ones, &kept(&tiles, &second)));
        first.storage_mut::<f32>()[0] = 2.0;
        let changed = kept(&tiles, &first);
        assert_eq!(changed[0] - ones[0], 1.0);
        // Nothing but the list had it: the next that comes takes its place.
        let gone = Arc::downgrade(&changed);
        drop((first, changed));
        kept(&tiles, &weight(3.0));
        assert!(gone.upgrade().is_none());
    }
}
