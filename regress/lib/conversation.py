# SPDX-License-Identifier: PostgreSQL
"""Random conversations in the extended protocol, to be held twice: with PostgreSQL itself and
through the pooler. What comes back must be the same."""

import random
import re
import select
import struct

from lib.wire import Closed, bind, close, describe, execute, flush, message, parse, query, sync

QUIET_S = 0.03

# Text, number of parameters. T is the client's own table.
PLAIN = [
    ("SELECT 1 AS one", 0),
    ("SELECT $1::int + 1 AS n", 1),
    ("SELECT $1::text || $2 AS both", 2),
    ("SELECT g FROM generate_series(1, 5) g", 0),
    ("SELECT g, repeat('x', 3000) AS wide FROM generate_series(1, 20) g", 0),
    ("INSERT INTO T VALUES ($1::int, 'x') RETURNING id", 1),
    ("SELECT count(*), min(v) FROM T", 0),
    ("UPDATE T SET v = 'y'", 0),
    ("DELETE FROM T WHERE id > 2", 0),
    ("SELECT 1/0", 0),
    ("SELECT 1/($1::int - 1) AS q", 1),
    ("SELEC", 0),
    ("SELECT missing FROM T", 0),
    ("", 0),
    ("DO $$ BEGIN RAISE NOTICE 'noted'; END $$", 0),
    ("SET application_name = 'told'", 0),
    ("SHOW application_name", 0),
]
BLOCKS = ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "ROLLBACK TO a"]
COPY_IN = "COPY T FROM STDIN"
COPY_OUT = "COPY (SELECT g FROM generate_series(1, 3) g) TO STDOUT"
FORGET = ["DEALLOCATE ALL"]
SEVERAL = ["SELECT 1; SELECT 2", "BEGIN; SELECT 3", "SELECT 4; SELECT 1/0; SELECT 5",
           "INSERT INTO T VALUES (7, 'q'); COMMIT; SELECT 6"]
LINES = [b"1\tone\n", b"2\ttwo\n", b"x\tbad\n", b"3\n", b"9\tlon" + b"g" * 4000 + b"\n"]
NAMES = ["s1", "s2", "s3", "a name of some length that is nobody's"]
PORTALS = ["", "", "", "p1", "p2"]


class Script:
    """Steps of bytes; what each brings is awaited before the next."""

    def __init__(self, seed, table):
        self.rng = random.Random(seed)
        self.table = table
        self.steps = []
        self.batch = []
        self.has_unnamed = False
        for _ in range(self.rng.randint(4, 14)):
            self.make_batch()
        self.steps.append(sync() + query("ROLLBACK"))

    def choose_text(self):
        kind = self.rng.random()
        if kind < 0.12:
            return self.rng.choice(BLOCKS), 0
        if kind < 0.16:
            return COPY_OUT, 0
        if kind < 0.18:
            return self.rng.choice(FORGET), 0
        if kind < 0.20:
            return "SELECT 1; SELECT 2", 0
        text, n = self.rng.choice(PLAIN)
        return text.replace(" T", " " + self.table), n

    def some_name(self):
        return self.rng.choice(NAMES)

    def name(self):
        if self.has_unnamed and self.rng.random() < 0.4:
            return ""
        return self.some_name()

    def portal(self):
        return self.rng.choice(PORTALS)

    def args(self):
        n = self.rng.choice((0, 0, 0, 1, 1, 2))
        return [self.rng.choice(("1", "2", "5", "x", None)) for _ in range(n)]

    def add(self, data):
        self.batch.append(data)

    def end_step(self):
        if self.batch:
            self.steps.append(b"".join(self.batch))
        self.batch = []

    def parse_one(self):
        text, _ = self.choose_text()
        name = "" if self.rng.random() < 0.3 else self.some_name()
        self.has_unnamed |= name == ""
        self.add(parse(name, text, self.rng.choice(((), (), (), (23,), (25,)))))

    def run_one(self):
        """Parse, Bind, Describe, Execute as a driver would send them."""
        text, n = self.choose_text()
        name, portal = self.rng.choice(("", self.some_name())), self.portal()
        if self.rng.random() < 0.3:
            self.add(close("S", name))
        self.add(parse(name, text))
        self.has_unnamed |= name == ""
        if self.rng.random() < 0.5:
            self.add(describe("S", name))
        args = [self.rng.choice(("1", "2", "3")) for _ in range(n)]
        self.add(bind(portal, name, args))
        if self.rng.random() < 0.5:
            self.add(describe("P", portal))
        for _ in range(self.rng.choice((1, 1, 1, 2, 3))):
            self.add(execute(portal, self.rng.choice((0, 0, 1, 2, 3))))

    def copy_data(self):
        for _ in range(self.rng.randint(0, 3)):
            self.add(message("d", self.rng.choice(LINES)))
            if self.rng.random() < 0.1:
                self.add(self.rng.choice((flush, sync))())
            if self.rng.random() < 0.15:
                self.end_step()
        self.add(message("c") if self.rng.random() < 0.7 else message("f", b"given up\0"))

    def copy_in(self):
        text = COPY_IN.replace(" T", " " + self.table)
        if self.rng.random() < 0.4:
            self.end_sync()
            self.add(query(text))
            self.has_unnamed = False
            if self.rng.random() < 0.5:
                self.end_step()
            self.copy_data()
            self.end_step()
            return
        name = self.rng.choice(("", self.some_name()))
        self.add(close("S", name))
        self.add(parse(name, text))
        self.add(bind("", name))
        self.add(execute())
        if self.rng.random() < 0.3:
            self.add(flush())
        if self.rng.random() < 0.3:
            self.add(sync())
        if self.rng.random() < 0.5:
            self.end_step()
        self.copy_data()
        self.end_sync()

    def end_sync(self):
        self.add(sync())
        self.has_unnamed = False
        if self.rng.random() < 0.7:
            self.end_step()

    def flush_step(self):
        self.add(flush())
        self.end_step()

    def simple(self):
        self.has_unnamed = False
        kind = self.rng.random()
        if kind < 0.3:
            text = self.rng.choice(SEVERAL).replace(" T", " " + self.table)
        else:
            text, n = self.choose_text()
            if n:
                text = "SELECT 8"
        self.add(query(text))
        if self.rng.random() < 0.7:
            self.end_step()

    def make_batch(self):
        actions = [
            (5, self.run_one),
            (2, self.parse_one),
            (3, lambda: self.add(bind(self.portal(), self.name(), self.args()))),
            (1, lambda: self.add(describe("S", self.name()))),
            (1, lambda: self.add(describe("P", self.portal()))),
            (2, lambda: self.add(execute(self.portal(), self.rng.choice((0, 0, 1, 2))))),
            (1, lambda: self.add(close("S", self.name()))),
            (1, lambda: self.add(close("P", self.portal()))),
            (1, self.flush_step),
            (2, self.end_sync),
            (1, self.copy_in),
            (1, self.simple),
        ]
        for _ in range(self.rng.randint(1, 7)):
            weights = [w for w, _ in actions]
            self.rng.choices([a for _, a in actions], weights)[0]()
        if self.rng.random() < 0.85:
            self.end_sync()


