//! The program filedb-server: options, signals, and the exit status.

use std::process::ExitCode;

use filedb_server::config::Config;
use filedb_server::{logging, run};

fn main() -> ExitCode {
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
