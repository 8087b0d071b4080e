//! `cargo xtask test`: everything that must hold before a change is accepted.
//!
//! What needs the crate and what needs the C libraries is tried side by side: each builds alone for minutes, on one core, and in a target
//! directory of its own.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;
use crate::{
    abi, abidump, bindings, conformance, crates, ctests, debian, demo, dist, doxygen, examples, header,
    manpage, packaging, rust, sanitize, server, targets, tools, torture,
};

/// One check.
struct Step {
    name: &'static str,
    /// What holds when it passes.
    holds: &'static str,
    check: fn(&Workspace) -> Result<()>,
    /// Whether it is left to `--full`: another step finds most of what it finds, and it builds everything once more.
    is_long: bool,
}

const fn step(name: &'static str, holds: &'static str, check: fn(&Workspace) -> Result<()>) -> Step {
    Step { name, holds, check, is_long: false }
}

const fn long(name: &'static str, holds: &'static str, check: fn(&Workspace) -> Result<()>) -> Step {
    Step { is_long: true, ..step(name, holds, check) }
}

/// What comes first, and is done in seconds: most mistakes are found there.
const TEXTS: &[Step] = &[
    step("tools", "the programs that the steps need are there", all_tools),
    step("format", "rustfmt would change nothing, and doc comments name their subjects", rust::format),
    step("header", "include/filedb.h is what src/capi says", header::check),
    step("man", "man/filedb.3 is what the header says, and groff has no warning for it", manpage::check),
    step("doxygen", "Doxygen renders both headers without a warning", doxygen::check),
    step("abi", "programs that were built with an earlier filedb.h still run", abidump::check),
];

/// What is built in cargo's target directory.
const CRATE: &[Step] = &[
    step("clippy", "clippy has nothing to say, with the tests and without", rust::clippy),
    step("rust-tests", "the Rust tests pass: library, command line tool, server, doctests", rust::tests),
    step(
        "schedules",
        "no order of the steps of threads loses or mixes anything: shuttle, with fixed seeds",
        torture::schedules,
    ),
    step("targets", "the library compiles for 32 bits, other processors, musl and macOS", targets::compile),
    long("rust-version", "everything compiles with the oldest Rust that Cargo.toml promises", rust::oldest),
    long("other-targets", "the Rust tests pass on 32 bits and with musl", targets::run),
    step(
        "server",
        "redis-cli, redis-benchmark, node-redis and the tests of redis-py can use filedb-server",
        server::check,
    ),
    long(
        "server-page",
        "the page of filedb-server draws figures in a browser, where there is one",
        server::page,
    ),
    long("server-unit", "systemd takes the unit of filedb-server", server::unit),
    long("sanitize", "AddressSanitizer, ThreadSanitizer and Miri find nothing", sanitize::check),
    step("rustdoc", "the documentation builds without warnings", rust::documentation),
    step(
        "crate",
        "the package for crates.io holds what it should, and a program that depends on it builds an rlib only",
        crates::package,
    ),
    long("torture", "every random test finds nothing with fresh seeds, for five minutes", torture::shortly),
];

/// What needs the C libraries, and they: no two of these can be tried at once.
const LIBRARIES: &[Step] = &[
    step("exports", "the libraries export what the header declares, and no more", abi::exported_names),
    step("soname", "SONAME, symbolic links and dependencies are as they should", abi::shared_library),
    step("archive", "libfiledb.a is one object without section groups", abi::static_library),
    step("lto", "the libraries are optimised at link time", abi::link_time_optimisation),
    step("c-tests", "the C tests pass: C99, C11, C++17, shared and static", ctests::plain),
    long(
        "valgrind",
        "the C tests pass under valgrind, and those that take long in all ways of compiling them",
        ctests::under_valgrind,
    ),
    step(
        "conformance",
        "every store passes the suites in Rust and in C: files, memory, a Valkey server, a Valkey Cluster",
        conformance::check,
    ),
    long("neighbours", "another Rust library in the same program does no harm", ctests::neighbours),
    step(
        "package",
        "find_package works in a moved tree and refuses other versions",
        packaging::cmake_package,
    ),
    step(
        "compilers",
        "a project outside builds and runs: gcc and clang, C90 to C++20, shared and static",
        packaging::compilers,
    ),
    step("uninstall", "what was installed can be taken out again", packaging::uninstall),
    long("sources", "add_subdirectory and FetchContent work", packaging::cmake_sources),
    long(
        "machines",
        "CMake builds for the machine of the C compiler, or says why it cannot",
        packaging::other_machines,
    ),
    long("debian", "the Debian packages build, lintian has nothing to say, and they work", debian::packages),
    long("recipes", "Conan builds packages of both kinds, and the vcpkg port is right", packaging::recipes),
    step("pkg-config", "pkg-config and plain cc link, shared and static", packaging::pkg_config),
    step(
        "bindings",
        "the description of the API is up to date, and no binding misses a function",
        bindings::description,
    ),
    step("cpp", "filedb.hpp: gcc, clang, C++17, C++20, with exceptions and without", bindings::cpp),
    step("go", "the Go binding passes its tests, and the job queue runs", bindings::go),
    step("zig", "the Zig binding passes its tests, and the word count runs", bindings::zig),
    step("python", "the Python wheel passes the tests, and the notebook runs", bindings::python),
    long("sdist", "pip builds the library from the source distribution", bindings::source_distribution),
    long("dist", "the archive and the wheel of `cargo xtask dist` work in an empty directory", dist::make),
    step("examples", "the examples build and do what they say", examples::check),
    step("demo", "an import killed half way is finished, in both io modes", demo::check),
];

