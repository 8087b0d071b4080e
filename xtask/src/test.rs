//! `cargo xtask test`: everything that must hold before a change is accepted, one step after the other.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{
    abi, abidump, bindings, cli, conformance, crates, ctests, demo, doxygen, examples, header, manpage,
    packaging, rust, sanitize, server, tools,
};

/// Its name, what holds when it passes, and the check.
type Step = (&'static str, &'static str, fn(&Workspace) -> Result<()>);

/// Quick ones first: most mistakes are found in the first minute.
const STEPS: &[Step] = &[
    ("tools", "the programs that the steps need are there", all_tools),
    ("format", "rustfmt would change nothing", rust::format),
    ("header", "include/filedb.h is what src/capi says", header::check),
    ("man", "man/filedb.3 is what the header says, and groff has no warning for it", manpage::check),
    ("doxygen", "Doxygen renders both headers without a warning", doxygen::check),
    ("abi", "programs that were built with an earlier filedb.h still run", abidump::check),
    ("clippy", "clippy has nothing to say, with the tests and without", rust::clippy),
    ("rust-tests", "the Rust tests pass, doctests too", rust::tests),
    ("cli", "the command line tool does what its manual page says", cli::tests),
    ("sanitize", "AddressSanitizer, ThreadSanitizer and Miri find nothing", sanitize::check),
    ("rustdoc", "the documentation builds without warnings", rust::documentation),
    ("crate", "the package for crates.io holds what it should, and builds", crates::package),
    ("dependency", "a Rust program that depends on the crate builds an rlib only", crates::dependency),
    ("exports", "the libraries export what the header declares, and no more", abi::exported_names),
    ("soname", "SONAME, symbolic links and dependencies are as they should", abi::shared_library),
    ("archive", "libfiledb.a is one object without section groups", abi::static_library),
    ("lto", "the libraries are optimised at link time", abi::link_time_optimisation),
    ("c-tests", "the C tests pass: C99, C11, C++17, shared and static", ctests::plain),
    ("valgrind", "the C tests pass under valgrind", ctests::under_valgrind),
    (
        "conformance",
        "every store passes the suites in Rust and in C: files, memory, a Valkey server, a Valkey Cluster",
        conformance::check,
    ),
    ("neighbours", "another Rust library in the same program does no harm", ctests::neighbours),
    ("package", "find_package works in a moved tree and refuses other versions", packaging::cmake_package),
    (
        "compilers",
        "a project outside builds and runs: gcc and clang, C90 to C++20, shared and static",
        packaging::compilers,
    ),
    ("uninstall", "what was installed can be taken out again", packaging::uninstall),
    ("sources", "add_subdirectory and FetchContent work", packaging::cmake_sources),
    (
        "machines",
        "CMake builds for the machine of the C compiler, or says why it cannot",
        packaging::other_machines,
    ),
    ("pkg-config", "pkg-config and plain cc link, shared and static", packaging::pkg_config),
    (
        "bindings",
        "the description of the API is up to date, and no binding misses a function",
        bindings::description,
    ),
    ("cpp", "filedb.hpp: gcc, clang, C++17, C++20, with exceptions and without", bindings::cpp),
    ("go", "the Go binding passes its tests, and the job queue runs", bindings::go),
    ("zig", "the Zig binding passes its tests, and the word count runs", bindings::zig),
    ("python", "the Python wheel passes the tests, and the notebook runs", bindings::python),
    (
        "server",
        "filedb-server answers as Redis does, loses nothing that it acknowledged, and redis-cli can use it",
        server::check,
    ),
    ("examples", "the examples build and do what they say", examples::check),
    ("demo", "an import killed half way is finished, in both io modes", demo::check),
];

fn all_tools(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, tools::BUILD.iter().chain(tools::TEST))
}

pub fn list() {
    for (name, holds, _) in STEPS {
        println!("{name:12} {holds}");
    }
}

/// Runs the steps of these names, all of them when there is none, up to the first that fails.
pub fn run(workspace: &Workspace, names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|(step, ..)| step != name)) {
        bail!("there is no step '{unknown}': cargo xtask test --list");
    }
    let is_chosen = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.0);
    let chosen: Vec<_> = STEPS.iter().filter(is_chosen).collect();

    let began = Instant::now();
    let mut times = Vec::new();
    for (n, (name, holds, check)) in chosen.iter().enumerate() {
        println!("\n==== {}/{} {name}: {holds}", n + 1, chosen.len());
        let step_began = Instant::now();
        let outcome = check(workspace);
        let seconds = step_began.elapsed().as_secs_f64();
        if let Err(why) = outcome {
            let left: Vec<_> = chosen.iter().skip(n + 1).map(|(name, ..)| *name).collect();
            println!("==== {name} FAILED after {seconds:.1} s; not run: {}", left.join(", "));
            println!("steps: {n} passed, 1 failed, {} skipped", left.len());
            return Err(why.context(format!("step '{name}' failed")));
        }
        println!("==== {name} ok, {seconds:.1} s");
        times.push((name, seconds));
    }

    println!();
    for (name, seconds) in &times {
        println!("{name:12} {seconds:7.1} s");
    }
    println!("{:12} {:7.1} s", "all", began.elapsed().as_secs_f64());
    println!("steps: {} passed, 0 failed", times.len());
    // Said where it is seen: the only part of a step that a machine need not be able to run.
    if chosen.iter().any(|step| step.0 == "sanitize") {
        sanitize::not_run(workspace).iter().for_each(|line| println!("{line}"));
    }
    Ok(())
}
