//! 33. Context: values.
//!
//! **The notes:** a context also carries what belongs to a request, such as the user and a token, through functions that need not know of it. Keys
//! are of a type of one's own, that others can't collide with, and since `Value` gives an `interface{}`, a package
//! exports functions that get its values with their types.
//!
//! **In Rust** the type of a value is its key, so there is one value for each type, it comes out as what went in, and what is
//! private to a module is private. Where Go's assertion panics if a value is missing, here it is an `Option`.

use rendez::{Context, scope};

use crate::output::{Check, Output};

struct UserId(&'static str);
struct AuthToken(&'static str);

pub(crate) fn run(out: &Output) -> Check {
    process_request(out, "jane", "abc");
    handle_response(out, &Context::background());
    out.expect(["handling response for jane (auth: abc)", "handling response for nobody"])
}

fn process_request(out: &Output, user: &'static str, token: &'static str) {
    let ctx = Context::background().with_value(UserId(user)).with_value(AuthToken(token));
    // What is made from it has its values, also on other goroutines.
    let (ctx, _cancel) = ctx.with_cancel();
    scope(|s| {
        s.go(|| handle_response(out, &ctx));
    });
}

fn handle_response(out: &Output, ctx: &Context) {
    match (ctx.value::<UserId>(), ctx.value::<AuthToken>()) {
        (Some(UserId(user)), Some(AuthToken(token))) => {
            out.say(format_args!("handling response for {user} (auth: {token})"));
        }
        _ => out.say("handling response for nobody"),
    }
}
