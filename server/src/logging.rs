//! The server's log: lines of text or of JSON on the standard error output.

use std::io::Write;

use clap::ValueEnum;
use log::{LevelFilter, Log, Metadata, Record};

use crate::server::wall_clock;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

struct Logger {
    format: Format,
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let now = wall_clock();
        let level = record.level().as_str().to_ascii_lowercase();
        let message = record.args().to_string();
        let line = match self.format {
            Format::Text => format!(
                "{} {}.{:03} {level} {message}\n",
                std::process::id(),
                now.as_secs(),
                now.subsec_millis()
            ),
            Format::Json => {
                let line = serde_json::json!({
                    "time": now.as_secs_f64(),
                    "pid": std::process::id(),
                    "level": level,
                    "message": message,
                });
                format!("{line}\n")
            }
        };
        // There is nobody to tell that the log cannot be written.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Begins to log.
pub fn start(format: Format, level: LevelFilter) {
    if log::set_boxed_logger(Box::new(Logger { format })).is_ok() {
        log::set_max_level(level);
    }
}
