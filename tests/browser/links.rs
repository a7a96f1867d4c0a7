//! Links that make no sense: each value in them is checked, told, and starts nothing.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::{harness::Gpu, visit::Visit};
use crate::support::trials;

trials! { cpu: [every_value_of_a_link_is_checked] }

fn every_value_of_a_link_is_checked() {
    // Bytes of a picture and bits of a mask of 28 x 28, so that only the sizes before them are wrong.
    let (bytes, bits) = ("A".repeat(1046), "A".repeat(131));
    let pictures = [
        format!("pixels:-28x-28x1:{bytes}"),
        format!("pixels:28x14x2:{bytes}"),
        format!("pixels:1568x.5x1:{bytes}"),
        format!("pixels:28x28:{bytes}"),
        format!("pixels:28x28x1x1:{bytes}"),
        format!("pixels:28x28x1:{bytes}:more"),
        "pixels:28x28x1:AAAA".into(),
        "pixels:0x0x1:".into(),
        "digit:1.5".into(),
        "digit:4:more".into(),
        "photo:4".into(),
    ];
    let seeds = ["seed:-1", "seed:7:-1", "seed:7:5000000000", "seed:7:0:more", "seed:9007199254740993"];
    let masks = [
        format!("-28x-28:{bits}"),
        format!("1568x.5:{bits}"),
        format!("28:{bits}"),
        format!("28x28x1:{bits}"),
        format!("28x28:{bits}:more"),
        "28x28:AAAA".into(),
        "28x28".into(),
        "0x0:".into(),
        "corner".into(),
    ];
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let ends = [&pictures[..], &texts(&seeds)].concat();
    let wrong = [
        ("generate", "task", texts(&["dream", ""])),
        ("generate", "device", texts(&["tpu"])),
        ("generate", "model", texts(&["a model", ""])),
        ("generate", "class", texts(&["-1", "1.5"])),
        ("generate", "guidance", texts(&["9"])),
        ("generate", "weaker", texts(&["0", "6", "mnist-weak"])),
        ("generate", "sampler", texts(&["a sampler"])),
        ("generate", "seed", texts(&["-1", "1.5", "9007199254740993"])),
        ("generate", "count", texts(&["0", "257"])),
        ("generate", "run", texts(&["yes"])),
        ("edit", "image", [&pictures[..], &texts(&["seed:7:0"])].concat()),
        ("edit", "mode", texts(&["paint"])),
        ("edit", "mask", masks.to_vec()),
        ("edit", "factor", texts(&["1", "2.5"])),
        ("edit", "strength", texts(&["0", "2"])),
        ("edit", "noise", texts(&["-1", "3"])),
        ("edit", "results", texts(&["0", "17"])),
        ("interpolate", "a", ends.clone()),
        ("interpolate", "b", ends),
        ("interpolate", "frames", texts(&["1", "65"])),
        ("interpolate", "temperature", texts(&["0", "2.5"])),
        ("play", "player", texts(&["a model"])),
        ("play", "nw", texts(&seeds)),
        ("play", "ne", texts(&seeds)),
        ("play", "sw", texts(&seeds)),
        ("play", "se", texts(&seeds)),
        ("play", "wanted", texts(&["-1", "1.5"])),
        ("play", "leaps", texts(&["0", "5"])),
        ("play", "at", texts(&["0.5", "0.5:2", "0.5:0.5:0.5", "a:b"])),
        ("word", "writer", texts(&["a model"])),
        ("word", "word", texts(&["", " ", "a1", "abcdefghijklmnopqrstuvwxy"])),
        ("word", "face", texts(&["-1", "1.5"])),
        ("word", "other", texts(&["-1", "1.5"])),
        ("word", "between", texts(&["-0.1", "1.1", ""])),
        ("lab", "lesson", texts(&["a lesson", ""])),
        ("lab", "experiment", texts(&["[1]", "word", "{\"world\":"])),
        ("lab", "see", texts(&["colours", ""])),
        ("lab", "level", texts(&["-1", "2"])),
        ("lab", "by", texts(&["me"])),
        ("lab", "language", texts(&["xx"])),
        ("lab", "embed", texts(&["2"])),
        ("play", "walk", texts(&["AAA", "AAAA", "walk!", ""])),
    ];

    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=about&device=cpu");
    let keys = visit.browser.eval(
        "const { schemaOf } = await import('./page/state/state.js');
        const { TASKS } = await import('./page/tasks/index.js');
        Object.keys(schemaOf(TASKS).keys)",
    );
    let keys: BTreeSet<String> = serde_json::from_value(keys).expect("names");
    assert_eq!(keys, wrong.iter().map(|(_, key, _)| (*key).to_owned()).collect(), "a key is not tried");

    for (task, key, texts) in wrong {
        for text in texts {
            let run = if key == "run" { "" } else { "&run=1" };
            visit.follow(&format!("#task={task}&device=cpu&{key}={text}{run}"));
            // Browsers ignore a page that changes its address 200 times in ten seconds.
            thread::sleep(Duration::from_millis(100));
            let said = text.get(..40).unwrap_or(&text);
            assert_eq!(visit.alert(), format!("The link's {key} “{said}” makes no sense and was ignored."));
            assert!(!visit.hash().contains("run=1"), "{}", visit.hash());
            let runs = "Array.from(document.querySelectorAll('.start'), (button) => button.disabled)";
            assert_eq!(
                visit.browser.eval(runs),
                json!([false, false, false, false, false]),
                "{key}={text} has started"
            );
        }
    }
    visit.browser.assert_console_clean();

    // And what does make sense is taken.
    visit.follow("#task=interpolate&device=cpu&a=seed:7:1000000&b=seed:3&frames=2&run=0");
    visit.assert_clean();
    assert!(visit.hash().contains("&a=seed:7:1000000&b=seed:3:0&frames=2&"), "{}", visit.hash());
    visit.follow(&format!(
        "#task=edit&device=cpu&image=pixels:28x28x1:{bytes}&mode=inpaint&mask=28x28:{bits}"
    ));
    visit.assert_clean();
    assert!(visit.hash().contains(&format!("&mask=28x28:{bits}&")), "{}", visit.hash());
}
