//! The native program; see the library's documentation.

fn main() -> std::process::ExitCode {
    scorefield::cli::main().into()
}
