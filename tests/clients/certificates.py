"""Certificates for the tests of TLS: an authority, and what it signs. Made anew each time; nothing of them is kept."""

import datetime
import ipaddress
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def write(path, content):
    """In one step, as a tool that renews certificates does."""
    with open(path + ".new", "wb") as f:
        f.write(content)
    os.rename(path + ".new", path)
    return path


class Authority:
    """Signs certificates, and writes them to a folder."""

    def __init__(self, folder, common_name="authority"):
        self.folder, self.key, self.name = str(folder), ec.generate_private_key(ec.SECP256R1()), name(common_name)
        usage = x509.KeyUsage(
            key_cert_sign=True,
            crl_sign=True,
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self.builder(self.name, self.key).add_extension(constraints, critical=True)
        self.certificate = certificate.add_extension(usage, critical=True).sign(self.key, hashes.SHA256())
        self.root = write(os.path.join(self.folder, f"{common_name}.pem"), self.pem(self.certificate))

    def builder(self, subject, key):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    @staticmethod
    def pem(certificate):
        return certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, common_name, stem, key=None):
        """Writes STEM.pem and STEM.key for localhost. Returns both paths."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = (
            self.builder(name(common_name), key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(usage, critical=False)
            .add_extension(issuer, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        of_key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = os.path.join(self.folder, stem)
        return write(path + ".pem", self.pem(certificate)), write(path + ".key", of_key)

    def context(self, pair=None):
        """What Python's clients need to trust it; with `pair`, they show that certificate."""
        context = ssl.create_default_context(cafile=self.root)
        if pair:
            context.load_cert_chain(*pair)
        return context
