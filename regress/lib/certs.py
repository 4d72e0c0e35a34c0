# SPDX-License-Identifier: PostgreSQL
"""Certificates for the tests, made with the openssl program."""

import ssl
import subprocess
from pathlib import Path


def openssl(directory, *args):
    subprocess.run(["openssl", *args], cwd=directory, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def make_ca(directory, name):
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
            "-out", f"{name}.crt", "-addext", "basicConstraints=critical,CA:TRUE")


def make_cert(directory, ca, name, subject, alt_names=None, days="30"):
    openssl(directory, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={subject}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    extensions = Path(directory) / f"{name}.ext"
    extensions.write_text(f"subjectAltName={alt_names}\n" if alt_names else "\n")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey",
            f"{ca}.key", "-CAcreateserial", "-days", days, "-out", f"{name}.crt",
            "-extfile", str(extensions))


def make_all(directory):
    """ca signs server (localhost), wronghost, alice, bob; other_ca signs stranger and impostor."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    make_ca(directory, "ca")
    make_ca(directory, "other_ca")
    make_cert(directory, "ca", "server", "localhost", "DNS:localhost,IP:127.0.0.1")
    make_cert(directory, "ca", "wronghost", "elsewhere", "DNS:elsewhere.example")
    make_cert(directory, "ca", "alice", "alice")
    make_cert(directory, "ca", "bob", "bob")
    make_cert(directory, "other_ca", "stranger", "alice")
    make_cert(directory, "other_ca", "impostor", "localhost", "DNS:localhost,IP:127.0.0.1")
    return directory


def client_tls(certs, mode="require", ca="ca", **kw):
    """Settings of a pooler that speaks TLS with its clients."""
    return {"client_tls_sslmode": mode, "client_tls_cert_file": certs / "server.crt",
            "client_tls_key_file": certs / "server.key", "client_tls_ca_file": certs / f"{ca}.crt",
            **kw}


def context(certs, ca="ca", cert=None, alpn=None):
    """A client's side."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(certs / f"{ca}.crt")
    if cert:
        made.load_cert_chain(certs / f"{cert}.crt", certs / f"{cert}.key")
    if alpn:
        made.set_alpn_protocols(alpn)
    return made
