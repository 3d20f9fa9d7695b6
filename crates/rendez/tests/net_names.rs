//! Names for which no server answers: whoever asks can give up, and nobody else waits.
//!
//! The C library's `getaddrinfo` is replaced for this program: names under `hangs.invalid` are answered when the test says so, and not
//! before, whatever the machine's own resolver would do. All other names go to the C library. One test has that itself ask a name server that
//! is silent, in a network of its own.
#![cfg(not(any(loom, rendez_sanitize)))]

mod child;
mod setup;
mod worlds;

use child::{end, is_child, must_succeed_in_a_child, start_by};
use rendez::{
    Context, ContextError, Event, blocking, diag, fs, go,
    net::{TcpListener, TcpStream, UdpSocket, lookup_host, lookup_host_event},
    select,
    time::timer,
};
use setup::{in_every_world, in_time, runtime, wait_until};
use std::{
    collections::BTreeMap,
    env,
    ffi::{CStr, c_char, c_int, c_void},
    io::Write,
    net,
    process::Command,
    sync::{Arc, Barrier, Condvar, Mutex},
    time::Duration,
};
use worlds::Crew;

const SHORT: Duration = Duration::from_millis(20);

/// What is known of names that end in a group's name.
static GROUPS: Mutex<BTreeMap<String, Group>> = Mutex::new(BTreeMap::new());
static RELEASED: Condvar = Condvar::new();

#[derive(Clone, Copy, Default)]
struct Group {
    asked: usize,
    released: bool,
}

/// Names that are not answered until they are released, or this is dropped.
struct Silent(String);

impl Silent {
    fn new(group: &str) -> Silent {
        let silent = Silent(format!(".{group}.hangs.invalid"));
        GROUPS.lock().unwrap().insert(silent.0.clone(), Group::default());
        silent
    }

    fn name(&self, i: usize) -> String {
        format!("{i}{}", self.0)
    }

    /// How many of them the resolver has been asked for.
    fn asked(&self) -> usize {
        GROUPS.lock().unwrap()[&self.0].asked
    }

    /// They can't be found, then.
    fn release(&self) {
        GROUPS.lock().unwrap().get_mut(&self.0).unwrap().released = true;
        RELEASED.notify_all();
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.release();
    }
}

type Resolve = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const libc::addrinfo,
    *mut *mut libc::addrinfo,
) -> c_int;

/// The C library's own.
fn resolve() -> Resolve {
    // SAFETY: a name that ends in a zero.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"getaddrinfo".as_ptr()) };
    assert!(!found.is_null());
    // SAFETY: this is its type.
    unsafe { std::mem::transmute::<*mut c_void, Resolve>(found) }
}

/// What the standard library calls to look up a name: the linker finds it here first.
///
/// # Safety
/// As the C library's.
// SAFETY: it has the type that the C library's has.
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    result: *mut *mut libc::addrinfo,
) -> c_int {
    if !node.is_null() {
        // SAFETY: a text of C's, by contract.
        let name = unsafe { CStr::from_ptr(node) }.to_string_lossy();
        let group = &name[name.find('.').unwrap_or(0)..];
        let mut groups = GROUPS.lock().unwrap();
        if let Some(known) = groups.get_mut(group) {
            known.asked += 1;
            while !groups[group].released {
                groups = RELEASED.wait(groups).unwrap();
            }
            return libc::EAI_AGAIN;
        }
    }
    // SAFETY: passed on.
    unsafe { resolve()(node, service, hints, result) }
}

