//! What is played. A scene runs on a goroutine, starts roles, and returns when all have ended; it ends soon after its
//! context does. What must hold it asserts, as far as nobody has been ended from outside.

mod channels;
mod contexts;
mod locks;
mod panics;
mod patterns;
mod runtimes;
mod selects;
mod sharing;
mod times;

use super::stage::Stage;

pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) play: fn(&Stage),
}

pub(crate) const SCENES: &[Scene] = &[
    Scene { name: "channels", play: channels::play },
    Scene { name: "selects", play: selects::play },
    Scene { name: "locks", play: locks::play },
    Scene { name: "sharing", play: sharing::play },
    Scene { name: "contexts", play: contexts::play },
    Scene { name: "times", play: times::play },
    Scene { name: "patterns", play: patterns::play },
    Scene { name: "runtimes", play: runtimes::play },
    Scene { name: "panics", play: panics::play },
];
