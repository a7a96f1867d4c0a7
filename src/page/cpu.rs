//! The page's program for the CPU, with the laboratory: everything is exported by the library's module `page`.

extern crate scorefield as _;

fn main() {}
