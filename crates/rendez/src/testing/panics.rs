//! What goroutines under [`explore`](super::explore) say when they panic: kept for the report, and not printed, since the
//! same panic may happen in hundreds of schedules.
//!
//! The panic hook of the process is wrapped, once: what comes from other threads goes to the hook that was there. A program
//! that sets a hook of its own later has the panics of explored schedules too.

use crate::sched::{self, harness};
use std::{
    any::Any,
    cell::RefCell,
    panic::{self, PanicHookInfo},
    sync::Once,
};

thread_local! {
    /// Of this schedule: the goroutine's number, and what it said last.
    static TOLD: RefCell<Vec<(Option<u64>, String)>> = const { RefCell::new(Vec::new()) };
}

static HOOK: Once = Once::new();

/// Wraps the process's hook.
pub(super) fn listen() {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if harness::is_exploring() {
                note(info);
            } else {
                before(info);
            }
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let mut text = text_of(info.payload()).unwrap_or("a value that is no text").to_owned();
    if let Some(location) = info.location() {
        text.push_str(&format!("\n\tat {location}"));
    }
    let id = sched::current_id();
    TOLD.with_borrow_mut(|told| match told.iter_mut().find(|entry| entry.0 == id) {
        Some(entry) => entry.1 = text,
        None => told.push((id, text)),
    });
}

fn text_of(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// What the goroutine with this number said last.
pub(crate) fn told_by(id: u64) -> String {
    let told =
        TOLD.with_borrow(|told| told.iter().find(|entry| entry.0 == Some(id)).map(|entry| entry.1.clone()));
    told.unwrap_or_else(|| "it said nothing".to_owned())
}

/// All that was said in this schedule, by the goroutines' numbers.
pub(crate) fn told() -> Vec<(u64, String)> {
    let named = |(id, text): &(Option<u64>, String)| Some((harness::shown_id((*id)?), text.clone()));
    TOLD.with_borrow(|told| told.iter().filter_map(named).collect())
}

/// What the calling goroutine said with this payload: with the place, if that is known.
pub(crate) fn told_of(payload: &(dyn Any + Send)) -> String {
    let text = text_of(payload).unwrap_or("a value that is no text");
    let told = sched::current_id().map(told_by);
    // A payload that was passed on from elsewhere is not what this goroutine said itself.
    told.filter(|told| told.starts_with(text)).unwrap_or_else(|| text.to_owned())
}

/// The schedule has ended.
pub(crate) fn forget() {
    TOLD.with_borrow_mut(Vec::clear);
}
