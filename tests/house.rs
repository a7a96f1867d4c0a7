//! What docs/DESIGN.md says of the house, held against the code. Each rule is a function from the files to what breaks
//! it, so that a test can also break it on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use scorefield::sampler::Sampler;

use crate::support::trials;

trials! {
    cpu: [
        the_house_keeps_its_rules,
        a_room_that_looks_up_is_seen,
        a_room_without_a_place_is_seen,
        a_long_file_is_seen,
        a_hidden_platform_is_seen,
        a_hidden_log_line_is_seen,
        a_sampler_without_its_row_is_seen,
        a_script_that_is_not_copied_is_seen,
        a_diffusion_named_outside_its_room_is_seen,
    ],
}

/// Path below the checkout to text.
type House = BTreeMap<String, String>;

/// Lines that a file may have.
const LONGEST: usize = 450;

/// The only files that know on which platform they are compiled, and why.
const PLATFORMS: [(&str, &str); 12] = [
    ("src/lib.rs", "rooms that need a file system, or a page"),
    ("src/data/mod.rs", "readers of files"),
    ("src/picture/mod.rs", "pictures in files"),
    ("src/weights/mod.rs", "the shipped models, and writing"),
    ("src/weights/params.rs", "reading weights back, which blocks"),
    ("src/checkup/mod.rs", "what a file remembers of devices"),
    ("src/device/mod.rs", "the page's processor has one thread"),
    ("src/device/gpu.rs", "WebGPU is the page's only graphics interface"),
    ("src/ops/host.rs", "the page has no threads"),
    ("src/ops/mod.rs", "the page leaves out burn's own kernels"),
    ("src/ops/launch/wgsl.rs", "browsers want subgroups to be asked for"),
    ("src/ops/conv/host/winograd/kept.rs", "the page's memory is small"),
];

fn house() -> House {
    fn read(root: &Path, below: &str, house: &mut House) {
        for entry in fs::read_dir(root.join(below)).expect("a folder").flatten() {
            let path = format!("{below}/{}", entry.file_name().to_str().expect("a plain name"));
            if entry.path().is_dir() {
                read(root, &path, house);
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                house.insert(path, text);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut house = House::new();
    for room in ["src", "tests", "benches", "shaders", "web", "scripts"] {
        read(root, room, &mut house);
    }
    house.insert("README.md".into(), fs::read_to_string(root.join("README.md")).expect("a README"));
    house
}

fn the_house_keeps_its_rules() {
    let house = house();
    for rule in
        [rooms_look_down, rooms_have_a_place, files_are_short, platforms_are_named, log_lines_are_shown]
    {
        assert_eq!(rule(&house), [""; 0]);
    }
    assert_eq!(samplers_have_rows(&house), [""; 0]);
    assert_eq!(scripts_are_copied(&house), [""; 0]);
    assert_eq!(members_are_named_in_their_room(&house), [""; 0]);
}

/// The rooms of the crate from the ground up, as its essay lists them.
fn rooms(house: &House) -> Vec<String> {
    let essay = house["src/lib.rs"].split("# The rooms from the ground up").nth(1).expect("a list of rooms");
    let list = essay.lines().filter(|line| line.starts_with("//! - "));
    list.flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

/// The room of a file: `src/flow/solve.rs` and `src/run.rs` are in `flow` and `run`.
fn room(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    Some(inside.split(['/', '.']).next().unwrap_or(inside)).filter(|room| !["lib", "main"].contains(room))
}

/// Code without its comments and its unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms that `crate::...` names in some code.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let names: Vec<&str> = match after.strip_prefix('{') {
            None => vec![after],
            Some(group) => {
                // The names at the top of the braces; what is in inner ones belongs to them.
                let mut depth = 0;
                let end = group.find(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth < 0
                });
                let mut depth = 0;
                let top = group[..end.unwrap_or(group.len())].split(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    c == ',' && depth == 0
                });
                top.map(str::trim).collect()
            }
        };
        for name in names {
            let name = name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
            found.insert(if ["Error", "Result"].contains(&name) { "error".into() } else { name.to_owned() });
        }
    }
    found
}

/// A room uses only what stands before it in the list, so that there is no circle.
fn rooms_look_down(house: &House) -> Vec<String> {
    let rooms = rooms(house);
    let place = |room: &str| rooms.iter().position(|other| other == room);
    let mut broken = Vec::new();
    for (path, text) in house.iter().filter(|(path, _)| path.ends_with(".rs")) {
        let Some(here) = room(path) else { continue };
        for other in named(&code(text)) {
            if let (Some(mine), Some(other_place)) = (place(here), place(&other))
                && other_place > mine
            {
                broken.push(format!("{path} looks up to {other}"));
            }
        }
    }
    broken
}

/// Every room is in the list, and the list has no other.
fn rooms_have_a_place(house: &House) -> Vec<String> {
    let listed: BTreeSet<String> = rooms(house).into_iter().collect();
    let there: BTreeSet<String> = house.keys().filter_map(|path| room(path)).map(str::to_owned).collect();
    listed.symmetric_difference(&there).map(|room| format!("{room} is only listed, or only there")).collect()
}

fn files_are_short(house: &House) -> Vec<String> {
    let kinds = [".rs", ".wgsl", ".js", ".html", ".css", ".sh"];
    let long = house.iter().filter(|(path, text)| {
        kinds.iter().any(|kind| path.ends_with(kind)) && text.lines().count() > LONGEST
    });
    long.map(|(path, text)| format!("{path} has {} lines", text.lines().count())).collect()
}