#[test]
fn a_name_that_no_server_answers_for_is_given_up_in_time_and_others_are_looked_up() {
    let silent = Arc::new(Silent::new("given-up"));
    worlds::in_every_world(move |crew: &Crew| {
        let roles: Vec<_> = (0..4)
            .map(|i| {
                let name = format!("{}:80", silent.name(i));
                crew.start(move |ops| async move {
                    let bound = || Context::background().with_timeout(SHORT);
                    let (ctx, _cancel) = bound();
                    let answer = ops.event(ctx.bound(lookup_host_event(&name))).await;
                    assert_eq!(answer.unwrap_err(), ContextError::DeadlineExceeded);
                    let (ctx, _cancel) = bound();
                    let stream = ops.event(ctx.bound(TcpStream::connect_event(&name))).await;
                    assert_eq!(stream.unwrap_err(), ContextError::DeadlineExceeded);
                    // It still hangs.
                    assert!(ops.event(lookup_host_event("localhost:80")).await.unwrap().len() > 0);
                })
            })
            .collect();
        roles.into_iter().for_each(|role| role.join());
        let name = (silent.name(4), 80);
        let looked_up = select! {
            wait(lookup_host_event(&name)) -> _ => true,
            wait(timer(SHORT)) -> _ => false,
        };
        assert!(!looked_up);
        assert!(TcpStream::connect_event(name).wait_timeout(SHORT).is_none());
    });
}

#[test]
fn errors_name_the_operation_and_the_host() {
    in_every_world(|| {
        // It is answered at once: that there is none.
        let silent = Silent::new("not-found");
        silent.release();
        let name = (silent.name(0), 80);
        let told = |operation: &str, error: std::io::Error| {
            let told = error.to_string();
            assert!(told.starts_with(&format!("{operation} {}:80: ", name.0)), "{told}");
        };
        told("lookup", lookup_host(&name).unwrap_err());
        told("connect", TcpStream::connect(&name).unwrap_err());
        told("lookup", TcpListener::bind(&name).unwrap_err());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        told("lookup", UdpSocket::bind(&name).unwrap_err());
        told("lookup", socket.connect(&name).unwrap_err());
        told("lookup", socket.send_to(b"x", &name).unwrap_err());
    });
}

#[test]
fn a_shutdown_does_not_wait_for_a_name() {
    in_time(|| {
        let silent = Silent::new("shutdown");
        let name = (silent.name(0), 80);
        let runtime = runtime(2);
        let handles = [
            runtime.spawn({
                let name = name.clone();
                move || drop(lookup_host(name))
            }),
            runtime.spawn(move || drop(TcpStream::connect(name))),
        ];
        wait_until(|| silent.asked() == 2);
        runtime.shutdown();
        assert!(handles.into_iter().all(|handle| handle.join().unwrap_err().is_cancelled()));
    });
}

#[test]
fn a_program_ends_while_a_name_is_looked_up() {
    must_succeed_in_a_child(|| {
        let silent = Silent::new("at-the-end");
        let name = (silent.name(0), 80);
        rendez::run(|| {
            go(move || lookup_host(name).map(drop));
            wait_until(|| silent.asked() == 1);
        });
        std::mem::forget(silent);
    });
}

/// Half of the pool's threads.
const MOST: usize = 256;

#[test]
fn lookups_that_hang_leave_threads_to_others_and_those_in_line_have_their_turn() {
    must_succeed_in_a_child(|| {
        rendez::run(|| {
            let silent = Silent::new("line");
            let ask = |i| {
                let name = format!("{}:80", silent.name(i));
                go(move || (lookup_host(&name).unwrap_err().to_string(), name))
            };
            let lookups: Vec<_> = (0..MOST + 100).map(ask).collect();
            wait_until(|| silent.asked() == MOST);
            // A hundred calls that have to be under way at once.
            let all = Arc::new(Barrier::new(100));
            let calls: Vec<_> = (0..100)
                .map(|_| {
                    let all = all.clone();
                    go(move || blocking(|| all.wait().is_leader()))
                })
                .collect();
            let leaders = calls.into_iter().map(|call| call.join().unwrap());
            assert_eq!(leaders.filter(|leads| *leads).count(), 1);
            assert!(fs::read("/proc/self/status").unwrap().len() > 100);
            let pool = diag::stats().blocking;
            assert!(pool.threads <= 512 && pool.queued == 100, "{pool:?}");
            // What hangs can be given up, and so can what has not begun.
            let (ctx, _cancel) = Context::background().with_timeout(SHORT);
            assert!(ctx.bound(lookup_host_event((silent.name(0), 80))).wait().is_err());
            assert_eq!(silent.asked(), MOST);
            silent.release();
            for lookup in lookups {
                let (told, name) = lookup.join().unwrap();
                assert!(told.starts_with(&format!("lookup {name}: ")), "{told}");
            }
            assert_eq!(silent.asked(), MOST + 100);
        });
    });
}