fn steps() -> impl Iterator<Item = &'static Step> {
    TEXTS.iter().chain(CRATE).chain(LIBRARIES)
}

fn all_tools(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, tools::BUILD.iter().chain(tools::TEST))
}

pub fn list() {
    for step in steps() {
        let when = if step.is_long { " (--full)" } else { "" };
        println!("{:12} {}{when}", step.name, step.holds);
    }
}

/// How all steps build what they build. A run of all of them is mostly one of a fresh copy, which builds everything once: what cargo keeps
/// for the next build costs a quarter of the time.
const BUILT_ONCE: &[(&str, &str)] = &[("CARGO_INCREMENTAL", "0")];

/// Sets what [`BUILT_ONCE`] says, for the programs that are run from here, where nobody has set something else.
fn build_once() {
    for (name, value) in BUILT_ONCE {
        if std::env::var_os(name).is_none() {
            // SAFETY: no other thread was started yet.
            unsafe { std::env::set_var(name, value) };
        }
    }
}

/// Runs the steps of these names, one after the other, up to the first that fails. Where there is none: all, but long ones only if it
/// is to be the `full` run.
pub fn run(workspace: &Workspace, names: &[String], full: bool) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| steps().all(|step| step.name != *name)) {
        bail!("there is no step '{unknown}': cargo xtask test --list");
    }
    if !names.is_empty() {
        let is_named = |step: &&Step| names.iter().any(|name| name == step.name);
        return run_in_order(workspace, &steps().filter(is_named).collect::<Vec<_>>());
    }
    build_once();
    let began = Instant::now();
    let chosen = |steps: &'static [Step]| steps.iter().filter(move |step| full || !step.is_long);
    run_in_order(workspace, &chosen(TEXTS).collect::<Vec<_>>())?;
    // Each to its own end, whatever becomes of the other: who mends one thing wants to know of all.
    let libraries = Beside::begin(workspace, chosen(LIBRARIES))?;
    let of_the_crate = run_in_order(workspace, &chosen(CRATE).collect::<Vec<_>>());
    let of_the_libraries = libraries.end();
    println!("\nall {:.1} s", began.elapsed().as_secs_f64());
    if !full {
        println!("left to --full: {}", names_of(steps().filter(|step| step.is_long)).join(", "));
    }
    // Said where it is seen: the only part of a step that a machine need not be able to run.
    if full {
        sanitize::not_run(workspace).iter().for_each(|line| println!("{line}"));
    }
    match (of_the_crate, of_the_libraries) {
        (Err(one), Err(other)) => Err(one.context(other)),
        (one, other) => one.and(other),
    }
}

fn run_in_order(workspace: &Workspace, steps: &[&Step]) -> Result<()> {
    let mut times = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        println!("\n==== {}/{} {}: {}", n + 1, steps.len(), step.name, step.holds);
        let step_began = Instant::now();
        let outcome = (step.check)(workspace);
        let seconds = step_began.elapsed().as_secs_f64();
        if let Err(why) = outcome {
            let left = names_of(steps.iter().skip(n + 1).copied());
            println!("==== {} FAILED after {seconds:.1} s; not run: {}", step.name, left.join(", "));
            println!("steps: {n} passed, 1 failed, {} skipped", left.len());
            return Err(why.context(format!("step '{}' failed", step.name)));
        }
        println!("==== {} ok, {seconds:.1} s", step.name);
        times.push((step, seconds));
    }
    println!();
    for (step, seconds) in &times {
        println!("{:12} {seconds:7.1} s{}", step.name, if step.is_long { "  (long)" } else { "" });
    }
    println!("steps: {} passed, 0 failed", times.len());
    Ok(())
}

/// Steps that another process of this program tries meanwhile. What it prints is shown at the end.
struct Beside {
    process: Child,
    printed: PathBuf,
}

impl Beside {
    fn begin(workspace: &Workspace, steps: impl Iterator<Item = &'static Step>) -> Result<Self> {
        let printed = workspace.shell.create_dir(&workspace.out)?.join("libraries.txt");
        let file = File::create(&printed).with_context(|| format!("create {}", printed.display()))?;
        println!("\nwhat needs the C libraries is tried meanwhile: {}", printed.display());
        let process = Command::new(std::env::current_exe()?)
            .arg("test")
            .args(names_of(steps))
            .env("CARGO_MANIFEST_DIR", workspace.path("xtask"))
            .current_dir(&workspace.root)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Beside { process, printed })
    }

    fn end(mut self) -> Result<()> {
        let status = self.process.wait()?;
        println!("\n==== what needs the C libraries\n{}", std::fs::read_to_string(&self.printed)?);
        ensure!(status.success(), "what needs the C libraries failed");
        Ok(())
    }
}

fn names_of<'a>(steps: impl Iterator<Item = &'a Step>) -> Vec<&'static str> {
    steps.map(|step| step.name).collect()
}
