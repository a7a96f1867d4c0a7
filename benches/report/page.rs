//! The page for people.

use std::fmt::Write;
use std::path::Path;

use crate::networks::{BATCHES, Network};
use crate::published::Published;
use crate::timing::Timing;

use super::{Agreement, Convolution, Engine, Memory, PATIENCE_MS, REPEATS, Report, Row, cards};

impl Report {
    pub fn markdown(&self, networks: &[Network]) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let out = &mut text;
        writeln!(out, "# Benchmarks\n\nWritten by `make bench`; all numbers are of one run.\n")?;
        for (name, value) in &self.facts {
            writeln!(out, "- {name}: {}", value.as_str().unwrap_or_default())?;
        }
        let busy = self.facts["load at the start"].as_str().and_then(|load| load.parse::<f64>().ok());
        if busy.is_some_and(|load| load > 0.5) {
            writeln!(
                out,
                "\n**The machine was busy with other work.** Engines suffer differently from that (most of all those whose\n\
                 threads wait for each other, such as PyTorch's), so ratios are not to be trusted; measure on a quiet machine."
            )?;
        }
        writeln!(
            out,
            "\nThe networks: two U-Nets of three levels for 32x32x1 with random weights, and the shipped `mnist-vp`.\n\n\
             | network | MFLOP per image |\n|---|---:|"
        )?;
        for network in networks {
            writeln!(out, "| `{}` | {:.0} |", network.name, network.flops / 1e6)?;
        }
        self.ratios(out, networks)?;
        self.shares(out)?;
        self.inside_convolutions(out)?;
        self.calls(out)?;
        self.times(out, networks)?;
        self.steps(out)?;
        self.others(out)?;
        self.memories(out)?;
        self.visits(out)?;
        cards::sections(out, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/cards")))?;
        Ok(text)
    }

    fn ratios(&self, out: &mut String, networks: &[Network]) -> std::fmt::Result {
        let pairs: Vec<(Engine, Engine)> = Engine::ALL
            .into_iter()
            .filter(|engine| engine.name == Engine::WASM.name)
            .filter_map(|ours| Some((ours, ours.peer()?)))
            .filter(|(_, peer)| self.forward.iter().any(|row| row.engine == *peer))
            .collect();
        if pairs.is_empty() {
            return writeln!(out, "\nOther engines were not measured: `make bench PEERS=1` does.");
        }
        writeln!(
            out,
            "\n## Our time divided by theirs\n\nLess than 1 is faster. Of the medians (and of the best times); every engine computes the"
        )?;
        writeln!(
            out,
            "same network with the same weights, which is checked (largest relative error below).\n"
        )?;
        write!(out, "| network | batch |")?;
        for (ours, peer) in &pairs {
            write!(out, " {}, {} |", ours.device, peer.name)?;
        }
        writeln!(out, "\n|---|---:|{}", "---:|".repeat(pairs.len()))?;
        let ratio = |rows: &[Row], ours, peer, network: &Network, batch| {
            let [ours, peer] = [ours, peer].map(|engine| Self::find(rows, engine, network, batch));
            ours.zip(peer).map(|(ours, peer)| {
                [ours.timing.median_ms / peer.timing.median_ms, ours.timing.min_ms / peer.timing.min_ms]
            })
        };
        for (network, batch) in networks.iter().flat_map(|network| BATCHES.map(|batch| (network, batch))) {
            write!(out, "| `{}` | {batch} |", network.name)?;
            for (ours, peer) in &pairs {
                cell(out, ratio(&self.forward, *ours, *peer, network, batch))?;
            }
            writeln!(out)?;
        }
        for network in networks {
            let batch = network.training_batch;
            write!(out, "| `{}`, training step | {batch} |", network.name)?;
            for (ours, peer) in &pairs {
                cell(out, ratio(&self.training, *ours, *peer, network, batch))?;
            }
            writeln!(out)?;
        }
        writeln!(out, "\n| engine | device | network | relative error |\n|---|---|---|---:|")?;
        for Agreement { engine, network, relative_error } in &self.agreements {
            writeln!(out, "| {} | {} | `{network}` | {relative_error:.1e} |", engine.name, engine.device)?;
        }
        Ok(())
    }

