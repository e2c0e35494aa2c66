"""Creates certificates for mutual TLS with openssl: an authority, the gateway, and three
callers."""

import subprocess


class Certificates:
    def __init__(self, folder):
        self.folder = folder
        self.server_arguments = [
            f"--tls-cert-file={folder}/gateway.pem",
            f"--tls-key-file={folder}/gateway.key",
            f"--client-ca-file={folder}/ca.pem",
            "--allow-caller=known.example",
        ]

    def __call__(self, caller):
        """The environment variables for a client with the certificate of this caller."""
        return {
            "TLS_CA_FILE": f"{self.folder}/ca.pem",
            "TLS_CERT_FILE": f"{self.folder}/{caller}.pem",
            "TLS_KEY_FILE": f"{self.folder}/{caller}.key",
        }


def make_certificates(folder):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)

    # PKCS#8 keys of elliptic curves, which all libraries can read, including gRPC C++.
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    for authority in "ca", "other-ca":
        openssl("req", "-x509", *new_key, "-subj", f"/CN={authority}", "-keyout", f"{authority}.key",
                "-out", f"{authority}.pem", "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    for name, authority in ("gateway", "ca"), ("known", "ca"), ("uninvited", "ca"), ("stranger", "other-ca"):
        names = "DNS:localhost,IP:127.0.0.1" if name == "gateway" else f"DNS:{name}.example"
        openssl("req", "-x509", *new_key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
                "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-addext", f"subjectAltName={names}",
                "-addext", "basicConstraints=critical,CA:false",
                "-addext", "extendedKeyUsage=serverAuth,clientAuth")  # fmt: skip
    return Certificates(folder)
