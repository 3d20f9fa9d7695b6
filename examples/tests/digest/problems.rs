//! What can't be digested.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use super::*;

#[test]
fn what_can_t_be_digested_is_one_line_each_and_status_1() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    write(root.path(), "a/file", b"1");
    write(root.path(), "z", b"2");
    symlink("nowhere", at("dangling")).unwrap();
    symlink("..", at("a/up")).unwrap();
    symlink("self", at("self")).unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let _socket = UnixListener::bind(at("socket")).unwrap();
    symlink("/dev/null", at("null")).unwrap();

    let output = run([root.path(), Path::new("/proc/self/mem"), &at("gone\nfor ever"), &at("z/z")]);
    let root_text = root.path().display().to_string();
    let expected = [
        "/proc/self/mem: Input/output error",
        "ROOT/a/up: file system loop: this is the directory ROOT",
        "ROOT/dangling: No such file or directory",
        "ROOT/gone\\nfor ever: No such file or directory",
        "ROOT/null: not a regular file but a character device",
        "ROOT/pipe: not a regular file but a named pipe",
        "ROOT/self: Too many levels of symbolic links",
        "ROOT/socket: not a regular file but a socket",
        "ROOT/z/z: Not a directory",
    ];
    let told = text(&output.stderr).replace(&root_text, "ROOT");
    assert_eq!(told.lines().collect::<Vec<_>>(), expected.map(|line| format!("digest: {line}")));
    assert_same(&output.stdout, &by_the_tools([at("a/file"), at("z")]));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_file_without_permission_is_a_line() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    for name in ["file", "directory/inner", "good"] {
        write(root.path(), name, b"x");
    }
    for name in ["file", "directory"] {
        fs::set_permissions(root.path().join(name), fs::Permissions::from_mode(0o000)).unwrap();
    }
    if File::open(root.path().join("file")).is_ok() {
        eprintln!("permissions don't bind this user: nothing to see here");
        return;
    }
    let output = run([root.path()]);
    let told = text(&output.stderr).replace(&root.path().display().to_string(), "ROOT");
    fs::set_permissions(root.path().join("directory"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(told, "digest: ROOT/directory: Permission denied\ndigest: ROOT/file: Permission denied\n");
    assert_same(&output.stdout, &by_the_tools([root.path().join("good")]));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_vanishes_or_changes_before_its_turn_is_a_line() {
    let root = many_files(MANY, "d");
    let run = Running::new(&mut digest([root.path()]));
    run.rest(Running::time);
    let at = |number: usize| root.path().join(format!("d00000/{number:05}"));
    for number in [MANY - 4, MANY - 3, MANY - 2] {
        fs::remove_file(at(number)).unwrap();
    }
    // Nobody has read the output yet, so the turn of these has not come. Opening a pipe would wait for a
    // writer that never comes.
    assert!(Command::new("mkfifo").arg(at(MANY - 3)).status().unwrap().success());
    fs::create_dir(at(MANY - 2)).unwrap();
    let output = run.output();
    let told = text(&output.stderr).replace(&root.path().display().to_string(), "ROOT");
    let expected = [
        "digest: ROOT/d00000/19996: No such file or directory",
        "digest: ROOT/d00000/19997: not a regular file but a named pipe",
        "digest: ROOT/d00000/19998: not a regular file but a directory",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    assert_same(&output.stdout, &by_the_tools([root.path()]));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn names_on_stderr_are_the_bytes_of_the_path() {
    let path = PathBuf::from(OsString::from_vec(b"/nowhere/\xff".to_vec()));
    let output = run([path]);
    assert_eq!(output.stderr, b"digest: /nowhere/\xff: No such file or directory\n");
}