def told(m):
    """What counts of a message. Which one a COPY did not expect may be the pooler's own."""
    return m.kind, re.sub(rb"message type 0x..", b"message type", m.body)


def is_aborted(m):
    """In a failed transaction no statement can be parsed where the link does not have it: the error
    is another than PostgreSQL's, which may even have described it."""
    return m.kind == "E" and m.fields()["C"] == "25P02"


def recv(conn):
    """The next message but ParameterStatus: the link may have told a value before."""
    m = conn.recv()
    while m.kind == "S":
        m = conn.recv()
    return m


def recv_all(conn):
    """What comes until nothing more comes; and has the server ended it?"""
    messages = []
    while conn.buffer or select.select([conn.sock], [], [], QUIET_S)[0]:
        try:
            messages.append(recv(conn))
        except Closed:
            return messages, True
    return messages, False


def hold_direct(conn, script):
    """Says it all to PostgreSQL itself, or up to where that ends it: what came back in each step."""
    said = []
    for step in script.steps:
        conn.send(step)
        messages, is_over = recv_all(conn)
        if is_over:
            break
        said.append(messages)
    return said


def hold_again(conn, script, said, cut="whole"):
    """The same through the pooler: as many messages are awaited in each step. Returns the first
    difference, or None."""
    for number, (step, expected) in enumerate(zip(script.steps, said)):
        wanted = got = None
        try:
            conn.send(step, cut, number)
            for wanted in expected:
                got = recv(conn)
                if told(got) == told(wanted):
                    continue
                if is_aborted(got):
                    return None
                return explain(script, number, said, wanted, got)
        except (Closed, OSError) as e:
            return explain(script, number, said, wanted, e)
    return None


def split(data):
    at = 0
    while at < len(data):
        length, = struct.unpack_from("!i", data, at + 1)
        yield chr(data[at]), data[at + 5:at + 1 + length][:60]
        at += 1 + length


def explain(script, upto, said, wanted, got):
    lines = [f"step {upto}: expected {wanted}", f"got {got!r}"]
    for number in range(upto + 1):
        lines += [f"  {number} -> {kind} {body!r}" for kind, body in split(script.steps[number])]
        lines += [f"  {number} <- {m.kind} {m.body[:70]!r}" for m in said[number]]
    return "\n".join(lines)
