//! What is printed, beside what the tools print.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::*;

#[test]
fn a_varied_tree_is_printed_as_by_the_tools() {
    let root = varied_tree();
    let expected = by_the_tools([root.path()]);
    assert_eq!(
        expected.iter().filter(|&&byte| byte == b'\n').count(),
        29 + 3 + 6 + 1 + 3,
        "files in the tree"
    );
    assert_same(&lines([root.path()]), &expected);
    for number in ["1", "2", "7", "64", "1024"] {
        assert_same(&lines([OsStr::new("-j"), number.as_ref(), root.path().as_ref()]), &expected);
    }
}

#[test]
fn sha256sum_checks_the_output() {
    let root = varied_tree();
    let output = lines([root.path()]);
    let mut check = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("sha256sum to compare with");
    check.stdin.take().unwrap().write_all(&output).unwrap();
    assert!(check.wait().unwrap().success());
}

#[test]
fn several_paths_are_printed_as_by_the_tools() {
    let root = varied_tree();
    let below = |paths: &[&str]| paths.iter().map(|path| root.path().join(path)).collect::<Vec<_>>();
    for paths in [
        &["c", "b", "a", "a.txt"][..],
        &["a", "a", "a.txt", "a.txt"],
        &["b/a", "b", ".", "b/a/z"],
        &["c/c/", "c", "c/c", "c//c"],
        &["link", "b/a-link", "b"],
        &["empty", "sizes/0"],
    ] {
        assert_same(&lines(below(paths)), &by_the_tools(below(paths)));
    }
    assert_eq!(lines(below(&["empty"])), b"");
}

#[test]
fn paths_are_printed_as_given_from_the_working_directory() {
    let root = varied_tree();
    for paths in [&["."][..], &["a", "b/"], &["./a", "a"], &["--", "-", "-n"], &["-"]] {
        let ours = Running::new(digest(paths).current_dir(root.path())).output();
        // `find` takes a leading dash for an option, and sha256sum takes `-` for standard input.
        let dashes = paths.iter().any(|path| path.starts_with('-'));
        let expected = if dashes {
            let lines = paths
                .iter()
                .filter(|path| **path != "--")
                .map(|path| format!("{}  {path}\n", hex(Sha256::digest(path))));
            lines.collect::<String>().into_bytes()
        } else {
            let script = "find -L \"$@\" -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum --";
            let mut tools = Command::new("sh");
            tools.args(["-c", script, "sh"]).args(paths).current_dir(root.path());
            tools.output().unwrap().stdout
        };
        assert!(ours.status.success());
        assert_same(&ours.stdout, &expected);
    }
}

#[test]
fn sources_of_crates_are_printed_as_by_the_tools() {
    const ENOUGH: usize = 3000;
    fn count(path: &Path) -> usize {
        if !path.is_dir() {
            return 1;
        }
        fs::read_dir(path).unwrap().map(|entry| count(&entry.unwrap().path())).sum()
    }

    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home =
        home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"))).unwrap_or_default();
    let Ok(registries) = fs::read_dir(home.join("registry/src")) else {
        eprintln!("no sources of crates in {}: the generated trees have to do", home.display());
        return;
    };
    let crates: BTreeSet<PathBuf> = registries
        .flat_map(|registry| fs::read_dir(registry.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    let mut files = 0;
    let mut paths = Vec::new();
    for path in crates {
        files += count(&path);
        if files > ENOUGH {
            break;
        }
        paths.push(path);
    }
    assert!(!paths.is_empty(), "no crate of fewer than {ENOUGH} files");
    let expected = by_the_tools(&paths);
    assert_same(&lines(&paths), &expected);
    paths.reverse();
    assert_same(&lines(&paths), &expected);
}

#[test]
fn blake3_digests_are_those_of_the_blake3_crate() {
    let root = varied_tree();
    let output = lines([OsStr::new("--algorithm=blake3"), root.path().as_ref()]);
    // The order and the names are as with the other algorithm; the digests are taken from the files.
    let other = by_the_tools([root.path()]);
    let mut checked = 0;
    for (line, other) in output.split(|&byte| byte == b'\n').zip(other.split(|&byte| byte == b'\n')) {
        let digest_at = usize::from(line.first() == Some(&b'\\'));
        assert_eq!(
            text(line.get(digest_at + 64..).unwrap_or_default()),
            text(other.get(digest_at + 64..).unwrap_or_default())
        );
        if line.is_empty() || digest_at == 1 {
            continue;
        }
        let content = fs::read(OsStr::from_bytes(&line[66..])).unwrap();
        assert_eq!(text(&line[..64]), blake3::hash(&content).to_hex().as_str());
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
}

#[test]
fn a_file_without_a_size_is_read_to_its_end() {
    assert_same(&lines(["/proc/version"]), &by_the_tools(["/proc/version"]));
}

#[test]
fn a_file_that_grows_is_digested_up_to_some_end() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("log");
    let start = vec![b'x'; 3_000_000];
    fs::write(&path, &start).unwrap();
    let done = AtomicBool::new(false);
    let (output, grown) = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut log = File::options().append(true).open(&path).unwrap();
            let mut grown = 0;
            while !done.load(Ordering::Relaxed) {
                log.write_all(b"x").unwrap();
                grown += 1;
                thread::sleep(Duration::from_micros(200));
            }
            grown
        });
        let output = run([&path]);
        done.store(true, Ordering::Relaxed);
        (output, writer.join().unwrap())
    });
    assert!(output.status.success());
    let mut hasher = Sha256::new_with_prefix(&start);
    let some_end = (0..=grown).any(|_| {
        let digest = hex(hasher.clone().finalize());
        hasher.update(b"x");
        output.stdout.starts_with(digest.as_bytes())
    });
    assert!(some_end);
}

#[test]
fn wrong_usage_is_status_2_and_help_is_0() {
    for wrong in [
        &[][..],
        &["--threads-of-work", "0", "."],
        &["-j", "1000000", "."],
        &["--algorithm=md5", "."],
        &["--nonsense"],
    ] {
        let output = run(wrong);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""), "{wrong:?}");
        assert!(text(&output.stderr).starts_with("error: "), "{wrong:?}");
    }
    let about_0 = text(&run(["--threads-of-work", "0", "."]).stderr);
    assert!(about_0.contains("invalid value '0' for '--threads-of-work <N>'"), "{about_0}");
    let help = text(&lines(["--help"]));
    for word in ["--threads-of-work", "--algorithm", "blake3", "find -L", "130", "141", "standard input"] {
        assert!(help.contains(word), "{word}\n{help}");
    }
}