fn platforms_are_named(house: &House) -> Vec<String> {
    let knows = |text: &str| code(text).contains("target_family");
    let found: BTreeSet<&str> = house
        .iter()
        .filter(|(path, text)| path.starts_with("src/") && knows(text))
        .map(|(path, _)| path.as_str())
        .collect();
    let named: BTreeSet<&str> = PLATFORMS.iter().map(|(path, _)| *path).collect();
    found.symmetric_difference(&named).map(|path| format!("{path} is only named, or only knows")).collect()
}

/// Both front ends show warnings and what is worse; a line of less would be written for nobody.
fn log_lines_are_shown(house: &House) -> Vec<String> {
    let hidden = ["log::info!", "log::debug!", "log::trace!"];
    let silent = |(path, text): &(&String, &String)| {
        path.starts_with("src/") && hidden.iter().any(|line| code(text).contains(line))
    };
    house.iter().filter(silent).map(|(path, _)| format!("{path} logs what nobody sees")).collect()
}

fn samplers_have_rows(house: &House) -> Vec<String> {
    let names = Sampler::all().into_iter().map(|sampler| sampler.info().name);
    let missing = names.filter(|name| !house["README.md"].contains(&format!("\n| `{name}` |")));
    missing.map(|name| format!("README.md has no row for {name}")).collect()
}

/// Every script of the page is copied into what is served, itself or with its folder; but for the one that Trunk's hook
/// adds while one develops.
fn scripts_are_copied(house: &House) -> Vec<String> {
    let index = &house["web/index.html"];
    let copied = |path: &str| {
        let (what, name) = match path.split_once('/') {
            Some((folder, _)) => ("copy-dir", folder),
            None => ("copy-file", path),
        };
        index.contains(&format!("<link data-trunk rel=\"{what}\" href=\"{name}\">"))
    };
    let scripts = house.keys().filter_map(|path| path.strip_prefix("web/"));
    let scripts = scripts.filter(|path| path.ends_with(".js") && *path != "dev-reload.js");
    scripts.filter(|path| !copied(path)).map(|path| format!("web/{path} is not copied")).collect()
}

/// Who is a member of a family is known in the family's room alone: nobody else tells them apart by name. What makes
/// one on purpose, a preset or a figure, goes through the member's own type.
fn members_are_named_in_their_room(house: &House) -> Vec<String> {
    let families = [
        ("sde", "AnySde::", "all"),
        ("network", "NetworkConfig::", "all"),
        ("objective", "Objective::", "all"),
    ];
    let mut broken = Vec::new();
    for (path, text) in house.iter().filter(|(path, _)| path.starts_with("src/")) {
        for (home, family, allowed) in families {
            let variants = code(text).split(family).skip(1).any(|after| {
                let name = after.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
                name.starts_with(char::is_uppercase) && name != allowed
            });
            if room(path) != Some(home) && variants {
                broken.push(format!("{path} names a member of {family}"));
            }
        }
    }
    broken
}

/// The house after some change to a file.
fn changed(path: &str, change: impl FnOnce(&mut String)) -> House {
    let mut house = house();
    change(house.entry(path.into()).or_default());
    house
}

fn a_room_that_looks_up_is_seen() {
    for line in ["use crate::training::Trainer;\n", "use crate::{Error, training::{self}};\n"] {
        let broken = rooms_look_down(&changed("src/flow/solve.rs", |text| text.insert_str(0, line)));
        assert_eq!(broken, ["src/flow/solve.rs looks up to training"]);
    }
}

fn a_room_without_a_place_is_seen() {
    assert_eq!(rooms_have_a_place(&changed("src/attic/mod.rs", |_| {})).len(), 1);
    let unlisted = changed("src/lib.rs", |text| *text = text.replace("`sde`, ", ""));
    assert_eq!(rooms_have_a_place(&unlisted).len(), 1);
}

fn a_long_file_is_seen() {
    let longer = |text: &mut String| text.push_str(&"// more\n".repeat(LONGEST));
    assert_eq!(files_are_short(&changed("shaders/adam.wgsl", longer)).len(), 1);
}

fn a_hidden_platform_is_seen() {
    let hide = |text: &mut String| text.push_str("#[cfg(target_family = \"wasm\")]\nfn f() {}\n");
    assert_eq!(platforms_are_named(&changed("src/sampler/heun.rs", hide)).len(), 1);
    let show = |text: &mut String| *text = text.replace("target_family", "feature");
    assert_eq!(platforms_are_named(&changed("src/device/gpu.rs", show)).len(), 1);
}

fn a_hidden_log_line_is_seen() {
    let whisper = |text: &mut String| text.insert_str(0, "fn f() { log::debug!(\"\") }\n");
    assert_eq!(log_lines_are_shown(&changed("src/run.rs", whisper)), ["src/run.rs logs what nobody sees"]);
}

fn a_sampler_without_its_row_is_seen() {
    let house = changed("README.md", |text| *text = text.replace("| `heun` |", "| Heun |"));
    assert_eq!(samplers_have_rows(&house), ["README.md has no row for heun"]);
}

fn a_script_that_is_not_copied_is_seen() {
    assert_eq!(scripts_are_copied(&changed("web/lost/part.js", |_| {})), ["web/lost/part.js is not copied"]);
}

fn a_diffusion_named_outside_its_room_is_seen() {
    let tell = |text: &mut String| text.insert_str(0, "fn f(s: AnySde) { matches!(s, AnySde::Ve(_)); }\n");
    assert_eq!(members_are_named_in_their_room(&changed("src/model/mod.rs", tell)).len(), 1);
}
