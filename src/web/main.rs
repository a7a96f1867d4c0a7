//! The page's program: everything is exported by [`scorefield::web`].

#[cfg(target_family = "wasm")]
use scorefield::web as _;

fn main() {}
