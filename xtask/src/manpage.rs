//! `man/filedb.3`, made from the header, so that the manual has one source.

use anyhow::{Result, bail, ensure};
use xshell::cmd;

use crate::document::{self, Block, Document, Item};
use crate::header::HEADER;
use crate::tools::{self, Tool};
use crate::workspace::Workspace;

const PAGE: &str = "man/filedb.3";
const GROFF: &[Tool] = &[Tool("groff", "groff-base")];

pub fn write(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    sh.write_file(PAGE, generate(workspace)?)?;
    println!("wrote {PAGE}");
    Ok(())
}

/// Compares the committed page with what the header says, and has it typeset: without a warning, and with every function.
pub fn check(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, GROFF)?;
    let sh = &workspace.shell;
    let generated = workspace.out.join("filedb.3");
    sh.write_file(&generated, generate(workspace)?)?;
    if cmd!(sh, "diff -u {PAGE} {generated}").quiet().run().is_err() {
        bail!("{PAGE} is not what {HEADER} says: run `cargo xtask man`");
    }
    let output = cmd!(sh, "groff -ww -b -Tutf8 -P-cbou -rLL=100n -man {PAGE}").quiet().output()?;
    let warnings = String::from_utf8_lossy(&output.stderr);
    ensure!(warnings.is_empty(), "groff warns about {PAGE}:\n{warnings}");
    let page = String::from_utf8_lossy(&output.stdout);
    let document = document::parse(&sh.read_file(HEADER)?)?;
    for item in &document.items {
        ensure!(page.contains(&item.name), "the typeset page does not show {}", item.name);
    }
    println!("{} lines, {} items, no warning", page.lines().count(), document.items.len());
    Ok(())
}

fn generate(workspace: &Workspace) -> Result<String> {
    let document = document::parse(&workspace.shell.read_file(HEADER)?)?;
    Ok(page(&document, &workspace.version()?))
}

fn page(document: &Document, version: &str) -> String {
    let mut page = format!(
        ".\\\" Made by `cargo xtask man` from include/filedb.h; do not edit.\n\
         .TH FILEDB 3 \"\" \"filedb {version}\" \"filedb\"\n.nh\n.ad l\n\
         .SH NAME\nfiledb \\- an embedded key\\-value store\n\
         .SH LIBRARY\nThe filedb library (libfiledb, \\-lfiledb)\n\
         .SH SYNOPSIS\n.nf\n.B #include <filedb.h>\n.PP\n"
    );
    for function in document.items.iter().filter(|item| item.is_function()) {
        page += &declaration(function);
    }
    page += ".fi\n.SH DESCRIPTION\n";
    text(&mut page, &document.manual, ".SH");
    let functions = document.items.iter().filter(|item| item.is_function());
    let types = document.items.iter().filter(|item| item.is_type());
    let macros = document.items.iter().filter(|item| !item.is_function() && !item.is_type());
    chapter(&mut page, "FUNCTIONS", functions);
    chapter(&mut page, "TYPES", types);
    chapter(&mut page, "CONSTANTS", macros);
    page += ".SH SEE ALSO\n.BR fdatasync (2),\n.BR flock (2),\n.BR mmap (2)\n";
    page
}

fn chapter<'a>(page: &mut String, title: &str, items: impl Iterator<Item = &'a Item>) {
    *page += &format!(".SH {title}\n");
    for item in items {
        *page += &format!(".SS {}\n.nf\n{}.fi\n", item.name, declaration(item));
        text(page, &item.text, ".PP");
        for (member, about) in &item.members {
            *page += &format!(".TP\n.B {}\n", verbatim(member));
            for block in document::blocks(about) {
                if let Block::Paragraph(paragraph) | Block::Bullet(paragraph) = block {
                    *page += &format!("{}\n", prose(&paragraph));
                }
            }
        }
    }
}

fn declaration(item: &Item) -> String {
    item.declaration
        .lines()
        .map(|line| format!(".B \"{}\"\n", verbatim(line).replace('"', "\\(dq")))
        .collect()
}

fn text(page: &mut String, text: &str, heading: &str) {
    for block in document::blocks(text) {
        *page += &match block {
            Block::Heading(title) => format!("{heading} {}\n", title.to_uppercase()),
            Block::Paragraph(paragraph) => format!(".PP\n{}\n", prose(&paragraph)),
            Block::Bullet(line) => format!(".IP \\(bu 2\n{}\n", prose(&line)),
            Block::Verbatim(lines) => {
                let lines: Vec<_> = lines.iter().map(|line| verbatim(line)).collect();
                format!(".PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n", lines.join("\n"))
            }
        };
    }
}

/// A line that troff shows as it is.
fn verbatim(line: &str) -> String {
    let escaped = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if escaped.starts_with('.') { format!("\\&{escaped}") } else { escaped }
}

/// A paragraph, a sentence on each line as troff likes it; what stands between back quotes is bold, and so are our names.
fn prose(paragraph: &str) -> String {
    let mut bold = false;
    let mut words = Vec::new();
    for word in paragraph.split(' ') {
        let plain = verbatim(&word.replace('`', ""));
        let is_name = word.trim_start_matches('(').starts_with("filedb_") || word.contains("FILEDB_");
        let quotes = word.matches('`').count();
        words.push(if bold || quotes > 0 || is_name { embolden(&plain) } else { plain });
        bold ^= quotes % 2 == 1;
    }
    let mut lines = vec![String::new()];
    for word in words {
        let line = lines.last_mut().expect("there is one from the start");
        if !line.is_empty() {
            line.push(' ');
        }
        *line += &word;
        if word.ends_with('.') {
            lines.push(String::new());
        }
    }
    lines.retain(|line| !line.is_empty());
    lines.iter().map(|line| control_free(line)).collect::<Vec<_>>().join("\n")
}

/// Bold, but for the punctuation around it.
fn embolden(word: &str) -> String {
    let is_punctuation = |c: char| ",.;:".contains(c);
    let front = word.len() - word.trim_start_matches('(').len();
    let (open, rest) = word.split_at(front);
    let core = rest.trim_end_matches(is_punctuation);
    format!("{open}\\fB{core}\\fP{}", &rest[core.len()..])
}

/// A line that troff does not take for a request.
fn control_free(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_no_request_and_names_are_bold() {
        assert_eq!(
            prose("Give it to filedb_free(). `*a b` is so."),
            "Give it to \\fBfiledb_free()\\fP.\n\\fB*a\\fP \\fBb\\fP is so."
        );
        assert_eq!(prose("'quoted' .dot \\n"), "\\(aqquoted\\(aq \\&.dot \\en");
    }

    #[test]
    fn lines_are_shown_as_they_are() {
        assert_eq!(verbatim(".a - 'b\\n"), "\\&.a \\- \\(aqb\\en");
    }
}
