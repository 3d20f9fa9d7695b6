//! Backtraces, cut to what tells something.

use std::fmt::{self, Write};

/// Frames that are told at most: of an endless recursion the first few say it all.
const MOST: usize = 40;

/// Writes the calling stack, from the first frame that is not the report's own.
///
/// It allocates and takes locks, for symbols.
pub(super) fn write_here(out: &mut impl Write, mut is_own: impl FnMut(&str) -> bool) -> fmt::Result {
    let (mut told, mut result, mut begun) = (0, Ok(()), false);
    backtrace::trace(|frame| {
        let mut named = false;
        backtrace::resolve_frame(frame, |symbol| {
            named = true;
            let name = symbol.name().map(|name| format!("{name:#}")).unwrap_or_else(|| "?".into());
            if !begun && is_own(&name) {
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
