//! LATENCY: what took long, and how the times of commands are spread.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use super::Context;
use super::args::text;
use super::fault::{Fault, Result};
use super::table::{self, Command, Flags, Keys, command};
use crate::latency::{History, Sample};
use crate::server::wall_clock;
use crate::settings::Settings;

const ADMIN: Flags = Flags(Flags::ADMIN.0 | Flags::NO_SCRIPT.0);

const fn line(name: &'static str, arity: i32, since: &'static str, summary: &'static str) -> Command {
    command(name, latency, arity, ADMIN, Keys::NONE, "server", since, summary)
}

/// The table of this group.
pub static COMMANDS: &[Command] = &[Command {
    name: "latency",
    handler: latency,
    arity: -2,
    flags: Flags::NONE,
    keys: Keys::NONE,
    group: "server",
    since: "2.8.13",
    summary: "A container for latency diagnostics commands.",
    subcommands: &[
        line("latency|doctor", 2, "2.8.13", "Returns a human-readable latency analysis report."),
        line("latency|graph", 3, "2.8.13", "Returns a latency graph for an event."),
        line(
            "latency|histogram",
            -2,
            "7.0.0",
            "Returns the cumulative distribution of latencies of a subset or all commands.",
        ),
        line("latency|history", 3, "2.8.13", "Returns timestamp-latency samples for an event."),
        line("latency|latest", 2, "2.8.13", "Returns the latest latency samples for all events."),
        line("latency|reset", -2, "2.8.13", "Resets the latency data for one or more events."),
        super::help::line("latency|help", "server", "2.8.13"),
    ],
    number: 0,
}];

fn latency(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let server = context.server;
    match args[1].to_ascii_lowercase().as_slice() {
        b"latest" => {
            let events = server.latency.all();
            let mut reply = context.reply();
            reply.array(events.len());
            for (name, history) in events {
                let (at_s, took_ms) = history.samples.back().copied().unwrap_or_default();
                reply.array(4);
                reply.bulk(name.as_bytes());
                [at_s, took_ms, history.longest_ms].iter().for_each(|number| reply.int(*number as i64));
            }
        }
        b"history" => {
            let samples = server.latency.of(args[2]).unwrap_or_default().samples;
            let mut reply = context.reply();
            reply.array(samples.len());
            for (at_s, took_ms) in samples {
                reply.array(2);
                reply.int(at_s as i64);
                reply.int(took_ms as i64);
            }
        }
        b"reset" => {
            let count = server.latency.forget(&args[2..]);
            context.reply().count(count);
        }
        b"graph" => {
            let history = server.latency.of(args[2]).ok_or_else(|| {
                Fault::from(format!("ERR No samples available for event '{}'", text(args[2])))
            })?;
            let graph = graph(&text(args[2]), &history, wall_clock().as_secs());
            context.reply().verbatim(&graph);
        }
        b"doctor" => {
            let report = report(&server.settings, &server.latency.all(), wall_clock().as_secs());
            context.reply().verbatim(&report);
        }
        _ => histogram(context, &args[2..]),
    }
    Ok(())
}

fn histogram(context: &mut Context<'_>, names: &[&[u8]]) {
    let totals = context.server.tallies.totals();
    let wanted: Vec<&'static Command> = if names.is_empty() {
        table::all_lines().collect()
    } else {
        names.iter().filter_map(|name| table::of_name(name)).collect()
    };
    let all_of = |command: &'static Command| {
        // Of a container all of its subcommands.
        let is_one = !names.is_empty() && !command.subcommands.is_empty();
        if is_one { command.subcommands.iter().collect() } else { vec![command] }
    };
    let shown: Vec<_> = wanted
        .into_iter()
        .flat_map(all_of)
        .filter_map(|command| Some((command, totals.commands.get(usize::from(command.number))?)))
        .filter(|(_, total)| total.calls > 0)
        .collect();
    let mut reply = context.reply();
    reply.map(shown.len());
    for (command, total) in shown {
        reply.bulk(command.name.as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.int(total.calls as i64);
        reply.bulk(b"histogram_usec");
        let histogram = total.histogram();
        reply.map(histogram.len());
        for (micros, count) in histogram {
            reply.int(micros as i64);
            reply.int(count as i64);
        }
    }
}

/// How long ago something was, in the largest unit that fits.
fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The width of a graph, and the lines of its columns.
const COLUMNS: usize = 80;
const ROWS: usize = 4;
/// What a column ends with, from the lowest up.
const TOPS: &[u8] = b"_o#";

