//! Progress bars on standard error, where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that counts bytes up to a number that may be learnt on the way.
pub fn bytes(what: &'static str) -> ProgressBar {
    bar(what, "{msg} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}")
}

/// A bar that counts things.
pub fn count(what: &'static str, of: u64) -> ProgressBar {
    let bar = bar(what, "{msg} [{bar:30}] {human_pos}/{human_len} {per_sec} {eta}");
    bar.set_length(of);
    bar
}

/// A line that counts things of which nobody knows how many there are.
pub fn endless(what: &'static str) -> ProgressBar {
    bar(what, "{spinner} {msg} {human_pos} {per_sec}")
}

fn bar(what: &'static str, template: &str) -> ProgressBar {
    // It hides itself where standard error is no terminal.
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
