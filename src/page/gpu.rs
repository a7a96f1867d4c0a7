//! The page's program for a GPU: everything is exported by the library's module `page`.

extern crate scorefield as _;

fn main() {}
