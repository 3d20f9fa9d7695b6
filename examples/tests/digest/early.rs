//! How a run ends early, and what it holds in memory.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::*;

/// For endless files: the algorithm that is fast even in an unoptimized build, being assembly.
const FAST: &str = "--algorithm=blake3";

/// A run whose output nobody has read yet: the pipe is full, and every stage behind it waits.
fn stalled(command: &mut Command) -> Running {
    let run = Running::new(command);
    run.rest(Running::time);
    run
}

/// A run that has come to rest behind its first file, which is endless until it is cut.
struct HeldUp {
    run: Running,
    endless: PathBuf,
}

impl HeldUp {
    /// `endless` must sort before all of `others`.
    fn new(endless: PathBuf, others: &[PathBuf]) -> HeldUp {
        File::create(&endless).unwrap().set_len(ENDLESS).unwrap();
        let arguments =
            [OsStr::new(FAST), endless.as_ref()].into_iter().chain(others.iter().map(AsRef::as_ref));
        let run = Running::new(&mut digest(arguments));
        // The digester of the endless file never rests. Memory does, once the window is full.
        run.rest(Running::peak);
        HeldUp { run, endless }
    }

    fn release(self) -> Output {
        File::options().write(true).open(self.endless).unwrap().set_len(0).unwrap();
        self.run.output()
    }
}

#[test]
fn the_walker_waits_for_the_printer() {
    let root = many_files(100, "tree/d");
    let held_up = HeldUp::new(root.path().join("endless"), &[root.path().join("tree")]);
    // The last directory has not been looked into: what is added to it is found.
    let last = root.path().join(format!("tree/d{:05}", MANY / 100 - 1));
    fs::write(last.join("zzz"), "late").unwrap();
    let output = held_up.release();
    assert!(output.status.success());
    assert!(text(&output.stdout).ends_with("/zzz\n"));
}

#[test]
fn memory_does_not_grow_with_the_number_of_files() {
    // Long paths, 1.5 KiB each: all of them would take 30 MiB; the window's, 6 MiB.
    let long = format!("{}/", "long".repeat(50)).repeat(7);
    let root = many_files(100, &long);
    let directories =
        |count| (0..count).map(|number| root.path().join(format!("{long}{number:05}"))).collect::<Vec<_>>();
    let peak_behind = |others: &[PathBuf]| {
        let held_up = HeldUp::new(root.path().join("endless"), others);
        let peak = held_up.run.peak();
        assert!(held_up.release().status.success());
        peak
    };
    let few = peak_behind(&directories(60));
    let many = peak_behind(&directories(MANY / 100));
    println!("peak with 6,000 files {few} KiB, with {MANY} files {many} KiB");
    assert!(many < few + 8 * 1024, "{few} KiB, then {many} KiB");
}

#[test]
fn a_reader_that_goes_away_is_a_quiet_end() {
    let root = many_files(1000, "d");
    let mut run = Running::new(&mut digest([root.path()]));
    let mut first = [0; 64];
    run.0.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(text(&first), hex(Sha256::digest("0")));
    let output = run.output();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(141), ""));
}

#[test]
fn an_output_that_can_t_be_written_is_told() {
    let root = varied_tree();
    let mut command = digest([root.path()]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let output = Running::new(&mut command).output();
    assert_eq!(text(&output.stderr), "digest: write error: No space left on device\n");
    assert_eq!(output.status.code(), Some(1));
}

/// A tree in which the second file takes hours.
fn endless_tree(files_behind: usize) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a", b"a");
    File::create(root.path().join("b")).unwrap().set_len(ENDLESS).unwrap();
    for number in 0..files_behind {
        write(root.path(), format!("c/{number}"), b"c");
    }
    root
}

#[test]
fn ctrl_c_in_a_large_file_ends_after_the_last_whole_line() {
    // With more files behind the large one than the window holds, every other stage waits when Ctrl-C comes.
    for (files_behind, digesters) in [(0, "1"), (3, "2"), (6000, "2"), (6000, "5")] {
        let root = endless_tree(files_behind);
        let arguments = [FAST, "-j", digesters].map(OsStr::new).into_iter().chain([root.path().as_os_str()]);
        let mut run = Running::new(&mut digest(arguments));
        let expected = format!("{}  {}\n", blake3::hash(b"a"), root.path().join("a").display()).into_bytes();
        let mut printed = vec![0; expected.len()];
        run.0.stdout.as_mut().unwrap().read_exact(&mut printed).unwrap();
        assert_same(&printed, &expected);
        if files_behind > 4096 {
            run.rest(Running::peak);
        }
        run.interrupt();
        let output = run.output();
        assert_eq!(output.status.code(), Some(130));
        assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("", ""));
    }
}

#[test]
fn ctrl_c_leaves_a_sorted_beginning_in_whole_lines() {
    let root = many_files(1000, "d");
    // The hole at the end sees to it that the run is not over when Ctrl-C comes.
    File::create(root.path().join("z")).unwrap().set_len(ENDLESS).unwrap();
    let run = stalled(&mut digest([root.path()]));
    run.interrupt();
    let output = run.output();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(130), ""));
    fs::remove_file(root.path().join("z")).unwrap();
    let expected = by_the_tools([root.path()]);
    assert!(output.stdout.ends_with(b"\n") && expected.starts_with(&output.stdout));
}

#[test]
fn a_second_ctrl_c_ends_even_a_blocked_write() {
    let root = many_files(1000, "d");
    let mut run = stalled(&mut digest([root.path()]));
    let started = Instant::now();
    // Two that come at once may count as one.
    while run.0.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < PATIENCE, "does not end");
        run.interrupt();
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(run.wait().code(), Some(130));
}

#[test]
fn ctrl_c_stays_ignored_where_the_parent_ignores_it() {
    let root = many_files(1000, "d");
    let mut command = Command::new("env");
    command.arg("--ignore-signal=INT").arg(env!("CARGO_BIN_EXE_digest")).arg(root.path());
    let run = stalled(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    run.interrupt();
    let output = run.output();
    assert!(output.status.success());
    assert_same(&output.stdout, &by_the_tools([root.path()]));
}
