# SPDX-License-Identifier: PostgreSQL
"""A server that does what it is told to: for what a real PostgreSQL would never do.

    fake = FakePG(auth="scram", password="x", on_message=handler).start()

The handler is called as handler(session, kind, body) for each message after login; True means that
it has answered (or chose not to), anything else lets the default answer go out.
"""

import os
import socket
import struct
import threading

from lib.scram import ScramServer, md5_answer
from lib.wait import TIMEOUT, wait_for
from lib.wire import Closed, RawConn, cstring, message

PARAMETERS = {
    "server_version": "15.0",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "IntervalStyle": "postgres",
    "standard_conforming_strings": "on",
    "application_name": "",
    "is_superuser": "off",
    "session_authorization": "fake",
    "integer_datetimes": "on",
}

CANCEL, TLS, GSSENC = 80877102, 80877103, 80877104


def error(text, code="XX000", severity="ERROR", fields=None):
    fields = fields if fields is not None else {"S": severity, "V": severity, "C": code, "M": text}
    return message("E", b"".join(k.encode() + cstring(v) for k, v in fields.items()) + b"\0")


def ready(status="I"):
    return message("Z", status.encode())


def complete(tag):
    return message("C", cstring(tag))


def row(*values):
    body = struct.pack("!h", len(values))
    for value in values:
        data = str(value).encode()
        body += struct.pack("!i", len(data)) + data
    return message("D", body)


def description(*names):
    body = struct.pack("!h", len(names))
    for name in names:
        body += cstring(name) + struct.pack("!ihIhih", 0, 0, 25, -1, -1, 0)
    return message("T", body)


def parameter_status(name, value):
    return message("S", cstring(name) + cstring(value))


class Session(RawConn):
    """One accepted connection; RawConn's reading and sending, seen from the other side."""

    def __init__(self, fake, sock, number):
        self.fake = fake
        self.sock = sock
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.number = number
        self.key = fake.key or os.urandom(8)
        self.startup_params = {}
        self.messages = []
        self.status = "I"

    def run_session(self):
        if self.start() and self.log_in():
            self.serve()

    def start(self):
        """Reads start-up packets up to the real one; False when the connection is not a session."""
        while True:
            length, = struct.unpack("!i", self.read_exactly(4))
            body = self.read_exactly(length - 4)
            code, = struct.unpack_from("!i", body)
            if code == CANCEL:
                self.fake.cancels.append(body[4:])
                if self.fake.on_cancel:
                    self.fake.on_cancel()
                return False
            if code in (TLS, GSSENC):
                if not self.answer_encryption(code):
                    return False
                continue
            words = body[4:].split(b"\0")
            self.startup_params = {k.decode(): v.decode() for k, v in zip(words[::2], words[1::2])
                                   if k}
            self.fake.sessions.append(self)
            return True

    def answer_encryption(self, code):
        answer = self.fake.tls_answer if code == TLS else b"N"
        if answer is None:
            return False
        self.sock.sendall(answer)
        if answer[:1] == b"S" and self.fake.tls_context:
            self.sock = self.fake.tls_context.wrap_socket(self.sock, server_side=True)
        return True

    def log_in(self):
        if self.fake.on_login:
            if self.fake.on_login(self):
                return False
        if not getattr(self, "auth_" + self.fake.auth)():
            self.send(error("password authentication failed", "28P01", "FATAL"))
            return False
        self.welcome()
        return True

    def welcome(self):
        data = message("R", struct.pack("!i", 0))
        for name, value in self.fake.parameters.items():
            data += parameter_status(name, self.startup_params.get(name, value))
        self.send(data + message("K", self.key) + ready())

    def auth_trust(self):
        return True

    def auth_cleartext(self):
        self.send(message("R", struct.pack("!i", 3)))
        return self.recv().body == cstring(self.fake.password)

    def auth_md5(self):
        salt = os.urandom(4)
        self.send(message("R", struct.pack("!i", 5) + salt))
        return self.recv().body == cstring(
            md5_answer(self.startup_params["user"], self.fake.password, salt))

    def auth_scram(self):
        server = ScramServer(self.fake.password, nonce_length=self.fake.nonce_length)
        self.send(message("R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0"))
        body = self.recv().body
        mechanism, rest = body.split(b"\0", 1)
        assert mechanism == b"SCRAM-SHA-256"
        self.send(message("R", struct.pack("!i", 11) + server.first(rest[4:])))
        final = server.final(self.recv().body)
        if final is None:
            return False
        self.send(message("R", struct.pack("!i", 12) + (self.fake.scram_final or final)))
        return True

    def serve(self):
        while True:
            m = self.recv()
            if m.kind == "Q" and m.text().startswith(CODE_QUESTION):
                self.send(complete("SET") + description() + complete("SELECT 0")
                          + description("concat") + row("t") + complete("SELECT 1") + ready("I"))
                continue
            self.messages.append(m)
            if m.kind == "X":
                return
            if self.fake.on_message and self.fake.on_message(self, m.kind, m.body):
                continue
            self.default_answer(m)

    def default_answer(self, m):
        if m.kind == "Q":
            self.answer_query(m.text())
        elif m.kind in DEFAULT_ANSWERS:
            self.send(DEFAULT_ANSWERS[m.kind])
        elif m.kind == "S":
            self.send(ready(self.status))

    def answer_query(self, text):
        words = text.upper().split()
        if not words:
            self.send(message("I") + ready(self.status))
        elif words[0] in ("BEGIN", "COMMIT", "ROLLBACK"):
            self.status = "T" if words[0] == "BEGIN" else "I"
            self.send(complete(words[0]) + ready(self.status))
        elif words[0] == "SET":
            self.send(complete("SET") * text.rstrip("; ").count(";") + complete("SET")
                      + ready(self.status))
        elif words[0] == "DISCARD":
            self.send(complete("DISCARD ALL") + ready(self.status))
        else:
            self.send(description("v") + row(self.number) + complete("SELECT 1")
                      + ready(self.status))


