//! A handler that writes to the audit log beside its answer, with the context of the request. That ends when the handler returns,
//! so whether the entry is written depends on who is quicker. Mended, what is to be finished all the same gets a context
//! that does not end with the request.

use crate::Planted;
use rendez::{Context, chan, go, select, testing::Strategy};
use std::time::Duration;

pub(crate) const BUG: Planted = Planted {
    name: "context cancelled before use",
    broken: || program(Context::clone),
    mended: || program(Context::without_cancel),
    strategy: Strategy::Random,
    within: 20,
    shows: |failure| failure.is_panic(),
    says: "the entry was not written",
};

fn program(for_later: fn(&Context) -> Context) {
    let (log, written) = chan::bounded(1);
    let answer = handle(&Context::background(), log, for_later);
    assert_eq!(answer, "hello");
    assert_eq!(written.recv(), Ok("greeted"), "the entry was not written");
}

fn handle(
    ctx: &Context,
    log: chan::Sender<&'static str>,
    for_later: fn(&Context) -> Context,
) -> &'static str {
    let (ctx, _cancelled_at_return) = ctx.with_timeout(Duration::from_secs(1));
    go({
        let ctx = for_later(&ctx);
        move || {
            if ctx.err().is_some() {
                return;
            }
            select! {
                recv(ctx.done()) -> _ => {}
                send(log, "greeted") -> sent => sent.expect("somebody reads the log"),
            }
        }
    });
    "hello"
}
