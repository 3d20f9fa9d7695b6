//! Names and addresses.

use crate::{
    Event,
    blocking::{Kind, Offload, offload},
    fd::named,
    sched::harness::{self, Hold},
    select::{Arm, EventFuture, Occurs, Operation, Registered, Sealed, Waiting},
    wait::{Node, Reason},
};
use std::{
    fmt, io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    panic::resume_unwind,
    ptr,
    sync::Arc,
    vec,
};

/// What can be turned into addresses: the standard library's trait of this name, which blocks the thread for names that have to
/// be looked up. Here that is a step of its own, which can be waited for.
///
/// It is implemented for what std's is: addresses, `"host:port"`, `("host", port)`, slices of addresses.
pub trait ToSocketAddrs {
    /// The addresses, or what to look up.
    fn target(&self) -> Target;
}

/// What is to be connected or bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// These addresses.
    Addrs(Vec<SocketAddr>),
    /// The addresses of a name.
    Host(String, u16),
    /// A text that is neither.
    Invalid(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Addrs(addrs) => {
                for (i, addr) in addrs.iter().enumerate() {
                    write!(f, "{}{addr}", if i > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
            Target::Host(host, port) => write!(f, "{host}:{port}"),
            Target::Invalid(text) => f.write_str(text),
        }
    }
}

impl Target {
    fn host(host: &str, port: u16) -> Target {
        match host.parse::<IpAddr>() {
            Ok(ip) => Target::Addrs(vec![SocketAddr::new(ip, port)]),
            Err(_) => Target::Host(host.into(), port),
        }
    }

    fn text(text: &str) -> Target {
        if let Ok(addr) = text.parse() {
            return Target::Addrs(vec![addr]);
        }
        match text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))) {
            Some((host, port)) => Target::host(host, port),
            None => Target::Invalid(text.into()),
        }
    }
}

macro_rules! addresses {
    ($($type:ty: $this:ident => $target:expr;)*) => {
        $(
            impl ToSocketAddrs for $type {
                fn target(&self) -> Target {
                    let $this = self;
                    $target
                }
            }
        )*
    };
}

addresses! {
    SocketAddr: this => Target::Addrs(vec![*this]);
    SocketAddrV4: this => Target::Addrs(vec![(*this).into()]);
    SocketAddrV6: this => Target::Addrs(vec![(*this).into()]);
    (IpAddr, u16): this => Target::Addrs(vec![(*this).into()]);
    (Ipv4Addr, u16): this => Target::Addrs(vec![(*this).into()]);
    (Ipv6Addr, u16): this => Target::Addrs(vec![(*this).into()]);
    (&str, u16): this => Target::host(this.0, this.1);
    (String, u16): this => Target::host(&this.0, this.1);
    str: this => Target::text(this);
    String: this => Target::text(this);
    [SocketAddr]: this => Target::Addrs(this.to_vec());
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    fn target(&self) -> Target {
        (**self).target()
    }
}

/// Looks up the addresses of a host: `"host:port"`, or anything else that is [`ToSocketAddrs`].
///
/// The system's resolver blocks its thread, so it runs on the pool of [`blocking`](crate::blocking), of which lookups have no more
/// than half: if no server answers, others' calls still go on, and of more lookups than that some wait until one has ended.
///
/// # Errors
/// The resolver's; [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no port.
///
/// # Blocking
/// Parks the goroutine, or the OS thread, for as long as the resolver takes, which may be many seconds if no server answers.
///
/// # Cancellation
/// A runtime's shutdown unwinds the goroutine; [`lookup_host_event`] can be given up, as by
/// [`Context::bound`](crate::Context::bound). The resolver's call goes on by itself; one that has not been made by then is not made.
///
/// # Examples
/// ```
/// let addrs: Vec<_> = rendez::net::lookup_host("127.0.0.1:80")?.collect();
/// assert_eq!(addrs, ["127.0.0.1:80".parse().unwrap()]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn lookup_host(host: impl ToSocketAddrs) -> io::Result<vec::IntoIter<SocketAddr>> {
    lookup_host_event(host).wait()
}

/// [`lookup_host`]'s twin for async tasks.
pub fn lookup_host_async(host: impl ToSocketAddrs) -> EventFuture<LookupEvent> {
    lookup_host_event(host).wait_async()
}

/// [`lookup_host`] as an event. The resolver is asked when it is first waited for.
pub fn lookup_host_event(host: impl ToSocketAddrs) -> LookupEvent {
    LookupEvent { lookup: Lookup::new(host.target(), "lookup"), hold: None }
}

type Resolved = io::Result<Vec<SocketAddr>>;

/// A lookup, and whoever waits for it.
pub(super) struct Lookup {
    operation: &'static str,
    target: Target,
    stage: Stage,
    node: Node,
    queued: bool,
}