# What a pooler asks on its own account: there is no code here that could leave anything.
CODE_QUESTION = ("SET LOCAL transaction_isolation = 'read committed';"
                 "SELECT FROM pg_catalog.pg_settings WHERE CASE")

DEFAULT_ANSWERS = {
    "P": message("1"),
    "B": message("2"),
    "D": message("n"),
    "E": complete("SELECT 0"),
    "C": message("3"),
}


class FakePG:
    """auth: trust, cleartext, md5 or scram; on_login(session) true = the login was dealt with;
    on_cancel() may hold a cancel request open."""

    def __init__(self, auth="trust", password="", parameters=None, key=None, nonce_length=18,
                 scram_final=None, tls_answer=b"N", tls_context=None, on_login=None,
                 on_message=None, on_cancel=None):
        self.auth = auth
        self.password = password
        self.parameters = {**PARAMETERS, **(parameters or {})}
        self.key = key
        self.nonce_length = nonce_length
        self.scram_final = scram_final
        self.tls_answer = tls_answer
        self.tls_context = tls_context
        self.on_login = on_login
        self.on_message = on_message
        self.on_cancel = on_cancel
        self.sessions = []
        self.cancels = []
        self.failures = []
        self.accepted = 0
        self.connections = []
        self.threads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.host = "127.0.0.1"

    def start(self):
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        return self

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            session = Session(self, sock, self.accepted)
            self.connections.append(session)
            thread = threading.Thread(target=self.run_one, args=(session,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def run_one(self, session):
        try:
            session.run_session()
        except (Closed, OSError):
            pass
        except Exception as e:  # shown by stop(): a thread cannot fail a test by itself
            self.failures.append(e)
        finally:
            session.sock.close()

    def session(self, number=0):
        """Waits for the session of that index."""
        wait_for(lambda: len(self.sessions) > number, what=f"session {number}")
        return self.sessions[number]

    def stop(self):
        for sock in [self.listener, *(c.sock for c in self.connections)]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.listener.close()
        for thread in [self.thread, *self.threads]:
            thread.join(TIMEOUT)
        assert not self.failures, self.failures
