//! Drives the built `proxy` over the loopback, before built `webserver`s and upstreams that misbehave.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

#[path = "../server/mod.rs"]
mod server;

mod http;
mod misbehaving;
mod tcp;

use server::{Running, Wire, text};
use std::{fs, net::SocketAddr};
use tempfile::TempDir;

const LARGE: usize = 20 << 20;

/// A webserver whose file `who` tells its name.
struct Upstream {
    root: TempDir,
    server: Running,
    addr: SocketAddr,
}

impl Upstream {
    fn new(name: &str) -> Upstream {
        Upstream::at(name, "127.0.0.1:0")
    }

    fn at(name: &str, addr: &str) -> Upstream {
        let root = TempDir::new().unwrap();
        fs::write(root.path().join("who"), name).unwrap();
        fs::write(root.path().join("large.bin"), vec![b'x'; LARGE]).unwrap();
        let server = Running::listening(
            env!("CARGO_BIN_EXE_webserver"),
            ["--listen", addr].map(Into::into).into_iter().chain([root.path().into()]),
        );
        let addr = server.addr();
        Upstream { root, server, addr }
    }
}

/// Health is checked once, at the beginning.
const SELDOM: [&str; 2] = ["--health-interval", "1000"];

fn proxy(arguments: &[&str], upstreams: &[SocketAddr]) -> Running {
    let fixed = server::listen(arguments);
    let upstreams = upstreams.iter().map(|addr| addr.to_string().into());
    let arguments = fixed.iter().chain(arguments).map(|argument| argument.into());
    Running::listening(env!("CARGO_BIN_EXE_proxy"), arguments.chain(upstreams))
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Who answers.
fn who(wire: &mut Wire) -> String {
    let answer = wire.get("/who");
    assert_eq!(answer.status(), 200, "{answer:?}");
    answer.text()
}
