//! The page's program: everything is exported by the library's module `web`.

extern crate scorefield as _;

fn main() {}
