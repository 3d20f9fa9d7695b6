//! The documents name the tests that hold what they say. Here it is seen to that each name is a test's, and that nothing
//! is said to be so without one.
#![cfg(not(loom))]

use std::{
    fs,
    path::{Path, PathBuf},
};

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

/// The folders in `tests` whose files are built as one program.
fn programs() -> Vec<PathBuf> {
    let inside = fs::read_dir(format!("{CRATE}/tests")).expect("the folder of the tests");
    let mut folders: Vec<PathBuf> = inside.map(|entry| entry.expect("an entry").path()).collect();
    folders.retain(|folder| folder.join("main.rs").exists());
    folders
}

/// The files of that name in `tests` and in the folders there.
fn files_of_tests(name: &str) -> Vec<PathBuf> {
    let mut places = programs();
    places.push(PathBuf::from(format!("{CRATE}/tests")));
    places.iter().map(|place| place.join(format!("{name}.rs"))).filter(|path| path.exists()).collect()
}

/// Whether there is such a test. A file is meant by its name in `tests` or in a folder there, by its path, or by its module's path in
/// `src`.
fn is_a_test(file: &str, name: &str) -> bool {
    if file == "compile_fail" {
        let expected = format!("{CRATE}/tests/compile_fail/{name}.stderr");
        return Path::new(&expected).exists();
    }
    let paths = match file {
        _ if file.ends_with(".rs") => vec![PathBuf::from(format!("{CRATE}/{file}"))],
        _ if file.contains("::") => {
            vec![PathBuf::from(format!("{CRATE}/src/{}.rs", file.replace("::", "/")))]
        }
        _ => files_of_tests(file),
    };
    paths.into_iter().filter_map(|path| fs::read_to_string(path).ok()).any(|code| has_test(&code, name))
}

fn has_test(code: &str, name: &str) -> bool {
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
    assert!(is_a_test("chan", "one_senders_values_arrive_in_order_at_every_capacity"));
    assert!(!is_a_test("no_such_file", "names_are_found_in_all_their_forms"));
}

#[test]
fn every_file_of_tests_in_a_folder_is_built() {
    let (mut files, mut left_out) = (0, Vec::new());
    for folder in programs() {
        let main = read(folder.join("main.rs"));
        for entry in fs::read_dir(&folder).expect("a folder of tests") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if path.extension().is_some_and(|extension| extension == "rs") && name != "main" {
                files += 1;
                if !main.lines().any(|line| line == format!("mod {name};")) {
                    left_out.push(path);
                }
            }
        }
    }
    assert!(files > 50, "only {files} files were found");
    assert!(left_out.is_empty(), "no program has them: {left_out:?}");
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

/// Whether a line of code, and no comment, has the word.
fn is_unsafe(line: &str) -> bool {
    let is_comment = line.trim_start().starts_with("//");
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
    !is_comment && words.any(|word| word == "unsafe")
}

/// The files of `src` with `unsafe` in them, as paths in there, with their code.
fn unsafe_files() -> Vec<(String, String)> {
    let root = format!("{CRATE}/src");
    let (mut found, mut folders) = (Vec::new(), vec![Path::new(&root).to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the source") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let code = read(&path);
            if code.lines().any(is_unsafe) {
                let name = path.strip_prefix(&root).expect("it is in there").display().to_string();
                found.push((name, code));
            }
        }
    }
    found
}

/// The types for which `code` has an `unsafe impl`.
fn unsafe_impls(code: &str) -> Vec<&str> {
    let heads = code.lines().filter(|line| line.trim_start().starts_with("unsafe impl"));
    heads
        .map(|head| {
            let (_, of) = head.split_once(" for ").unwrap_or_else(|| panic!("no type: {head}"));
            of.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
        })
        .collect()
}

#[test]
fn every_file_with_unsafe_code_is_answered_for_on_the_page_and_by_tests_that_exist() {
    let document = document("soundness.md");
    let files = unsafe_files();
    let mut wrong = Vec::new();
    // Rows and paragraphs: what is said of a file is said in one of them.
    let mut pieces: Vec<String> =
        document.lines().filter(|line| line.starts_with("| ")).map(String::from).collect();
    let is_prose = |piece: &&str| !piece.starts_with(['|', '#', '-']);
    pieces.extend(document.split("\n\n").filter(is_prose).map(String::from));
    for (file, code) in &files {
        let quoted = format!("`{file}`");
        let said: Vec<&String> = pieces.iter().filter(|piece| piece.contains(&quoted)).collect();
        if said.is_empty() {
            wrong.push(format!("{file} has unsafe code and is not on the page"));
        }
        for name in unsafe_impls(code) {
            if !said.iter().any(|piece| piece.contains(&format!("`{name}`"))) {
                wrong.push(format!("{file}: nothing is said of its unsafe impl for {name}"));
            }
        }
    }
    let mut rows = 0;
    for row in document.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let &[named, owed, by, tests] = &cells[..] else { panic!("no row of four: {row}") };
        rows += 1;
        for file in named.split('`').filter(|part| part.ends_with(".rs")) {
            if !files.iter().any(|(other, _)| other == file) {
                wrong.push(format!("{file} is on the page and has no unsafe code, or is not there"));
            }
        }
        let tests = tests_named_in(tests);
        if owed.is_empty() || by.is_empty() || tests.is_empty() {
            wrong.push(format!("{named}: something is left empty"));
        }
        wrong.extend(missing(tests).into_iter().map(|test| format!("{named}: {test} is no test")));
    }
    for found in document.split("\n- ").filter_map(|bullet| bullet.split_once("Now ")) {
        wrong.extend(missing(tests_named_in(found.1)).into_iter().map(|test| format!("{test} is no test")));
    }
    assert!(rows > 50 && files.len() > 50, "only {rows} rows, {} files were understood", files.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
