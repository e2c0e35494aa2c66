"""Certificates with SPIFFE identities, like those that a mesh issues."""

import socket
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

GATEWAY = "spiffe://cluster.local/ns/replica-session-gateway/sa/replica-session-gateway"
ENVOY = "spiffe://cluster.local/ns/replica-session-gateway/sa/envoy"
CALLERS = "spiffe://cluster.local/ns/reports/sa/*"
CALLER = "spiffe://cluster.local/ns/reports/sa/nightly"
OTHER_CALLER = "spiffe://cluster.local/ns/reports/sa/hourly"
INTRUDER = "spiffe://cluster.local/ns/elsewhere/sa/intruder"

# The name that callers expect in Envoy's certificate.
HOST = "gateway.example"


# Longer than the longest run that `tests/mesh/run` allows.
LIFETIME = timedelta(hours=12)


class Authority:
    """Issues certificates."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self.name, self.key.public_key())
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def issue(self, identity: str, folder: Path) -> Path:
        """Writes `tls.crt`, `tls.key` and `ca.crt` for `identity` into `folder`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.UniformResourceIdentifier(identity), x509.DNSName(HOST)]
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            self._builder(x509.Name([]), key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        files = {
            "tls.crt": _pem(certificate),
            "ca.crt": _pem(self.certificate),
            "tls.key": key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        }
        # Replaces all files at once, like Kubernetes for a Secret in a pod: with one link to
        # another folder.
        data = folder / f"..{certificate.serial_number:x}"
        data.mkdir(parents=True)
        for name, content in files.items():
            (data / name).write_bytes(content)
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(f"..data/{name}")
        (folder / "..new").symlink_to(data.name)
        (folder / "..new").rename(folder / "..data")
        return folder

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + LIFETIME)
        )


def tls_context(tls: Path) -> ssl.SSLContext:
    """TLS settings of a client with the certificate in `tls`."""
    context = ssl.create_default_context(cafile=tls / "ca.crt")
    context.check_hostname = False
    context.load_cert_chain(tls / "tls.crt", tls / "tls.key")
    context.set_alpn_protocols(["h2"])
    return context


def served(tls: Path, address: str, port: int) -> int:
    """The serial number of the certificate that a server presents to a client with the one in
    `tls`."""
    with socket.create_connection((address, port), timeout=5) as stream:
        with tls_context(tls).wrap_socket(stream) as secured:
            return x509.load_der_x509_certificate(secured.getpeercert(True)).serial_number


def issued(tls: Path) -> int:
    """The serial number of the certificate in `tls`."""
    return x509.load_pem_x509_certificate((tls / "tls.crt").read_bytes()).serial_number


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
