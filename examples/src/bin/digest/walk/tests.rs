use super::*;

/// Makes the files and gives the directory that they are in.
fn tree<'a>(files: impl IntoIterator<Item = &'a str>) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    root
}

/// What is found under `paths`, each below `root`: paths below `root`, with `: reason` where there is a
/// problem.
fn found(root: &Path, paths: &[&str]) -> Vec<String> {
    let below =
        |path: &Path| path.to_str().unwrap().strip_prefix(root.to_str().unwrap()).unwrap()[1..].to_owned();
    let paths = paths.iter().map(|path| PathBuf::from(format!("{}/{path}", root.display()))).collect();
    Forest::new(paths)
        .map(|found| match found.outcome {
            Ok(()) => below(&found.path),
            Err(problem) => {
                format!("{}: {}", below(&found.path), problem.text().replace(root.to_str().unwrap(), "ROOT"))
            }
        })
        .collect()
}

/// Names around `/`, and around one another.
const TRICKY: [&str; 16] = [
    "a.txt", "a/x", "a/x.y", "a/x y", "a-", "a0", "A", "a /b", "b/a!/z", "b/a/z", "b/a\u{1}", "b/a0",
    "c/c/c/c", "c/c!", "c/c0/d", "é",
];

#[test]
fn depth_first_by_key_is_the_order_of_whole_paths() {
    let root = tree(TRICKY);
    let mut sorted = TRICKY.to_vec();
    sorted.sort_unstable();
    assert_eq!(found(root.path(), &["."]), sorted.iter().map(|path| format!("./{path}")).collect::<Vec<_>>());
    assert_eq!(found(root.path(), &[""]), sorted);
}

#[test]
fn keys_compare_as_if_the_slash_were_written_out() {
    let parts = ["", "a", "a ", "a!", "a.b", "a/", "a//", "a/b", "a/b/", "a0", "aa", "b"];
    let keys = || parts.iter().flat_map(|part| [(part, false), (part, true)]);
    for (a, a_dir) in keys() {
        for (b, b_dir) in keys() {
            let whole =
                |part: &str, dir| if dir && !part.ends_with('/') { format!("{part}/") } else { part.into() };
            let expected = whole(a, a_dir).cmp(&whole(b, b_dir));
            let keys = (Key::new(OsStr::new(a), a_dir), Key::new(OsStr::new(b), b_dir));
            assert_eq!(keys.0.cmp(&keys.1), expected, "{a:?} {a_dir} {b:?} {b_dir}");
        }
    }
}

#[test]
fn the_output_is_sorted_whatever_the_order_of_the_paths() {
    let root = tree(["a/1", "a/2", "a.x/1", "b", "c/1"]);
    let expected = ["a.x/1", "a/1", "a/2", "b", "c/1"];
    assert_eq!(found(root.path(), &["a", "a.x", "b", "c"]), expected);
    assert_eq!(found(root.path(), &["c", "b", "a.x", "a"]), expected);
    assert_eq!(found(root.path(), &["c", "b", "a.x", "a/2", "a/1"]), expected);
}

#[test]
fn what_two_paths_reach_is_found_twice() {
    let root = tree(["a/b/1", "a/b/2", "a/b.x", "a/c"]);
    assert_eq!(found(root.path(), &["a", "a/b"]), ["a/b.x", "a/b/1", "a/b/1", "a/b/2", "a/b/2", "a/c"]);
    assert_eq!(found(root.path(), &["a/b/2", "a", "a/b/2"])[2..5], ["a/b/2", "a/b/2", "a/b/2"]);
    assert_eq!(found(root.path(), &["a/b", "a/b", "a/b/"]).len(), 6);
}

#[test]
fn a_path_is_printed_as_it_was_written() {
    let root = tree(["a/b"]);
    assert_eq!(found(root.path(), &["a"]), ["a/b"]);
    assert_eq!(found(root.path(), &["a/"]), ["a/b"]);
    assert_eq!(found(root.path(), &["a//"]), ["a//b"]);
    assert_eq!(found(root.path(), &["./a/../a"]), ["./a/../a/b"]);
}

#[test]
fn no_more_than_the_overlapping_walks_are_open_at_once() {
    let root = tree(["a/1", "b/1", "c/d/1", "c/d/2", "c/2"]);
    let paths = ["a", "b", "c", "c/d"].map(|path| root.path().join(path)).to_vec();
    let mut forest = Forest::new(paths);
    let mut most = 0;
    while forest.next().is_some() {
        most = most.max(forest.under_way.len());
    }
    assert_eq!(most, 2);
}

#[test]
fn what_is_missing_is_a_problem_in_its_place() {
    let root = tree(["a", "c"]);
    assert_eq!(found(root.path(), &["c", "b", "a"]), ["a", "b: No such file or directory", "c"]);
    assert_eq!(found(root.path(), &["a/x"]), ["a/x: Not a directory"]);
    assert!(matches!(Forest::new(vec!["".into()]).next(), Some(Found { outcome: Err(_), .. })));
}

#[test]
#[cfg(unix)]
fn links_are_followed_and_named_by_the_link() {
    use std::os::unix::fs::symlink;
    let root = tree(["real/f", "z"]);
    symlink("real", root.path().join("link")).unwrap();
    symlink("real/f", root.path().join("link.f")).unwrap();
    symlink("nowhere", root.path().join("dangling")).unwrap();
    symlink("self", root.path().join("self")).unwrap();
    let expected = [
        "./dangling: No such file or directory",
        "./link.f",
        "./link/f",
        "./real/f",
        "./self: Too many levels of symbolic links",
        "./z",
    ];
    assert_eq!(found(root.path(), &["."]), expected);
    assert_eq!(found(root.path(), &["link", "link.f"]), ["link.f", "link/f"]);
}

#[test]
#[cfg(unix)]
fn a_loop_is_one_problem_and_twins_are_none() {
    use std::os::unix::fs::symlink;
    let root = tree(["a/b/f", "a/g"]);
    symlink("../..", root.path().join("a/b/up")).unwrap();
    symlink("b", root.path().join("a/c")).unwrap();
    let expected = [
        "a/b/f",
        "a/b/up/a: file system loop: this is the directory ROOT/a",
        "a/c/f",
        "a/c/up/a: file system loop: this is the directory ROOT/a",
        "a/g",
    ];
    assert_eq!(found(root.path(), &["a"]), expected);
}

#[test]
#[cfg(unix)]
fn special_files_are_problems() {
    let root = tree(["f"]);
    let _listener = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
    assert_eq!(found(root.path(), &["."]), ["./f", "./socket: not a regular file but a socket"]);
    let device = Forest::new(vec!["/dev/null".into()]).next().unwrap();
    assert_eq!(device.outcome.unwrap_err().text(), "not a regular file but a character device");
}
