//! Drives the built `webserver` over the loopback: by curl, by Python's `http.client`, and by hand.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

#[path = "../server/mod.rs"]
mod server;

mod by_curl;
mod by_hand;
mod by_python;
mod life;
mod over_tls;

use server::{Running, text};
use std::{fs, net::SocketAddr, os::unix::fs::symlink, path::Path};
use tempfile::TempDir;

/// A file larger than what goes into the buffers of a connection.
const LARGE: usize = 20 << 20;

/// What is in the large file: at each position that position modulo 251.
fn large() -> Vec<u8> {
    let period: Vec<u8> = (0..251).collect();
    let mut all = period.repeat(LARGE / 251 + 1);
    all.truncate(LARGE);
    all
}

struct Site {
    root: TempDir,
    server: Running,
    addr: SocketAddr,
}

impl Site {
    fn new(arguments: &[&str]) -> Site {
        Site::limited("unlimited", arguments)
    }

    /// With no more than so many open file descriptors.
    fn limited(descriptors: &str, arguments: &[&str]) -> Site {
        let root = TempDir::new().unwrap();
        fill(root.path());
        let server = Running::limited(
            descriptors,
            env!("CARGO_BIN_EXE_webserver"),
            server::listen(arguments).iter().chain(arguments).copied().map(Into::into).chain([site(&root)]),
        );
        let addr = server.addr();
        Site { root, server, addr }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

fn site(root: &TempDir) -> std::ffi::OsString {
    root.path().join("site").into()
}

/// A site, and a secret beside it.
fn fill(root: &Path) {
    let site = root.join("site");
    fs::create_dir_all(site.join("sub dir")).unwrap();
    fs::write(root.join("secret"), "secret").unwrap();
    fs::write(site.join("index.html"), "<p>index</p>").unwrap();
    fs::write(site.join("hello.txt"), "hello, world\n").unwrap();
    fs::write(site.join("sub dir/index.html"), "<p>below</p>").unwrap();
    fs::write(site.join("empty.json"), "").unwrap();
    fs::write(site.join("large.bin"), large()).unwrap();
    symlink(root.join("secret"), site.join("leak")).unwrap();
    symlink("hello.txt", site.join("alias.txt")).unwrap();
}
