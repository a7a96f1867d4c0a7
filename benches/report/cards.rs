//! What `scripts/card.sh` found on graphics cards: a folder of `benches/cards` for each.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Where a card's share of the peak is of interest, and the time beside PyTorch's.
pub fn sections(out: &mut String, folder: &Path) -> std::fmt::Result {
    let Ok(cards) = fs::read_dir(folder) else {
        return Ok(());
    };
    let mut cards: Vec<_> = cards.filter_map(|entry| Some(entry.ok()?.path())).collect();
    cards.sort();
    writeln!(
        out,
        "\n## Graphics cards\n\nMeasured by `scripts/card.sh` ([docs/CARD.md](docs/CARD.md)), each on a machine of its own. Milliseconds are medians, with\n\
         twenty passes of PyTorch on their way at once. *Ours / PyTorch* is beside PyTorch in fp32, run eagerly."
    )?;
    for card in cards {
        let read = |name: &str| {
            fs::read_to_string(card.join(name)).ok().and_then(|text| serde_json::from_str(&text).ok())
        };
        if let Some(networks) = read("networks.json") {
            section(out, &networks, read("tuning.json").unwrap_or_default())?;
        }
    }
    Ok(())
}

fn section(out: &mut String, found: &Value, tuning: Value) -> std::fmt::Result {
    let device = rows(&found["devices"]).first().copied().unwrap_or(&Value::Null);
    writeln!(
        out,
        "\n### {}\n\n{}; peak of multiply-adds in WGSL {:.1} TFLOP/s; PyTorch {}; {}, {}.\n",
        text(&device["adapter"]),
        text(&found["facts"]["date"]),
        number(&device["peak_gflops"]) / 1e3,
        text(&found["facts"]["PyTorch"]),
        text(&found["facts"]["processor"]),
        text(&found["facts"]["system"]),
    )?;
    times(out, found)?;
    writeln!(out, "\n| 3x3 convolution | GFLOP/s | share of the peak |\n|---|---:|---:|")?;
    for row in rows(&found["convolutions"]) {
        let (gflops, share) = (number(&row["gflops"]), 100.0 * number(&row["share_of_peak"]));
        writeln!(out, "| {} | {gflops:.0} | {share:.1} % |", text(&row["what"]))?;
    }
    if !rows(&tuning["tuned"]).is_empty() {
        cuts(out, &tuning)?;
    }
    Ok(())
}

/// Forward passes and training steps, a column for each engine.
fn times(out: &mut String, found: &Value) -> std::fmt::Result {
    let mut engines: Vec<&str> = vec![];
    for row in rows(&found["forward"]) {
        let name = text(&row["engine"]["name"]);
        if !engines.contains(&name) {
            engines.push(name);
        }
    }
    writeln!(out, "| network | batch | {} | ours / PyTorch |", engines.join(" | "))?;
    writeln!(out, "|---|---:|{}---:|", "---:|".repeat(engines.len()))?;
    for (part, word) in [("forward", ""), ("training", ", training step")] {
        let all = rows(&found[part]);
        for ours in all.iter().filter(|row| text(&row["engine"]["name"]) == "Scorefield") {
            let ms = |engine: &str| {
                let same = |row: &&&Value| {
                    row["network"] == ours["network"]
                        && row["batch"] == ours["batch"]
                        && row["engine"]["name"] == engine
                };
                all.iter().find(same).map(|row| number(&row["median_ms"]))
            };
            write!(out, "| `{}`{word} | {} |", text(&ours["network"]), ours["batch"])?;
            for engine in &engines {
                match ms(engine) {
                    Some(ms) => write!(out, " {ms:.2} |")?,
                    None => write!(out, " - |")?,
                }
            }
            match ms("PyTorch") {
                Some(peer) => writeln!(out, " **{:.2}** |", number(&ours["median_ms"]) / peer)?,
                None => writeln!(out, " - |")?,
            }
        }
    }
    Ok(())
}

/// The usual cut of each kind of work, which was measured first, and the best one.
fn cuts(out: &mut String, tuning: &Value) -> std::fmt::Result {
    let all = rows(&tuning["tuned"]);
    let mut kinds: Vec<&Value> = all.iter().map(|row| &row["what"]).collect();
    kinds.dedup();
    writeln!(out, "\n| work | usual cut, GFLOP/s | best cut, GFLOP/s | the best cut |\n|---|---:|---:|---|")?;
    for kind in kinds {
        let cuts: Vec<_> = all.iter().filter(|row| row["what"] == *kind).collect();
        let by_speed = |a: &&&&Value, b: &&&&Value| number(&a["gflops"]).total_cmp(&number(&b["gflops"]));
        let best = cuts.iter().max_by(by_speed).expect("at least one cut");
        writeln!(
            out,
            "| {} | {:.0} | {:.0} | {} |",
            text(kind),
            number(&cuts[0]["gflops"]),
            number(&best["gflops"]),
            text(&best["cut"])
        )?;
    }
    Ok(())
}

fn rows(value: &Value) -> Vec<&Value> {
    value.as_array().map(|rows| rows.iter().collect()).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("unknown")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}
