//! The cuts of a convolution on a graphics card, one beside the other.

use pollster::block_on;
use scorefield::device::{self, DeviceChoice};
use scorefield::ops::{Adapter, Cut};

use crate::native::{self, OTHER_CONVOLUTIONS};
use crate::networks::Network;
use crate::report::Report;

pub fn run(networks: &[Network], report: &mut Report) {
    let Ok(opened) = block_on(device::open(DeviceChoice::Gpu)) else {
        return eprintln!("no native GPU: wgpu finds no adapter");
    };
    for convolution in OTHER_CONVOLUTIONS {
        for cut in cuts() {
            let timing = Adapter::Hardware(cut).pretend(|| convolution.time(0.15, 128, &opened.device));
            let gflops = convolution.flops() / timing.min_ms / 1e6;
            let Cut { tile: [rows, columns], wide, threads, sharing, .. } = cut;
            let cut = format!(
                "{rows}x{columns} pixels, {wide} quads, {threads} threads, {sharing} on the same pixels"
            );
            report.tuned(&convolution.to_string(), &cut, gflops);
        }
    }
    for network in networks {
        for log in [13, 15, 17] {
            let cut = Cut { gradient_threads: 1 << log, ..Cut::USUAL };
            let timing =
                Adapter::Hardware(cut).pretend(|| native::training_step(network, &opened.device, 1.0));
            let gflops = 3.0 * network.flops * network.training_batch as f64 / timing.min_ms / 1e6;
            let cut = format!("{} threads for a weight gradient, {:.1} ms", 1 << log, timing.min_ms);
            report.tuned(&format!("{}, training step", network.name), &cut, gflops);
        }
    }
}

/// The usual cut, and those that differ from it in one or two respects.
fn cuts() -> Vec<Cut> {
    let usual = Cut::USUAL;
    let mut cuts = vec![usual];
    for tile in [[2, 2], [4, 4], [1, 4]] {
        cuts.push(Cut { tile, ..usual });
    }
    for (tile, wide) in [([2, 2], 2), ([2, 4], 2), ([1, 4], 2)] {
        cuts.push(Cut { tile, wide, ..usual });
    }
    for (threads, sharing) in [(64, 8), (64, 32), (128, 16), (128, 32), (256, 16)] {
        cuts.push(Cut { threads, sharing, ..usual });
    }
    cuts
}
