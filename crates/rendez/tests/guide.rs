//! The guide's structure: its summary names its chapters, its links lead somewhere, and its examples are tests.
#![cfg(not(loom))]

use std::{collections::BTreeSet, fs, path::Path};

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn source(file: &str) -> String {
    read(format!("{CRATE}/../../docs/guide/src/{file}"))
}

/// The targets of the links in a text, without those in its examples.
fn links(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(to, _)| to.to_string()).collect()
}

fn chapters() -> BTreeSet<String> {
    let folder = fs::read_dir(format!("{CRATE}/../../docs/guide/src")).expect("the guide is there");
    let names =
        folder.map(|entry| entry.expect("it can be listed").file_name().into_string().expect("a name"));
    names.filter(|name| name.ends_with(".md") && name != "SUMMARY.md").collect()
}

#[test]
fn the_summary_names_every_chapter_once() {
    let named = links(&source("SUMMARY.md"));
    assert_eq!(named.iter().cloned().collect::<BTreeSet<_>>(), chapters());
    assert_eq!(named.len(), chapters().len());
    assert!(named.len() > 10, "{named:?}");
}

#[test]
fn every_link_between_chapters_leads_to_one() {
    let mut seen = 0;
    for chapter in chapters() {
        let text = source(&chapter);
        assert!(text.starts_with("# "), "{chapter} begins with its title");
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            seen += 1;
            let Some(section) = link.strip_prefix('#') else {
                assert!(chapters().contains(&link), "{chapter}: {link}");
                continue;
            };
            // As mdBook makes them: in small letters, with lines for spaces.
            let is_it = |line: &str| {
                let title = line.trim_start_matches('#').trim().to_lowercase();
                let plain = title.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-');
                line.starts_with("##") && plain.map(|c| if c == ' ' { '-' } else { c }).eq(section.chars())
            };
            assert!(text.lines().any(is_it), "{chapter}: {link}");
        }
    }
    assert!(seen > 3);
}

#[test]
fn the_examples_of_every_chapter_are_tests() {
    let libraries = ["src/lib.rs", "../rendez-hyper/src/lib.rs", "../../bridges/tokio/src/lib.rs"]
        .map(|library| read(format!("{CRATE}/{library}")));
    for chapter in chapters() {
        let is_there = libraries.iter().any(|library| library.contains(&format!("{chapter}\"")));
        assert!(is_there, "{chapter} is not among the doctests");
    }
}

#[test]
fn every_program_of_the_notes_that_has_a_listing_is_translated() {
    let text = source("translations.md");
    let go = text.matches("```go").count();
    let rust = text.matches("```rust").count();
    assert!(go >= 25 && rust >= go, "{go} listings in Go, {rust} in Rust");
}
