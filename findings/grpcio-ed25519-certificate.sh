#!/usr/bin/env bash
# grpcio 1.85.1 (PyPI): can a server of gRPC have a certificate of an Ed25519 key, or of P-521?
#
# Guess:   yes; they are in every list of recommended keys, `openssl req -newkey ed25519` makes one, and the server takes it.
# Seen:    grpcio's server takes both without a word, Python's ssl connects to it, and grpcio's own client never does: "Socket closed",
#          UNAVAILABLE, however often it tries. Its BoringSSL offers neither for a server's certificate, and grpcio has no option for it.
#          RSA, P-256 and P-384 work. So half of a server's ports work for the same certificate: HTTPS, and not gRPC.
# Follows: who serves gRPC by TLS says so when the certificate is read, as no client will.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install grpcio==1.85.1 cryptography==50.0.2
"$work/venv/bin/python" - 2>"$work/log" <<'PY' || { cat "$work/log"; exit 1; }
import concurrent.futures, datetime, grpc, socket, ssl
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
class Answers(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"answer")
def certificate(key, digest):
    name, now = x509.Name([]), datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=True).sign(key, digest)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain), made.public_bytes(pem)
def seen(key, digest):
    key, made = certificate(key, digest)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((Answers(),))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, made)]))
    server.start()
    context = ssl.create_default_context(cadata=made.decode())
    context.set_alpn_protocols(["h2"])
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as link:
        openssl = link.version()
    with grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(made)) as channel:
        try:
            own = channel.unary_unary("/any/call")(b"", timeout=10).decode()
        except grpc.RpcError as error:
            own = error.code().name
    server.stop(None)
    return openssl, own
keys = {
    "RSA 2048": (rsa.generate_private_key(65537, 2048), hashes.SHA256()),
    "P-256": (ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()),
    "P-384": (ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()),
    "P-521": (ec.generate_private_key(ec.SECP521R1()), hashes.SHA512()),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate(), None),
}
found = {name: seen(*key) for name, key in keys.items()}
print(*found.items(), sep="\n")
assert all(found[name] == ("TLSv1.3", "answer") for name in ("RSA 2048", "P-256", "P-384")), found
assert all(found[name] == ("TLSv1.3", "UNAVAILABLE") for name in ("P-521", "Ed25519")), found
PY