/// A graph of letters, in the form of Redis.
fn graph(event: &str, history: &History, now_s: u64) -> String {
    let times = || history.samples.iter().map(|(_, took_ms)| *took_ms);
    let (least, most) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    let all_time = history.longest_ms;
    let mut graph = format!("{event} - high {most} ms, low {least} ms (all time high {all_time} ms)\n");
    graph.push_str(&"-".repeat(COLUMNS));
    graph.push('\n');
    let samples: Vec<Sample> = history.samples.iter().copied().collect();
    for (n, part) in samples.chunks(COLUMNS).enumerate() {
        if n > 0 {
            graph.push('\n');
        }
        let labels: Vec<String> = part.iter().map(|(at_s, _)| ago(now_s.saturating_sub(*at_s))).collect();
        let steps = TOPS.len() * ROWS;
        let span = (most - least).max(1);
        for row in 0..ROWS {
            for (_, took_ms) in part {
                let step = (((took_ms - least) as usize * steps) / span as usize).min(steps - 1);
                let below = (ROWS - row - 1) * TOPS.len();
                graph.push(match step.checked_sub(below) {
                    None => ' ',
                    Some(place) => TOPS.get(place).map_or('|', |top| *top as char),
                });
            }
            graph.push('\n');
        }
        graph.push_str(&" ".repeat(part.len()));
        graph.push('\n');
        for place in 0..labels.iter().map(String::len).max().unwrap_or(0) {
            let letter = |label: &String| label.as_bytes().get(place).map_or(' ', |letter| *letter as char);
            graph.extend(labels.iter().map(letter));
            graph.push('\n');
        }
    }
    graph
}

/// What a doctor says of the events, in the words of Redis.
fn report(settings: &Settings, events: &[(&'static str, History)], now_s: u64) -> String {
    let least_ms = settings.latency_ms.load(Ordering::Relaxed);
    if events.is_empty() {
        return match least_ms {
            0 => "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it. If we weren't in a deep space mission I'd suggest to take a look at https://redis.io/topics/latency-monitor.\n".into(),
            _ => "Dave, no latency spike was observed during the lifetime of this Redis instance, not in the slightest bit. I honestly think you ought to sit down calmly, take a stress pill, and think things over.\n".into(),
        };
    }
    let mut report = String::from(
        "Dave, I have observed latency spikes in this Redis instance. You don't mind talking about it, do you Dave?\n\n",
    );
    for (n, (event, history)) in events.iter().enumerate() {
        let count = history.samples.len().max(1) as u64;
        let sum: u64 = history.samples.iter().map(|(_, took_ms)| took_ms).sum();
        let average = sum / count;
        let deviation = history.samples.iter().map(|(_, ms)| ms.abs_diff(average)).sum::<u64>() / count;
        let since_s = history.samples.front().map_or(0, |(at_s, _)| now_s.saturating_sub(*at_s));
        let period = since_s as f64 / count as f64;
        let worst = history.longest_ms;
        let _ = writeln!(
            report,
            "{}. {event}: {count} latency spikes (average {average}ms, mean deviation {deviation}ms, period {period:.2} sec). Worst all time event {worst}ms.",
            n + 1
        );
    }
    let has = |names: &[&str]| events.iter().any(|(event, _)| names.contains(event));
    let mut advice = String::new();
    if has(&["command", "fast-command"]) {
        let slow = settings.slowlog_micros.load(Ordering::Relaxed) as i64;
        let micros = least_ms * 1000;
        if slow < 0 {
            let _ = writeln!(
                advice,
                "- There are latency issues with potentially slow commands you are using. Try to enable the Slow Log Redis feature using the command 'CONFIG SET slowlog-log-slower-than {micros}'. If the Slow log is disabled Redis is not able to log slow commands execution for you."
            );
        } else if slow as u64 / 1000 > least_ms {
            let _ = writeln!(
                advice,
                "- Your current Slow Log configuration only logs events that are slower than your configured latency monitor threshold. Please use 'CONFIG SET slowlog-log-slower-than {micros}'."
            );
        }
        advice.push_str("- Check your Slow Log to understand what are the commands you are running which are too slow to execute. Please check https://redis.io/commands/slowlog for more information.\n");
    }
    if has(&["aof-write", "aof-fsync", "aof-fsync-always"]) {
        advice.push_str("- The disk is slow: other processes may use it, or it may need less to do with 'CONFIG SET appendfsync everysec'.\n");
    }
    if advice.is_empty() {
        report.push_str("\nWhile there are latency events logged, I'm not able to suggest any easy fix. Please use the Redis community to get some help, providing this report in your help request.\n");
    } else {
        report.push_str("\nI have a few advices for you:\n\n");
        report.push_str(&advice);
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Redis drew and said of the same times.
    #[test]
    fn graphs_and_reports_are_those_of_redis() {
        let samples = [(433, 10), (435, 52), (436, 103), (437, 21)];
        let history = History { samples: samples.into(), longest_ms: 103 };
        let expected = "command - high 103 ms, low 10 ms (all time high 103 ms)\n\
            --------------------------------------------------------------------------------\n\
            \x20 # \n\
            \x20 | \n\
            \x20#| \n\
            _||o\n\
            \x20   \n\
            5321\n\
            ssss\n";
        assert_eq!(graph("command", &history, 438), expected);
        let settings = Settings::default();
        settings.latency_ms.store(1, Ordering::Relaxed);
        let report = report(&settings, &[("command", history)], 438);
        assert!(report.contains(
            "\n\n1. command: 4 latency spikes (average 46ms, mean deviation 31ms, period 1.25 sec). Worst all time event 103ms.\n\nI have a few advices for you:\n\n- Your current Slow Log configuration only logs events that are slower than your configured latency monitor threshold. Please use 'CONFIG SET slowlog-log-slower-than 1000'.\n- Check your Slow Log to"
        ));
        assert_eq!([ago(59), ago(61), ago(7200), ago(200_000)], ["59s", "1m", "2h", "2d"]);
    }
}
