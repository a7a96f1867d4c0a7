//! Whether a device that computes rightly is told from one that does not.

use pollster::block_on;
use scorefield::checkup::{TOLERANCE, agreement, findings, verify};
use scorefield::ops::Adapter;

use crate::program::{good, scorefield};
use crate::support::{cpu, figure, gpu, trials};

trials! {
    cpu: [what_the_cpu_finds_is_written_down, a_cpu_is_described],
    gpu: [
        every_kind_of_kernel_agrees,
        kernels_for_other_subgroups_are_caught,
        a_gpu_is_described,
        what_was_verified_is_remembered_of_a_version,
    ],
}

/// After a change of what a small network computes, what is found has to take the place of `src/checkup/network.f32`.
fn what_the_cpu_finds_is_written_down() {
    let off = block_on(verify(&cpu(), "")).map(|found| found.off);
    if !off.as_ref().is_ok_and(|&off| off < TOLERANCE / 100.0) {
        let network = block_on(findings(&cpu())).expect("values").pop().expect("the network's");
        let found = std::env::temp_dir().join("network.f32");
        std::fs::write(&found, bytemuck::cast_slice(&network)).expect("a file");
        panic!("{off:?}; what is found now is in {}", found.display());
    }
}

fn every_kind_of_kernel_agrees() {
    let [found, expected] = [gpu(), cpu()].map(|device| block_on(findings(&device)).expect("values"));
    for one in agreement(&found, &expected) {
        figure(format_args!("{}: {:.1e}", one.what, one.off));
        assert!(one.is_good() && one.off < TOLERANCE / 10.0, "{one:?}");
    }
}

/// Subgroups of other sizes than a kernel was made for: wrong numbers without any error, as a driver's fault would be.
fn kernels_for_other_subgroups_are_caught() {
    let result = Adapter::Subgroups(32).pretend(|| block_on(verify(&gpu(), "use the CPU")));
    figure(format_args!("kernels for 32 lanes: {result:?}"));
    let wrong = result.expect_err("few lanes").to_string();
    assert!(wrong.contains("computes wrongly") && wrong.contains("use the CPU"), "{wrong}");
}

fn a_cpu_is_described() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = good(folder.path(), "device --device cpu");
    for words in ["The CPU was asked for", "mnist-vp", "images, CPU", "convolution"] {
        assert!(text.contains(words), "{text}");
    }
    assert!(!text.contains("GPU"), "{text}");
}

fn a_gpu_is_described() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = good(folder.path(), "device --device gpu --json");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(report["agreement"].as_array().expect("a list").len() > 10, "{text}");
    assert!(report["peak"].as_f64() > report["convolution"].as_f64(), "{text}");
    for speed in report["speed"].as_array().expect("a list") {
        assert!(speed["gpu_ms"].as_f64() > Some(0.0) && speed["cpu_ms"].as_f64() > Some(0.0), "{speed}");
    }
    assert!(report["facts"].to_string().contains("driver"), "{text}");
}

fn what_was_verified_is_remembered_of_a_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let draw = || {
        let mut command = scorefield(
            folder.path(),
            "sample --device gpu --model mnist-vp --sampler heun --count 1 --steps 3",
        );
        let output = command.env("XDG_CACHE_HOME", folder.path()).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(folder.path().join("scorefield/verified")).ok()
    };
    let first = draw();
    assert_eq!(first, draw());
    // A version that is being changed is tried anew each time.
    let lines = first.map_or(0, |text| text.lines().count());
    assert_eq!(lines, usize::from(!env!("SCOREFIELD_REVISION").ends_with("dirty")));
}
