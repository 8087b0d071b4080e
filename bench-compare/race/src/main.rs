//! The race: runs the driver for every store and row, prints a table, writes `figures.json` and `race.html`.
//!
//! `cargo xtask race` builds everything and starts this. `README.md` says what is measured and how.

mod args;
mod driver;
mod figures;
mod group;
mod lines;
mod machine;
mod page;
mod plan;
mod run;
mod summary;
mod table;

use std::fs;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::args::{Args, USAGE};
use crate::driver::Driver;
use crate::figures::Figures;
use crate::machine::Machine;
use crate::run::Run;

fn main() -> ExitCode {
    match Args::parse(lexopt::Parser::from_env()).and_then(|args| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if args.help {
        print!("{USAGE}");
        return Ok(());
    }
    if args.list {
        args::list();
        return Ok(());
    }
    let (file, page) = (args.out.join("figures.json"), args.out.join("race.html"));
    let figures = if args.show { Figures::load(&file)? } else { measure(args)? };
    table::print(&figures);
    page::write(&figures, &page)?;
    if let Some(picture) = &args.picture {
        page::write_picture(&figures, picture)?;
        println!("{}", picture.display());
    }
    println!("{}\n{}", file.display(), page.display());
    Ok(())
}

fn measure(args: &Args) -> Result<Figures> {
    let program = args.driver.clone().context("--driver is missing: start the race with cargo xtask race")?;
    fs::create_dir_all(&args.stores).with_context(|| args.stores.display().to_string())?;
    fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let (file, page) = (args.out.join("figures.json"), args.out.join("race.html"));
    let mut shapes = match args {
        Args { ordered: true, .. } => plan::ordered_shapes(&args.keys, args.quick),
        Args { limited: true, .. } => plan::limited_shapes(args.quick),
        _ => plan::shapes(&args.keys, args.quick),
    };
    if args.ordered && args.limited {
        shapes.retain(|shape| shape.memory_bytes > 0);
    }
    shapes.retain(|shape| args.values.is_empty() || args.values.contains(&shape.value_size));
    let machine = Machine::this(&args.stores);
    let driver =
        Driver { program, cores: machine.cores, memory_bytes: machine.memory_bytes, effort: args.effort };
    let figures = if args.resume && file.exists() {
        Figures::load(&file)?
    } else {
        let began = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Figures { machine, began, effort: args.effort, shapes: shapes.clone(), ..Figures::default() }
    };
    let jobs = plan::jobs(&shapes, &args.engines, &args.only, args.effort);
    let mut run = Run { driver, figures, file: &file, stores: &args.stores };
    run.all(&jobs, |figures| page::write(figures, &page))?;
    Ok(run.figures)
}
