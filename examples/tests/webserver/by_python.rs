//! Python's `http.client`.

use super::*;
use server::is_there;
use std::process::Command;

const SCRIPT: &str = r#"
import http.client, json, sys
host, port = sys.argv[1].split(":")
c = http.client.HTTPConnection(host, int(port), timeout=50)

def ask(method, path, body=None, headers={}, **more):
    c.request(method, path, body=body, headers=headers, **more)
    r = c.getresponse()
    return r, r.read()

# One connection for all of it.
r, body = ask("GET", "/hello.txt")
socket = c.sock
assert (r.status, r.version, body) == (200, 11, b"hello, world\n"), (r.status, body)
tag = r.getheader("ETag")
r, body = ask("HEAD", "/large.bin")
assert (r.status, int(r.getheader("Content-Length")), body) == (200, 20 << 20, b"")
r, body = ask("GET", "/hello.txt", headers={"If-None-Match": tag})
assert (r.status, body, r.getheader("ETag")) == (304, b"", tag)
r, body = ask("GET", "/hello.txt", headers={"Range": "bytes=7-", "If-Range": tag})
assert (r.status, body, r.getheader("Content-Range")) == (206, b"world\n", "bytes 7-12/13")
r, body = ask("GET", "/hello.txt", headers={"Range": "bytes=7-", "If-Range": '"other"'})
assert (r.status, body) == (200, b"hello, world\n")
r, body = ask("GET", "/hello.txt", headers={"Range": "bytes=13-"})
assert (r.status, r.getheader("Content-Range")) == (416, "bytes */13")
r, body = ask("GET", "/hello.txt", headers={"If-Match": '"other"'})
assert r.status == 412
r, body = ask("GET", "/large.bin")
assert r.status == 200 and len(body) == 20 << 20 and all(body[i] == i % 251 for i in range(0, 20 << 20, 9973))
r, body = ask("GET", "/empty.json")
assert (r.status, body, r.getheader("Content-Type")) == (200, b"", "application/json")

# Chunks, from an iterator.
pieces = [b"one ", b"two ", b"three " * 100000]
r, body = ask("POST", "/api/echo", body=iter(pieces), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
assert (r.status, body) == (200, b"".join(pieces)), (r.status, len(body))
assert r.getheader("Transfer-Encoding") == "chunked"

r, body = ask("POST", "/api/notes", body=json.dumps({"text": "h\u00e9"}))
assert (r.status, r.getheader("Location"), json.loads(body)) == (201, "/api/notes/1", {"id": 1, "text": "h\u00e9"})
r, body = ask("GET", "/api/notes/1", headers={"X-Request-Id": "from-python"})
assert (json.loads(body)["text"], r.getheader("X-Request-Id")) == ("h\u00e9", "from-python")
r, body = ask("DELETE", "/api/notes/1")
assert (r.status, body) == (204, b"")
assert c.sock is socket, "the connection was kept"
print("done")
"#;

#[test]
fn http_client_does_all_of_it_over_one_connection() {
    if !is_there("python3") {
        return;
    }
    let site = Site::new(&[]);
    let addr = site.addr.to_string();
    let out = Command::new("python3").args(["-I", "-c", SCRIPT, &addr]).output().unwrap();
    assert_eq!((text(&out.stderr).as_str(), text(&out.stdout).as_str()), ("", "done\n"));
    let line = site.server.line_with(" from-python ");
    assert!(line.contains("\"GET /api/notes/1 HTTP/1.1\" 200 ") && line.ends_with(" ok"), "{line}");
}
