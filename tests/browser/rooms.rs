//! The rooms of the page's scripts: each imports only what its line allows, so that what a room promises stays true.

use std::{fs, path::Path};

use super::site::dist;
use crate::support::trials;

trials! { cpu: [scripts_import_only_what_their_room_allows] }

/// Rooms and what their scripts may import; the first that fits counts.
const ROOMS: [(&str, &[&str]); 8] = [
    ("scorefield.js", &["engine/"]),
    ("engine/", &["engine/"]),
    // Pure: it runs without a page.
    ("page/state/", &["page/state/", "page/pixels.js"]),
    ("page/parts/", &["page/parts/", "page/state/", "page/pixels.js", "page/dom.js"]),
    ("page/lab/", &["page/lab/", "page/parts/", "page/dom.js", "engine/lab.js", "engine/channel.js"]),
    (
        "page/tasks/",
        &[
            "page/tasks/",
            "page/parts/",
            "page/state/",
            "page/pixels.js",
            "page/dom.js",
            "page/lab/experiment.js",
        ],
    ),
    ("page/app.js", &["page/", "scorefield.js"]),
    ("page/", &[]),
];

fn scripts_import_only_what_their_room_allows() {
    let dist = dist().expect("a built page");
    let scripts = scripts(&dist, "");
    assert!(scripts.len() > 30, "only {scripts:?}");
    for script in &scripts {
        let room = ROOMS.iter().find(|(room, _)| script.starts_with(room));
        let (_, allowed) = room.unwrap_or_else(|| panic!("{script} is in no room"));
        let text = fs::read_to_string(dist.join(script)).expect("a script");
        for import in imports(&text) {
            let target = resolved(script, import);
            assert!(scripts.contains(&target), "{script} imports {target}, which is not there");
            assert!(allowed.iter().any(|room| target.starts_with(room)), "{script} must not import {target}");
        }
    }
}

/// Paths of the scripts below a folder of the page, but for those that tools have made.
fn scripts(dist: &Path, folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dist.join(folder)).expect("a folder").flatten() {
        let path = format!("{folder}{}", entry.file_name().to_str().expect("a plain name"));
        if entry.path().is_dir() && path != "wasm" {
            found.extend(scripts(dist, &format!("{path}/")));
        } else if path.ends_with(".js") {
            found.push(path);
        }
    }
    found
}

/// What stands after `from` in the import statements of a script.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    let statements = text.lines().filter(|line| line.starts_with("import ") || line.starts_with("} from "));
    statements.filter_map(|line| line.split_once("from '")?.1.split('\'').next())
}

/// `import` seen from `script`, both as paths of the page.
fn resolved(script: &str, import: &str) -> String {
    let mut parts: Vec<&str> = script.split('/').collect();
    parts.pop();
    for part in import.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}
