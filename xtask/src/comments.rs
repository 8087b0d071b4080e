//! Doc comments that name what they are about. The documentation and an editor show one comment alone: what begins with "It" or "And so
//! many" is a riddle there, however clear it is behind the comment above it.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::workspace::Workspace;

/// Where comments are looked at.
const FOLDERS: &[&str] = &["src", "server/src", "cli/src", "xtask/src"];

/// Words that stand for something that was named before.
const POINTING: &[&str] =
    &["It", "Its", "They", "Them", "Their", "That", "Those", "These", "So", "And", "Or", "But"];

/// Whether a doc comment begins with a word that only one who has read what stands before it understands.
fn is_riddle(line: &str) -> bool {
    let Some(text) = line.trim_start().strip_prefix("/// ") else { return false };
    POINTING.contains(&text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or(""))
}

/// The lines of a file in which a doc comment begins with such a word.
fn riddles(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_doc = |line: &str| line.trim_start().starts_with("///");
    let lines = text.lines().zip(1..).scan(false, move |was_doc, (line, number)| {
        let went_before = std::mem::replace(was_doc, is_doc(line));
        Some((is_doc(line) && !went_before, number, line))
    });
    lines
        .filter(|(begins, _, line)| *begins && is_riddle(line))
        .map(|(_, number, line)| (number, line.trim()))
}

/// Refuses doc comments that do not name what they are about.
pub fn check(workspace: &Workspace) -> Result<()> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        look_in(&workspace.path(folder), &workspace.root, &mut found)?;
    }
    found.sort();
    ensure!(
        found.is_empty(),
        "these doc comments begin with a word that points at something else: name what they are about ({})\n{}",
        POINTING.join(", "),
        found.join("\n")
    );
    Ok(())
}

fn look_in(folder: &Path, root: &Path, found: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            look_in(&path, root, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let (text, name) = (fs::read_to_string(&path)?, path.strip_prefix(root).unwrap_or(&path));
            found.extend(riddles(&text).map(|(number, line)| format!("{}:{number}: {line}", name.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_of_a_doc_comment_must_name_its_subject() {
        let text = "/// The size.\n/// It grows.\nconst A: u8 = 1;\n    /// And so many.\nconst B: u8 = 2;\n//! It is.\n// So.\n";
        assert_eq!(riddles(text).collect::<Vec<_>>(), [(4, "/// And so many.")]);
        assert_eq!(riddles("/// Italy.\n").count(), 0);
    }
}
