//! Progress bars on standard error. Where that is no terminal nothing is drawn.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `total` things of one kind, as `residents`.
pub fn bar(total: u64, things: &str) -> ProgressBar {
    let template = format!("{{bar:30}} {{human_pos}} of {{human_len}} {things}, {{per_sec}}, {{eta}} left");
    let bar = ProgressBar::new(total);
    // INVARIANT: the template is fixed but for a plain word, so it parses.
    bar.set_style(ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
