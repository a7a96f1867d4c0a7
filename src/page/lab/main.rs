//! The laboratory's program: everything is exported by the library's module `page::lab`.

extern crate scorefield as _;

fn main() {}
