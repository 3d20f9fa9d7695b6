//! Backtraces, cut to what tells something.

use std::{
    collections::HashMap,
    ffi::c_void,
    fmt::{self, Write},
    path::Path,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

/// Frames that are told at most: of an endless recursion the first few say it all.
const MOST: usize = 40;

/// Where our own calls are written, by which they are known too: one that was made part of its caller may have lost its path.
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
const OUR_NAME: &str = "rendez::";
/// What looks at a stack from itself, deeper than the operation.
const NOTES: [&str; 2] = ["rendez::task::frames::", "rendez::task::fiber::Fiber::tell_frames"];
/// The same of what lies between ours, and between ours and the program.
const FOREIGN: [&str; 4] = ["/rustc/", "/library/std/src/", "/backtrace-0.", "/corosensei-0."];
const FOREIGN_NAMES: [&str; 5] = ["core::", "std::", "__rust_", "backtrace::", "corosensei::"];
/// Calls the closure of a goroutine.
const ROOT: &str = "rendez::task::header::run";
const ROOT_FILE: &str = "/task/header.rs";

/// A call, by name; one address may be several, that were made one.
struct Call {
    name: String,
    place: Option<(String, u32)>,
}

impl Call {
    fn has_name(&self, prefix: &str) -> bool {
        self.name.trim_start_matches(['<', '&']).starts_with(prefix)
    }

    fn file(&self) -> &str {
        self.place.as_ref().map_or("", |(file, _)| file)
    }

    fn is_ours(&self) -> bool {
        self.has_name(OUR_NAME) || self.file().starts_with(OURS)
    }

    fn is_note(&self) -> bool {
        NOTES.iter().any(|name| self.has_name(name))
    }

    fn is_programs(&self) -> bool {
        !self.is_ours()
            && !FOREIGN_NAMES.iter().any(|prefix| self.has_name(prefix))
            && !FOREIGN.iter().any(|part| self.file().contains(part))
    }

    fn is_root(&self) -> bool {
        self.has_name(ROOT) || self.is_ours() && self.file().ends_with(ROOT_FILE) && self.has_name("run")
    }
}

/// What has been named already, which takes a while (a debug build's tables are searched): addresses of code, of which there are
/// as many as there are calls in the program that park.
static NAMED: LazyLock<Mutex<HashMap<usize, Arc<[Call]>>>> = LazyLock::new(Mutex::default);

fn name(address: usize) -> Arc<[Call]> {
    let known = |calls: &HashMap<usize, Arc<[Call]>>| calls.get(&address).cloned();
    if let Some(calls) = known(&NAMED.lock().unwrap_or_else(PoisonError::into_inner)) {
        return calls;
    }
    let mut calls = Vec::new();
    backtrace::resolve(address as *mut c_void, |symbol| {
        let place = symbol.filename().map(|file| file.display().to_string()).zip(symbol.lineno());
        let name = symbol.name().map(|name| format!("{name:#}"));
        calls.push(Call { name: name.unwrap_or_else(|| "?".into()), place });
    });
    let calls: Arc<[Call]> = calls.into();
    NAMED.lock().unwrap_or_else(PoisonError::into_inner).insert(address, calls.clone());
    calls
}

/// Writes the frames of a goroutine from the call that parked it, if it is parked, to its closure.
pub(super) fn write(out: &mut impl Write, frames: &[usize]) -> fmt::Result {
    let named: Vec<_> = frames.iter().map(|&frame| name(frame)).collect();
    let calls: Vec<&Call> = named.iter().flat_map(|calls| calls.iter()).collect();
    let root = calls.iter().position(|call| call.is_root()).unwrap_or(calls.len());
    let calls = &calls[..root];
    // Of what is between the program and the root nothing is told, and of what has parked it only the outermost call of
    // ours: the operation.
    let last = calls.iter().rposition(|call| call.is_programs()).unwrap_or(root.saturating_sub(1));
    let first = calls.iter().position(|call| call.is_programs()).unwrap_or(0);
    // (An operation that was made part of the program's function, as a yield is, and of which no lines are known, has left only what noted the frames.)
    let operation = calls[..first].iter().rposition(|call| call.is_ours() && !call.is_note());
    let told = calls.get(operation.unwrap_or(first)..=last).unwrap_or_default();
    // Where all of the program was made part of the root, these are what is left.
    let notes = told.iter().take_while(|call| call.is_note()).count();
    let told = &told[notes..];
    for call in told.iter().take(MOST) {
        writeln!(out, "\t{}", call.name)?;
        if let Some((file, line)) = &call.place {
            writeln!(out, "\t\tat {file}:{line}")?;
        }
    }
    if told.len() > MOST {
        writeln!(out, "\t... and more")?;
    }
    Ok(())
}

/// Writes the calling stack, from the first frame that is not the report's own.
///
/// It allocates and takes locks, for symbols. Whether a frame is the report's own is asked by its function's name, which may have lost its path
/// if that was made part of its caller, and its file, if that is known.
pub(super) fn write_here(out: &mut impl Write, mut is_own: impl FnMut(&str, &Path) -> bool) -> fmt::Result {
    let (mut told, mut result, mut begun) = (0, Ok(()), false);
    backtrace::trace(|frame| {
        let mut named = false;
        backtrace::resolve_frame(frame, |symbol| {
            named = true;
            let name = symbol.name().map(|name| format!("{name:#}")).unwrap_or_else(|| "?".into());
            if !begun && is_own(&name, symbol.filename().unwrap_or(Path::new(""))) {
                return;
            }
            begun = true;
            if told < MOST && result.is_ok() {
                result = write_frame(out, told, &name, symbol);
            }
            told += 1;
        });
        if !named && begun {
            told += 1;
        }
        // A few more than are told, to say that there are more.
        told <= MOST && result.is_ok()
    });
    result?;
    if told > MOST {
        writeln!(out, "   ... and more")?;
    }
    Ok(())
}

fn write_frame(out: &mut impl Write, number: usize, name: &str, symbol: &backtrace::Symbol) -> fmt::Result {
    writeln!(out, "{number:4}: {name}")?;
    match (symbol.filename(), symbol.lineno()) {
        (Some(file), Some(line)) => writeln!(out, "             at {}:{line}", file.display()),
        _ => Ok(()),
    }
}
