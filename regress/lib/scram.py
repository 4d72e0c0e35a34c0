# SPDX-License-Identifier: PostgreSQL
"""SCRAM-SHA-256 (RFC 5802, 7677) for both sides, and the stored forms of a password."""

import base64
import hashlib
import hmac
import os


def b64(data):
    return base64.b64encode(data).decode()


def hmac_sha256(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def md5_secret(user, password):
    return "md5" + hashlib.md5((password + user).encode()).hexdigest()


def md5_answer(user, password, salt):
    inner = hashlib.md5((password + user).encode()).hexdigest()
    return "md5" + hashlib.md5(inner.encode() + salt).hexdigest()


def scram_keys(password, salt, iterations):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac_sha256(salted, b"Client Key")
    return client_key, hashlib.sha256(client_key).digest(), hmac_sha256(salted, b"Server Key")


def scram_secret(password, iterations=4096, salt=None):
    salt = salt or os.urandom(16)
    _, stored, server = scram_keys(password, salt, iterations)
    return f"SCRAM-SHA-256${iterations}:{b64(salt)}${b64(stored)}:{b64(server)}"


def attributes(message):
    return dict(part.split("=", 1) for part in message.split(","))


class ScramClient:
    def __init__(self, password, gs2="n,,", nonce=None):
        self.password = password
        self.gs2 = gs2
        self.nonce = nonce or b64(os.urandom(18))
        self.first_bare = f"n=,r={self.nonce}"

    def first(self):
        return (self.gs2 + self.first_bare).encode()

    def final(self, server_first):
        server_first = server_first.decode()
        said = attributes(server_first)
        assert said["r"].startswith(self.nonce), "the server changed the client's nonce"
        client_key, stored, server = scram_keys(
            self.password, base64.b64decode(said["s"]), int(said["i"]))
        without_proof = f"c={b64(self.gs2.encode())},r={said['r']}"
        signed = ",".join((self.first_bare, server_first, without_proof)).encode()
        proof = xor(client_key, hmac_sha256(stored, signed))
        self.signature = hmac_sha256(server, signed)
        return f"{without_proof},p={b64(proof)}".encode()

    def check(self, server_final):
        said = attributes(server_final.decode())
        assert base64.b64decode(said["v"]) == self.signature, "wrong server signature"


class ScramServer:
    """The server's side; nonce_length makes an honest or an absurd nonce."""

    def __init__(self, password, iterations=4096, nonce_length=18):
        self.salt = os.urandom(16)
        self.iterations = iterations
        _, self.stored, self.server_key = scram_keys(password, self.salt, iterations)
        self.nonce = "x" * nonce_length

    def first(self, client_first):
        text = client_first.decode()
        self.client_bare = text.split(",", 2)[2]
        self.full_nonce = attributes(self.client_bare)["r"] + self.nonce
        self.server_first = f"r={self.full_nonce},s={b64(self.salt)},i={self.iterations}"
        return self.server_first.encode()

    def final(self, client_final):
        """The server's final message, or None when the password is wrong."""
        without_proof, found, proof = client_final.decode().rpartition(",p=")
        if not found or attributes(without_proof).get("r") != self.full_nonce:
            return None
        signed = ",".join((self.client_bare, self.server_first, without_proof)).encode()
        client_key = xor(base64.b64decode(proof), hmac_sha256(self.stored, signed))
        if hashlib.sha256(client_key).digest() != self.stored:
            return None
        return b"v=" + base64.b64encode(hmac_sha256(self.server_key, signed))