#[test]
fn nobody_is_asked_for_a_name_that_was_given_up_before_its_turn() {
    must_succeed_in_a_child(|| {
        rendez::run(|| {
            let (silent, late) = (Silent::new("first"), Silent::new("late"));
            let (ctx, cancel) = Context::background().with_cancel();
            let ask = |name: String| {
                let ctx = ctx.clone();
                go(move || ctx.bound(lookup_host_event((name, 80))).wait().unwrap_err())
            };
            let lookups: Vec<_> = (0..MOST).map(|i| ask(silent.name(i))).collect();
            wait_until(|| silent.asked() == MOST);
            let lookups = lookups.into_iter().chain((0..50).map(|i| ask(late.name(i))));
            let lookups: Vec<_> = lookups.collect();
            wait_until(|| diag::stats().blocking.queued == 50);
            cancel.cancel();
            for lookup in lookups {
                assert_eq!(lookup.join().unwrap(), ContextError::Canceled);
            }
            silent.release();
            // Behind all of them.
            assert!(lookup_host("localhost:80").unwrap().len() > 0);
            assert_eq!(late.asked(), 0);
        });
    });
}

/// Has the loopback of this network go up.
fn raise_the_loopback() {
    let socket = net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // SAFETY: a request is plain data, of which zeros are good.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as c_char;
    request.ifr_name[1] = b'o' as c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: the request is there.
    let done = unsafe {
        libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&socket), libc::SIOCSIFFLAGS, &raw const request)
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_name_server_that_is_silent_is_given_up_in_time() {
    const TEST: &str = "a_name_server_that_is_silent_is_given_up_in_time";
    if is_child() {
        raise_the_loopback();
        let server = net::UdpSocket::bind("127.0.0.1:53").unwrap();
        rendez::run(|| {
            let (ctx, cancel) = Context::background().with_cancel();
            let lookup = {
                let ctx = ctx.clone();
                go(move || ctx.bound(lookup_host_event("nobody.example:80")).wait().unwrap_err())
            };
            let connect =
                go(move || ctx.bound(TcpStream::connect_event("somebody.example:80")).wait().unwrap_err());
            // The C library asks, and would wait for as long as `resolv.conf` says, several times.
            for _ in 0..2 {
                let (len, _) = blocking(|| server.recv_from(&mut [0; 512])).unwrap();
                assert!(len > 12, "a query has a name");
            }
            cancel.cancel();
            assert_eq!(lookup.join().unwrap(), ContextError::Canceled);
            assert_eq!(connect.join().unwrap(), ContextError::Canceled);
            assert!(fs::read("/etc/resolv.conf").unwrap().starts_with(b"nameserver 127.0.0.1"));
        });
        return;
    }
    let conf = env::temp_dir().join(format!("rendez-resolv-{}", std::process::id()));
    let mut file = std::fs::File::create(&conf).unwrap();
    file.write_all(b"nameserver 127.0.0.1\noptions timeout:20 attempts:3\n").unwrap();
    let conf = conf.to_str().unwrap();
    let mounted = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let unshare = ["unshare", "--user", "--map-root-user", "--mount", "--net", "sh", "-c", mounted, conf];
    let may = Command::new(unshare[0]).args(&unshare[1..]).arg("true").output();
    if may.is_ok_and(|may| may.status.success()) {
        let ended = end(start_by(&unshare, TEST));
        assert!(ended.status.success(), "{ended:?}");
    } else {
        println!("SKIPPED: no namespaces of one's own here");
    }
    std::fs::remove_file(conf).unwrap();
}
