//! `filedb`: a store on the command line. Every command takes a store, a directory or a URL, and then what it works on.

mod args;
mod commands;
mod output;
mod progress;
mod text;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command};
use output::Answer;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(answer) => {
            // A person wonders; a program has the code.
            if answer == Answer::No && std::io::stderr().is_terminal() {
                eprintln!("filedb: there is no such key, or the condition does not hold");
            }
            answer.into()
        }
        Err(error) => {
            // Whoever reads the output of a command that does nothing else has had enough.
            if is_broken_pipe(&error)
                && matches!(args.command, Command::List { .. } | Command::Dump { .. } | Command::Watch { .. })
            {
                return Answer::Done.into();
            }
            eprintln!("filedb: {}", output::sentence(&error));
            Answer::of_error(&error).into()
        }
    }
}

fn run(args: &Args) -> anyhow::Result<Answer> {
    use commands::{backup, bench, damage, dump, keys, lists, load, repl, replicate, stats, watch};
    let store = |path, read_only| keys::open(args, path, read_only);
    match &args.command {
        Command::Get { store: path, key } => keys::get(args, &store(path, true)?, key),
        Command::Put(put) => keys::put(args, &store(&put.store, false)?, put),
        Command::Delete { store: path, keys } => keys::delete(args, &store(path, false)?, keys),
        Command::List { store: path, prefix, raw } => keys::list(args, &store(path, true)?, prefix, *raw),
        Command::Count { store: path } => keys::count(args, &store(path, true)?),
        Command::Ttl { store: path, key } => keys::ttl(args, &store(path, true)?, key),
        Command::Expire { store: path, key, time } => keys::expire(args, &store(path, false)?, key, *time),
        Command::Push { store: path, key, values, front } => {
            lists::push(args, &store(path, false)?, key, values, *front)
        }
        Command::Pop { store: path, key, front } => lists::pop(args, &store(path, false)?, key, *front),
        Command::Stats { store: path, html, force } => {
            stats::stats(args, &store(path, true)?, path, html.as_deref(), *force)
        }
        Command::Check { store } => damage::check(args, store),
        Command::Salvage { store, to } => damage::salvage(args, store, to),
        Command::Backup { store: path, to, how } => backup::backup(args, &store(path, true)?, to, how),
        Command::Restore { from, store: to, how } => backup::restore(args, &store(from, true)?, to, how),
        Command::Dump { store: path, format, prefix } => {
            dump::dump(args, &store(path, true)?, *format, prefix.as_ref())
        }
        Command::Load { store: path, format } => load::load(args, &store(path, false)?, *format),
        Command::Replicate { from, to, once } => {
            replicate::replicate(args, &keys::open_from(from)?, from, to, *once)
        }
        Command::Watch { store: path, from, count } => {
            watch::watch(args, &keys::open_live(args, path)?, path, *from, *count)
        }
        Command::Merge { store: path } => stats::merge(args, &store(path, false)?),
        Command::Bench(bench) => bench::bench(args, &store(&bench.store, false)?, bench),
        Command::Repl { store: path } => repl::repl(&store(path, false)?),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "filedb", &mut script);
            std::io::stdout().write_all(&script)?;
            Ok(Answer::Done)
        }
        Command::Man => {
            clap_mangen::Man::new(Args::command()).render(&mut std::io::stdout())?;
            Ok(Answer::Done)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
