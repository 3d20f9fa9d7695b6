//! The documents name the tests that hold what they say. Here it is seen to that each name is a test's, and that nothing
//! is said to be so without one.
#![cfg(not(loom))]

use std::{fs, path::Path};

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn document(name: &str) -> String {
    read(format!("{CRATE}/../../docs/{name}"))
}

/// The tests that `text` names, as file and name: `` `file::name` ``, or `` `file`: `name`, `name`; `file`: `name` ``.
fn tests_named_in(text: &str) -> Vec<(String, String)> {
    let mut named = Vec::new();
    let mut file = String::new();
    let mut pieces = text.split('`');
    while let (Some(_), Some(quoted)) = (pieces.next(), pieces.next()) {
        let follows = pieces.clone().next().unwrap_or_default();
        if follows.starts_with(':') {
            file = quoted.to_string();
        } else if let Some((file, name)) = quoted.rsplit_once("::") {
            named.push((file.to_string(), name.to_string()));
        } else {
            named.push((file.clone(), quoted.to_string()));
        }
    }
    named
}

/// Whether there is such a test. A file is meant by its name in `tests`, by its path, or by its module's path in `src`.
fn is_a_test(file: &str, name: &str) -> bool {
    if file == "compile_fail" {
        let expected = format!("{CRATE}/tests/compile_fail/{name}.stderr");
        return Path::new(&expected).exists();
    }
    let path = match file {
        _ if file.ends_with(".rs") => format!("{CRATE}/{file}"),
        _ if file.contains("::") => format!("{CRATE}/src/{}.rs", file.replace("::", "/")),
        _ => format!("{CRATE}/tests/{file}.rs"),
    };
    let Ok(code) = fs::read_to_string(path) else { return false };
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    // A file with a harness of its own has a list.
    if code.contains("libtest_mimic::run") && lines.iter().any(|line| line.starts_with(&format!("{name} =>")))
    {
        return true;
    }
    let Some(at) = lines.iter().position(|line| line.starts_with(&format!("fn {name}("))) else {
        return false;
    };
    let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
    attributes.clone().any(|line| *line == "#[test]")
        && !attributes.clone().any(|line| line.starts_with("#[ignore"))
}

fn missing(tests: Vec<(String, String)>) -> Vec<String> {
    tests.into_iter().filter(|(file, name)| !is_a_test(file, name)).map(|test| format!("{test:?}")).collect()
}

#[test]
fn names_are_found_in_all_their_forms() {
    let found = tests_named_in("As `a::b::c`, or: `d`: `e`, `f`; `g`: `h`. In `src/i.rs`: `j`.");
    let expected = [("a::b", "c"), ("d", "e"), ("d", "f"), ("g", "h"), ("src/i.rs", "j")];
    assert_eq!(found, expected.map(|(file, name)| (file.to_string(), name.to_string())));
    assert!(is_a_test("docs_names", "names_are_found_in_all_their_forms"));
    assert!(!is_a_test("docs_names", "is_a_test"));
    assert!(!is_a_test("docs_names", "no_such_test"));
    assert!(!is_a_test("no_such_file", "names_are_found_in_all_their_forms"));
}

#[test]
fn every_row_of_the_semantics_that_is_built_names_tests_that_exist() {
    let (mut built, mut wrong) = (0, Vec::new());
    for row in document("semantics.md").lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let &[what, .., state, tests] = &cells[..] else { panic!("no row: {row}") };
        let tests = tests_named_in(tests);
        match state {
            _ if state.starts_with("yes") => {
                built += 1;
                if tests.is_empty() {
                    wrong.push(format!("{what}: no test"));
                }
                wrong.extend(missing(tests).into_iter().map(|test| format!("{what}: {test} is no test")));
            }
            "not yet" => assert!(tests.is_empty(), "{what}: a test of what is not built"),
            _ => assert!(state == "built" || state == "---", "{row}"),
        }
    }
    assert!(built > 20, "only {built} rows were understood");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_answer_to_a_hard_case_names_tests_that_exist_or_says_that_there_are_none() {
    let document = document("cases.md");
    let (mut answers, mut wrong) = (0, Vec::new());
    for answer in document.split("\n\n").filter(|paragraph| paragraph.starts_with("**")) {
        answers += 1;
        let what = answer.lines().next().unwrap_or_default();
        let tests: String = answer.lines().skip_while(|line| !line.starts_with("*Tests:*")).collect();
        if tests.is_empty() && !answer.contains("*No test:*") {
            wrong.push(format!("{what}: neither a test nor why there is none"));
        }
        wrong.extend(
            missing(tests_named_in(&tests)).into_iter().map(|test| format!("{what}: {test} is no test")),
        );
    }
    assert!(answers > 25, "only {answers} answers were understood");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
