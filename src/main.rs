//! The native program; see the library's documentation.

fn main() -> std::process::ExitCode {
    name_no_display();
    scorefield::cli::main().into()
}

/// Keeps Wayland's library from printing errors on a machine without a display.
///
/// Mesa asks the display which GPU it uses. Where the environment names no display, that library calls it an error;
/// where the name leads nowhere, it fails without a word. Looking through fewer graphics APIs would not help: it is
/// Vulkan's own layer that asks.
fn name_no_display() {
    let named = |variable| std::env::var_os(variable).is_some();
    if cfg!(target_os = "linux") && !named("XDG_RUNTIME_DIR") && !named("WAYLAND_DISPLAY") {
        #[expect(unsafe_code, reason = "no other thread runs yet that could read the environment")]
        unsafe {
            std::env::set_var("WAYLAND_DISPLAY", "/dev/null");
        }
    }
}
