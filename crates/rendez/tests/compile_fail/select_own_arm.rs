//! What stands in queues is trusted with memory, so nobody else can write one: the seal of `Arm` can't be named.

use rendez::select::Sealed;

struct Mine;

impl Sealed for Mine {}

fn main() {}
