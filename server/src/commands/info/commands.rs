//! INFO of commands: how often each was done, how long that took, and which errors were replied.

use std::fmt::Write;

use crate::commands::table;
use crate::server::Server;
use crate::tally::{Total, Totals};

/// The commands of which there is anything to tell.
fn shown(totals: &Totals) -> impl Iterator<Item = (&'static str, &Total)> {
    let all = table::all_lines().map(|command| command.name).zip(&totals.commands);
    all.filter(|(_, total)| !total.is_empty())
}

/// INFO commandstats.
pub fn commandstats(server: &Server, text: &mut String) {
    text.push_str("# Commandstats\r\n");
    for (name, total) in shown(&server.tallies.totals()) {
        let micros = total.nanos / 1000;
        let each = total.nanos as f64 / 1000.0 / total.calls.max(1) as f64;
        let Total { calls, rejected, failed, .. } = total;
        let _ = write!(
            text,
            "cmdstat_{name}:calls={calls},usec={micros},usec_per_call={each:.2},rejected_calls={rejected},failed_calls={failed}\r\n"
        );
    }
}

/// INFO errorstats.
pub fn errorstats(server: &Server, text: &mut String) {
    text.push_str("# Errorstats\r\n");
    for (code, count) in server.tallies.totals().errors {
        let _ = write!(text, "errorstat_{code}:count={count}\r\n");
    }
}

/// INFO latencystats.
pub fn latencystats(server: &Server, text: &mut String) {
    text.push_str("# Latencystats\r\n");
    for (name, total) in shown(&server.tallies.totals()).filter(|(_, total)| total.calls > 0) {
        let micros = |of_1000| total.within(of_1000) as f64 / 1000.0;
        let (half, most, nearly) = (micros(500), micros(990), micros(999));
        let _ =
            write!(text, "latency_percentiles_usec_{name}:p50={half:.3},p99={most:.3},p99.9={nearly:.3}\r\n");
    }
}