enum Stage {
    Idle,
    Asked {
        resolver: Offload<Resolved>,
        /// Gone when nobody wants the answer any more.
        _wanted: Arc<()>,
    },
    Done(Resolved),
}

impl Lookup {
    pub(super) fn new(target: Target, operation: &'static str) -> Lookup {
        let node = Node::new(ptr::null(), 0, ptr::null_mut());
        Lookup { operation, target, stage: Stage::Idle, node, queued: false }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    fn ask(&self) -> Stage {
        match &self.target {
            Target::Addrs(addrs) => Stage::Done(Ok(addrs.clone())),
            Target::Invalid(_) => Stage::Done(Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is neither an address nor a host and a port",
            ))),
            Target::Host(host, port) => {
                let (host, port, wanted) = (host.clone(), *port, Arc::new(()));
                let asker = Arc::downgrade(&wanted);
                let resolver = offload(Kind::Lookup, move || {
                    // It may have stood in line for long.
                    if asker.strong_count() == 0 {
                        return Ok(Vec::new());
                    }
                    std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port)).map(Iterator::collect)
                });
                Stage::Asked { resolver, _wanted: wanted }
            }
        }
    }

    /// Asks, if that has not been done, and looks whether there is an answer.
    pub(super) fn attempt(&mut self) -> bool {
        if let Stage::Idle = self.stage {
            self.stage = self.ask();
        }
        if let Stage::Asked { resolver, .. } = &self.stage
            && let Some(answer) = resolver.take()
        {
            self.stage = Stage::Done(answer.unwrap_or_else(|payload| resume_unwind(payload)));
        }
        matches!(self.stage, Stage::Done(_))
    }

    /// # Safety
    /// As for [`Arm::register`], of a lookup that was attempted in vain.
    pub(super) unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        let Stage::Asked { resolver, .. } = &self.stage else { return waiting.choose() };
        self.node.aim(waiting.waiter, first as u32, ptr::null_mut());
        // SAFETY: passed on: the node is in this arm.
        self.queued = unsafe { resolver.queue(&self.node) };
        if self.queued { Registered::Waits } else { Registered::Again }
    }

    /// # Safety
    /// As for [`Arm::unregister`].
    pub(super) unsafe fn unregister(&mut self) {
        if mem::take(&mut self.queued)
            && let Stage::Asked { resolver, .. } = &self.stage
        {
            // SAFETY: queued there by `register`.
            unsafe { resolver.leave(&self.node) };
        }
    }

    pub(super) fn finish(&mut self) -> Resolved {
        let Stage::Done(answer) = mem::replace(&mut self.stage, Stage::Idle) else {
            panic!("it was not chosen")
        };
        match answer {
            Ok(addrs) if addrs.is_empty() => Err(io::Error::new(io::ErrorKind::NotFound, "no address")),
            answer => answer,
        }
        .map_err(|error| named(self.operation, &self.target, error))
    }
}

/// The event of [`lookup_host_event`].
#[must_use = "an event does nothing unless it is waited for"]
pub struct LookupEvent {
    lookup: Lookup,
    /// The clock of a runtime under test stands while this is waited for.
    hold: Option<Hold>,
}

// SAFETY: the raw pointers in the node point to a waiter that is kept by whoever registers this arm, or are other nodes' that
// are only followed under the lock of what is waited for.
unsafe impl Send for LookupEvent {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl Sync for LookupEvent {}

impl Sealed for LookupEvent {}

impl Arm for LookupEvent {
    fn attempt(&mut self) -> bool {
        self.lookup.attempt()
    }

    unsafe fn register(&mut self, waiting: Waiting<'_>, first: usize) -> Registered {
        self.hold = harness::hold();
        // SAFETY: passed on.
        unsafe { self.lookup.register(waiting, first) }
    }

    unsafe fn unregister(&mut self) {
        // SAFETY: passed on.
        unsafe { self.lookup.unregister() };
        self.hold = None;
    }

    fn conclude(&mut self, _: usize) -> bool {
        self.lookup.attempt()
    }

    fn undo(&mut self) {}

    fn reason(&self) -> Reason {
        Reason::IoWait
    }
}

impl Operation for LookupEvent {
    type Output = io::Result<vec::IntoIter<SocketAddr>>;

    fn finish(&mut self) -> Self::Output {
        self.lookup.finish().map(Vec::into_iter)
    }
}

impl Event for LookupEvent {
    type Output = io::Result<vec::IntoIter<SocketAddr>>;
    type Operation = Self;

    fn operation(self) -> Self {
        self
    }
}

impl fmt::Debug for LookupEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookupEvent").field("target", &self.lookup.target).finish_non_exhaustive()
    }
}
