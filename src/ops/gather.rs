//! Many tensors in one row: what an optimiser does to all weights then takes one dispatch on a GPU, not one for each of
//! the hundreds of tensors of a network.

use burn::tensor::{Device, Tensor, s};

use super::launch::wgsl::{Kernel, Launch, params, shader};
use super::{host, is_flex};

/// The most tensors that one launch copies: with the row, the eight buffers that every WebGPU device has.
const MOST: usize = 7;
const THREADS: usize = 64;
/// The most workgroups for one tensor; longer ones are walked along.
const MOST_GROUPS: usize = 512;

params! {
    struct Params {
        places: [u32; 8],
        lens: [u32; 8],
    }
}

/// A row `[len]` with each part at its place, zero elsewhere. Parts come in the order of their places and do not overlap; all are
/// without autodiff.
pub fn gather(parts: &[(usize, Tensor<1>)], len: usize, device: &Device) -> Tensor<1> {
    if is_flex(device) {
        return gather_on_host(parts, len);
    }
    let row = Tensor::zeros([len], device);
    if Launch::new(device, kernel(1), THREADS).is_none() {
        return gather_plain(parts, row);
    }
    for parts in parts.chunks(MOST) {
        launch(parts, &row, device);
    }
    row
}

/// [`gather`] in burn's stock operations, into a row of zeros: the oracle of the tests.
pub fn gather_plain(parts: &[(usize, Tensor<1>)], row: Tensor<1>) -> Tensor<1> {
    parts.iter().fold(row, |row, (place, part)| {
        let [len] = part.dims();
        row.slice_assign(s![*place..place + len], part.clone())
    })
}

fn gather_on_host(parts: &[(usize, Tensor<1>)], len: usize) -> Tensor<1> {
    let mut row = vec![0.0; len];
    let (mut rest, mut begin, mut jobs) = (row.as_mut_slice(), 0, vec![]);
    for (place, part) in parts {
        let part = host::values(part);
        let (at, after) = rest[place - begin..].split_at_mut(part.slice().len());
        (rest, begin) = (after, place + at.len());
        jobs.push((at, part));
    }
    host::for_each(jobs, |(at, part)| at.copy_from_slice(part.slice()));
    host::tensor(row, [len])
}

fn kernel(parts: usize) -> Kernel {
    const SWITCHES: [&str; MOST] = ["X0", "X1", "X2", "X3", "X4", "X5", "X6"];
    SWITCHES[..parts].iter().fold(shader!("gather"), |kernel, name| kernel.switch(name, true))
}

fn launch(parts: &[(usize, Tensor<1>)], row: &Tensor<1>, device: &Device) {
    const NAMES: [&str; MOST] = ["x0", "x1", "x2", "x3", "x4", "x5", "x6"];
    let mut launch = Launch::new(device, kernel(parts.len()), THREADS).expect("a device with kernels");
    let mut params = Params { places: [0; 8], lens: [0; 8] };
    let mut longest = 1;
    for (k, (place, part)) in parts.iter().enumerate() {
        let [len] = part.dims();
        (params.places[k], params.lens[k]) = (*place as u32, len as u32);
        longest = longest.max(len);
        launch = launch.input(NAMES[k], part.clone());
    }
    let groups = longest.div_ceil(THREADS).min(MOST_GROUPS);
    launch.onto("row", row.clone()).run(&params, [groups, parts.len(), 1]);
}

#[cfg(test)]
mod tests {
    use super::super::launch::wgsl;
    use super::*;

    #[test]
    fn kernels_are_valid() {
        for parts in 1..=MOST {
            wgsl::check::<Params>(kernel(parts), THREADS);
        }
    }
}
