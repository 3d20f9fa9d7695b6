//! Times on command lines.

use std::time::Duration;

/// A time in seconds, with a fraction if need be.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_string())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() && seconds < 1e6 => Ok(duration),
        _ => Err("a positive number of seconds, less than a million".to_string()),
    }
}
