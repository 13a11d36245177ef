#!/usr/bin/env bash
# h2 0.4.20 under tonic 0.14.9 (the registry of Rust), asked by grpcio 1.85.1 (PyPI) over a unix socket: is a call answered?
#
# Guess:   yes, as over TCP: both speak gRPC, and both document unix sockets (`unix:PATH` there, serve_with_incoming here).
# Seen:    each call is reset with PROTOCOL_ERROR before the server's code sees it. gRPC's C core sends the path of the socket as the
#          authority, each slash as %2F; h2 takes no percent sign in an authority (crate http), and calls the headers malformed.
#          A call whose client sets grpc.default_authority to "localhost" is answered.
# Follows: whoever serves gRPC by h2 on a unix socket has to change the authority before h2 reads it.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "answers"
version = "0.0.0"
edition = "2024"
[dependencies]
h2 = "=0.4.20"
tonic = { version = "=0.14.9", default-features = false, features = ["transport", "server", "router"] }
tonic-health = "=0.14.6"
tokio = { version = "1", features = ["macros", "net", "rt"] }
tokio-stream = { version = "0.1", features = ["net"] }
TOML
cat >"$work/src/main.rs" <<'RUST'
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (_reporter, health) = tonic_health::server::health_reporter();
    let listener = tokio::net::UnixListener::bind(std::env::args().nth(1).unwrap()).unwrap();
    let incoming = tokio_stream::wrappers::UnixListenerStream::new(listener);
    tonic::transport::Server::builder().add_service(health).serve_with_incoming(incoming).await.unwrap();
}
RUST
CARGO_TARGET_DIR="$work/target" cargo build --quiet --manifest-path "$work/Cargo.toml"
"$work/target/debug/answers" "$work/socket" &
server=$!
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install grpcio==1.85.1
"$work/venv/bin/python" - "$work/socket" <<'PY'
import sys, grpc
def call(*options):
    with grpc.insecure_channel(f"unix:{sys.argv[1]}", options=options) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            return "answered", check(b"", timeout=10, wait_for_ready=True)
        except grpc.RpcError as error:
            return error.code().name, error.details()
seen = [call(), call(("grpc.default_authority", "localhost"))]
print(*seen, sep="\n")
assert seen[0][0] == "INTERNAL" and "RST_STREAM with error code 1" in seen[0][1], seen
assert seen[1] == ("answered", b"\x08\x01"), seen
PY
