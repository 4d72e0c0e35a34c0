# SPDX-License-Identifier: PostgreSQL
"""Protocol 3 by hand: messages, and a client that sends exactly the bytes it is told to."""

import random
import socket
import ssl
import struct
from dataclasses import dataclass, field

from lib.scram import ScramClient, md5_answer
from lib.wait import TIMEOUT

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSSENC_REQUEST = struct.pack("!ii", 8, 80877104)
V3_0 = 0x00030000
V3_2 = 0x00030002


def message(kind, body=b""):
    return kind.encode() + struct.pack("!i", len(body) + 4) + body


def cstring(text):
    return (text.encode() if isinstance(text, str) else text) + b"\0"


def startup(params, version=V3_0):
    body = struct.pack("!i", version)
    for name, value in params.items():
        body += cstring(name) + cstring(value)
    body += b"\0"
    return struct.pack("!i", len(body) + 4) + body


def query(sql):
    return message("Q", cstring(sql))


def parse(name, sql, oids=()):
    head = cstring(name) + cstring(sql) + struct.pack("!h", len(oids))
    return message("P", head + b"".join(struct.pack("!I", oid) for oid in oids))


def bind(portal="", name="", args=(), result_format=0):
    body = cstring(portal) + cstring(name) + struct.pack("!hh", 0, len(args))
    for arg in args:
        if arg is None:
            body += struct.pack("!i", -1)
            continue
        data = arg if isinstance(arg, bytes) else str(arg).encode()
        body += struct.pack("!i", len(data)) + data
    return message("B", body + struct.pack("!hh", 1, result_format))


def describe(kind, name=""):
    return message("D", kind.encode() + cstring(name))


def execute(portal="", limit=0):
    return message("E", cstring(portal) + struct.pack("!i", limit))


def close(kind, name=""):
    return message("C", kind.encode() + cstring(name))


def sync():
    return message("S")


def flush():
    return message("H")


def terminate():
    return message("X")


def cancel_request(key):
    return struct.pack("!ii", 8 + len(key), 80877102) + key


def run_named(name, args=()):
    return bind("", name, args) + execute() + sync()


class PgError(Exception):
    def __init__(self, fields):
        super().__init__(f"{fields.get('S')} {fields.get('C')}: {fields.get('M')}")
        self.fields = fields
        self.severity = fields.get("S")
        self.code = fields.get("C")
        self.message = fields.get("M")


class Closed(Exception):
    """The peer closed the connection."""


@dataclass
class Message:
    kind: str
    body: bytes

    def fields(self):
        parts = self.body.split(b"\0")
        return {p[:1].decode(): p[1:].decode(errors="replace") for p in parts if p}

    def error(self):
        return PgError(self.fields())

    def text(self):
        return self.body.rstrip(b"\0").decode()

    def columns(self):
        count, = struct.unpack_from("!h", self.body)
        at, columns = 2, []
        for _ in range(count):
            end = self.body.index(b"\0", at)
            name = self.body[at:end].decode()
            table, number, oid, length, modifier, form = struct.unpack_from(
                "!ihIhih", self.body, end + 1)
            columns.append(Column(name, oid, length, table, number, modifier, form))
            at = end + 19
        return columns

    def values(self):
        count, = struct.unpack_from("!h", self.body)
        at, values = 2, []
        for _ in range(count):
            length, = struct.unpack_from("!i", self.body, at)
            at += 4
            values.append(None if length < 0 else self.body[at:at + length].decode())
            at += max(length, 0)
        return values

    def parameter(self):
        name, value = self.body.split(b"\0")[:2]
        return name.decode(), value.decode()


@dataclass
class Column:
    name: str
    oid: int
    length: int
    table: int
    number: int
    modifier: int
    form: int


@dataclass
class Result:
    """All that came back up to a ReadyForQuery."""
    messages: list
    columns: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    tags: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    notices: list = field(default_factory=list)
    status: str = ""

    @property
    def kinds(self):
        return "".join(m.kind for m in self.messages)

    @property
    def error(self):
        return self.errors[0] if self.errors else None

    @property
    def tag(self):
        return self.tags[-1] if self.tags else None

    def dicts(self):
        return [dict(zip((c.name for c in self.columns), row)) for row in self.rows]

    def value(self):
        if self.errors:
            raise self.errors[0]
        return self.rows[0][0]


def collect(messages):
    result = Result(messages)
    for m in messages:
        if m.kind == "T":
            result.columns = m.columns()
        elif m.kind == "D":
            result.rows.append(m.values())
        elif m.kind == "C":
            result.tags.append(m.text())
        elif m.kind == "E":
            result.errors.append(m.error())
        elif m.kind == "N":
            result.notices.append(m.error())
        elif m.kind == "Z":
            result.status = m.body.decode()
    return result


