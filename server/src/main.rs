//! The program filedb-server: options, signals, and the exit status.

use std::io::Write;
use std::process::ExitCode;

use filedb_server::config::{self, Config};
use filedb_server::{logging, run};

fn main() -> ExitCode {
    if std::env::args_os().skip(1).eq(["man"]) {
        let printed = config::manual().and_then(|page| std::io::stdout().write_all(&page));
        return if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let config = match Config::read() {
        Ok(config) => config,
        Err(why) => {
            eprintln!("filedb-server: {why}");
            return ExitCode::from(2);
        }
    };
    logging::start(config.log_format, config.log_level);
    match run::until_ended(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            log::error!("{why}");
            ExitCode::FAILURE
        }
    }
}
