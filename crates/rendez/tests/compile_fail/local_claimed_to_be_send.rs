//! That a type is `Send` is not the caller's to say.

use std::rc::Rc;

static SHARED: rendez::GoroutineLocal<Rc<()>> =
    rendez::GoroutineLocal::__new("SHARED", || Rc::new(()), rendez::__is_send::Probe::<()>::IS_SEND);

fn main() {
    SHARED.with(|_| ());
}