class RawConn:
    def __init__(self, port, host="127.0.0.1", path=None, timeout=TIMEOUT):
        if path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(path)
        else:
            self.sock = socket.create_connection((host, port), timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.address = path or (host, port)
        self.buffer = bytearray()
        self.params = {}
        self.key = None
        self.notices = []
        self.login_messages = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- bytes --

    def send(self, data, cut="whole", seed=1):
        """cut: "whole", "bytes" (one at a time), "random", or a number: after that many bytes."""
        if cut == "whole":
            self.sock.sendall(data)
            return
        for piece in cuts(data, cut, seed):
            self.sock.sendall(piece)

    def read_exactly(self, count):
        while len(self.buffer) < count:
            try:
                data = self.sock.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                data = b""
            if not data:
                raise Closed(bytes(self.buffer))
            self.buffer += data
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def is_closed(self):
        """Waits for the peer to close; anything it still says is a failure."""
        try:
            said = self.read_exactly(1)
        except Closed:
            return True
        raise AssertionError(f"expected the end of the connection, got {said + self.buffer!r}")

    def close(self):
        self.sock.close()

    def leave(self):
        """Says goodbye and waits until the other side has let go: it counts this connection no longer."""
        try:
            self.send(terminate())
            while self.sock.recv(65536):
                pass
        except OSError:
            pass
        self.close()

    def reset(self):
        """Closes with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- messages --

    def recv(self):
        kind = self.read_exactly(1).decode()
        length, = struct.unpack("!i", self.read_exactly(4))
        assert length >= 4, f"bad length {length} of message {kind!r}"
        return Message(kind, self.read_exactly(length - 4))

    def recv_until(self, kinds):
        """Messages up to one of these kinds, that one included."""
        messages = []
        while not messages or messages[-1].kind not in kinds:
            messages.append(self.recv())
        return messages

    def result(self):
        """Everything up to ReadyForQuery."""
        return collect(self.recv_until("Z"))

    def expect_error(self):
        """Skips to the next ErrorResponse."""
        return self.recv_until("E")[-1].error()

    def expect_fatal(self):
        error = self.expect_error()
        assert error.severity == "FATAL", error
        assert self.is_closed()
        return error

    def query(self, sql, cut="whole"):
        self.send(query(sql), cut)
        return self.result()

    def run(self, *messages, cut="whole"):
        self.send(b"".join(messages), cut)
        return self.result()

    def expect_refusal(self):
        """The connection ends, with at most one FATAL and no data before it; returns that error."""
        try:
            m = self.recv()
        except Closed:
            return None
        assert m.kind == "E" and m.error().severity == "FATAL", m
        assert self.is_closed()
        return m.error()

    # -- connection life --

    def ask_tls(self):
        self.send(SSL_REQUEST)
        return self.read_exactly(1)

    def start_tls(self, context, server_hostname="localhost"):
        answer = self.ask_tls()
        assert answer == b"S", answer
        self.wrap(context, server_hostname)

    def wrap(self, context, server_hostname="localhost"):
        self.sock = context.wrap_socket(self.sock, server_hostname=server_hostname)

    def login(self, user, database=None, password=None, version=V3_0, cut="whole", **params):
        names = {"user": user}
        if database is not None:
            names["database"] = database
        self.send(startup({**names, **params}, version), cut)
        self.authenticate(user, password, cut)
        return self

    def authenticate(self, user, password, cut="whole"):
        """Answers what the server asks, up to ReadyForQuery; an error is raised as PgError."""
        scram = ScramClient(password or "")
        while True:
            m = self.recv()
            self.login_messages.append(m)
            if m.kind == "R":
                answer = self.answer(m.body, user, password, scram)
                if answer is not None:
                    self.send(message("p", answer), cut)
            elif m.kind == "S":
                name, value = m.parameter()
                self.params[name] = value
            elif m.kind == "K":
                self.key = m.body
            elif m.kind == "N":
                self.notices.append(m.error())
            elif m.kind == "E":
                raise m.error()
            elif m.kind == "Z":
                return
            elif m.kind != "v":
                raise AssertionError(f"unexpected {m} during login")

    def answer(self, body, user, password, scram):
        what, = struct.unpack_from("!i", body)
        if what == 0:
            return None
        if what == 3:
            return cstring(password)
        if what == 5:
            return cstring(md5_answer(user, password, body[4:8]))
        if what == 10:
            first = scram.first()
            return cstring("SCRAM-SHA-256") + struct.pack("!i", len(first)) + first
        if what == 11:
            return scram.final(body[4:])
        if what == 12:
            scram.check(body[4:])
            return None
        raise AssertionError(f"unknown authentication request {what}")

    def auth_requests(self):
        """The numbers of the authentication requests that login() met."""
        return [struct.unpack_from("!i", m.body)[0] for m in self.login_messages if m.kind == "R"]

    def cancel(self):
        """Sends a CancelRequest over a connection of its own and waits until the server is done."""
        host, port = (None, None) if isinstance(self.address, str) else self.address
        path = self.address if isinstance(self.address, str) else None
        with RawConn(port, host, path) as c:
            c.send(cancel_request(self.key))
            c.is_closed()


def cuts(data, cut, seed=1):
    if cut == "bytes":
        return [data[i:i + 1] for i in range(len(data))]
    if isinstance(cut, int):
        return [data[:cut], data[cut:]]
    rng, at, pieces = random.Random(seed), 0, []
    while at < len(data):
        size = rng.choice((1, 2, 3, 5, 8, 13, 100, 1000, 5000))
        pieces.append(data[at:at + size])
        at += size
    return pieces