    fn others(&self, out: &mut String) -> std::fmt::Result {
        if self.published.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\n## Published networks at their full size\n\nRandom weights; the same file is read by both. One thread in the browser.\n\n\
             | network | | device | ms | beside | ms | ratio |\n|---|---|---|---:|---|---:|---:|"
        )?;
        for Published { network, what, device, ours, theirs } in &self.published {
            write!(out, "| `{network}` | {what} | {device} | {:.0} |", ours.median_ms)?;
            match theirs {
                Some((who, theirs)) => {
                    let ratio = ours.median_ms / theirs.median_ms;
                    writeln!(out, " {who} | {:.0} | {ratio:.2} |", theirs.median_ms)?;
                }
                None => writeln!(out, " - | - | - |")?,
            }
        }
        Ok(())
    }

    fn shares(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "\n## Share of the device's own peak\n\nThe peak is that of chains of multiply-add without memory"
        )?;
        writeln!(
            out,
            "(WGSL on adapters, SIMD on the CPU, multiply and add in wasm), measured in the same run. Work is counted by the\n\
             definition of a convolution. On the CPU ours are by Winograd's algorithm, which takes a quarter of those products: a\n\
             share above 100 % is possible.\n"
        )?;
        writeln!(out, "| device | adapter | peak, GFLOP/s | engine | network | batch | GFLOP/s | share |")?;
        writeln!(out, "|---|---|---:|---|---|---:|---:|---:|")?;
        for row in self.forward.iter().filter(|row| row.batch == 16) {
            let Some(device) = self.devices.iter().find(|device| device.device == row.engine.device) else {
                continue;
            };
            let (adapter, peak) = (&device.adapter, device.peak_gflops);
            let Row { engine, network, batch, gflops, .. } = row;
            writeln!(
                out,
                "| {} | {adapter} | {peak:.1} | {} | `{network}` | {batch} | {gflops:.2} | {:.1} % |",
                device.device,
                engine.name,
                100.0 * gflops / peak
            )?;
        }
        Ok(())
    }

    fn inside_convolutions(&self, out: &mut String) -> std::fmt::Result {
        if self.convolutions.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\n## Inside the 3x3 convolution\n\nIn the browser, the kernels of a whole network: its time with each of them run {} times, less its plain time.\n\
             Natively, a chain of one convolution. On a software adapter the share is limited by loads, of which the peak needs\n\
             none: each becomes a loop over the lanes, with a bounds check. A subgroup loads each weight once and hands it\n\
             round. Images and channels that are no multiple of a tile cost the rest.\n",
            REPEATS + 1
        )?;
        writeln!(out, "| device | convolution | GFLOP/s | share of the peak |\n|---|---|---:|---:|")?;
        for Convolution { engine, what, gflops, share_of_peak } in &self.convolutions {
            let share = share_of_peak.map_or("-".into(), |share| format!("{:.1} %", 100.0 * share));
            writeln!(out, "| {} | {what} | {gflops:.2} | {share} |", engine.device)?;
        }
        Ok(())
    }

    fn calls(&self, out: &mut String) -> std::fmt::Result {
        let Some((_, names, _)) = self.counts.first() else {
            return Ok(());
        };
        writeln!(
            out,
            "\n## What an evaluation sends to WebGPU\n\nCounted in the browser, for one evaluation inside a run of Heun's method with batch 16; in brackets the whole of\n\
             a run of one evaluation. Programs are made once (cubecl's cache). Tensors and read-backs take their memory from\n\
             cubecl's pool, which makes no buffer once it is warm; those that are made hold the numbers of a step. The network's\n\
             launches are replayed with the bind groups of their recording.\n"
        )?;
        let head: Vec<&str> = names.keys().map(String::as_str).collect();
        writeln!(out, "| network | {} |\n|---|{}", head.join(" | "), "---:|".repeat(head.len()))?;
        for (network, each, once) in &self.counts {
            write!(out, "| `{network}` |")?;
            for (name, count) in each {
                write!(out, " {count} ({}) |", once[name])?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn memories(&self, out: &mut String) -> std::fmt::Result {
        if self.memory.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n## Memory\n\nMB after a warm-up of a tenth of the work, and after the work.\n")?;
        writeln!(out, "| device | memory | work | before | after |\n|---|---|---|---:|---:|")?;
        for Memory { device, what, work, bytes: [before, after] } in &self.memory {
            writeln!(out, "| {device} | {what} | {work} | {:.2} | {:.2} |", before / 1e6, after / 1e6)?;
        }
        Ok(())
    }

    fn times(&self, out: &mut String, networks: &[Network]) -> std::fmt::Result {
        writeln!(out, "\n## Milliseconds per network evaluation\n")?;
        writeln!(
            out,
            "Median (and best) of a run of Heun's method divided by its evaluations, read-backs included; the other"
        )?;
        writeln!(
            out,
            "engines run the bare network. Where the adapter is software, the time says nothing about a graphics card.\n"
        )?;
        let engines: Vec<Engine> =
            Engine::ALL.into_iter().filter(|e| self.forward.iter().any(|row| row.engine == *e)).collect();
        write!(out, "| network | batch |")?;
        for engine in &engines {
            let device = self.devices.iter().find(|device| device.device == engine.device);
            let software = device.is_some_and(|device| is_software(&device.adapter));
            let word = if software { ", software adapter" } else { "" };
            write!(out, " {}, {}{word} |", engine.name, engine.device)?;
        }
        writeln!(out, "\n|---|---:|{}", "---:|".repeat(engines.len()))?;
        for (network, batch) in networks.iter().flat_map(|network| BATCHES.map(|batch| (network, batch))) {
            write!(out, "| `{}` | {batch} |", network.name)?;
            for engine in &engines {
                match Self::find(&self.forward, *engine, network, batch) {
                    Some(Row { timing, .. }) => {
                        write!(out, " {} ({}) |", brief(timing.median_ms), brief(timing.min_ms))?;
                    }
                    None => write!(out, " skipped |")?,
                }
            }
            writeln!(out)?;
        }
        if !self.skipped.is_empty() {
            writeln!(out, "\nSkipped: a batch of 16 took more than {} s.", PATIENCE_MS / 1e3)?;
        }
        Ok(())
    }

    fn steps(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n## Training step\n\nForward, backward, Adam and moving average.\n")?;
        writeln!(out, "| network | batch | engine | device | images/s | ms per step (best) | GFLOP/s |")?;
        writeln!(out, "|---|---:|---|---|---:|---:|---:|")?;
        for Row { engine, network, batch, timing, images_per_second, gflops, .. } in &self.training {
            let (median, best) = (brief(timing.median_ms), brief(timing.min_ms));
            writeln!(
                out,
                "| `{network}` | {batch} | {} | {} | {images_per_second:.0} | {median} ({best}) | {gflops:.1} |",
                engine.name, engine.device
            )?;
        }
        Ok(())
    }

    fn visits(&self, out: &mut String) -> std::fmt::Result {
        if self.first_pictures.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\n## The page\n\nFrom navigation to the first picture: one digit of `mnist-vp`, ten Heun steps, from a server on the same\n\
             machine that takes a second for the weights. Cold is a new profile; warm comes again, the weights stored. Best\n\
             times in brackets. On a software adapter nearly all of it is the compilation of the shaders.\n"
        )?;
        writeln!(out, "| device | cold, s | warm, s |\n|---|---:|---:|")?;
        for (device, timings) in &self.first_pictures {
            write!(out, "| {device} |")?;
            for timing in timings {
                write!(out, " {:.2} ({:.2}) |", timing.median_ms / 1e3, timing.min_ms / 1e3)?;
            }
            writeln!(out)?;
        }
        if let Some(Timing { median_ms, min_ms, .. }) = self.play {
            writeln!(
                out,
                "\nPlay: a picture of `mnist-cm` in {median_ms:.1} ms ({min_ms:.1}), one worker on the CPU, where the display shows 60 a\n\
                 second."
            )?;
        }
        writeln!(out, "\n| wasm | MB |\n|---|---:|")?;
        for (name, bytes) in &self.wasm_bytes {
            writeln!(out, "| {name} | {:.2} |", bytes.as_f64().unwrap_or_default() / 1e6)?;
        }
        Ok(())
    }
}

fn cell(out: &mut String, ratio: Option<[f64; 2]>) -> std::fmt::Result {
    match ratio {
        Some([median, best]) => write!(out, " **{median:.2}** ({best:.2}) |"),
        None => write!(out, " - |"),
    }
}

fn brief(ms: f64) -> String {
    match ms {
        _ if ms < 10.0 => format!("{ms:.2}"),
        _ if ms < 100.0 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

pub fn is_software(adapter: &str) -> bool {
    ["swiftshader", "llvmpipe", "lavapipe"].iter().any(|name| adapter.to_lowercase().contains(name))
}
