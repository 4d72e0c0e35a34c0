# SPDX-License-Identifier: PostgreSQL
"""A client with a session of its own that knows at every moment what it must see of it.

What each statement sees is written down by the server, together with what its client expects, so
that the judge is one query in the end. A statement that sees something else also draws from a
sequence, which no rollback and no lost connection takes back.
"""

import collections
import random
from dataclasses import dataclass, replace

from lib.wire import (Closed, PgError, RawConn, bind, cancel_request, close, collect, execute, parse,
                      query, sync)

CLIENTS = 64
# So many of the clients may have what keeps a server to itself.
PINNING = 6
EPOCH = 1577836800  # of 2020-01-01 in UTC
# What a server may end a client with when it is itself ended.
ENDS = {"57P01", "08006", "08P01", "58000"}

SEEN = ("pg_catalog.concat_ws('|', current_user, coalesce(current_setting('app.tenant', true), ''),"
        " current_setting('search_path'), current_setting('TimeZone'),"
        " current_setting('statement_timeout'))")
RECORD = """/* {who} */ INSERT INTO public.seen (client, expected, seen, leak)
    SELECT {who}, {expected}, s, CASE WHEN s <> {expected} THEN pg_catalog.nextval('public.leaks') END
    FROM (SELECT {seen} AS s{more}) x RETURNING seen"""
RECORD_PREPARED = RECORD.format(who="$1::int", expected="$2::text", seen=SEEN, more="")
# Of equal text in all clients: which table it reads, or when a day began, hangs on the session.
SHARED = "SELECT n, $1::text FROM own"
ZONED = "SELECT $1::text, extract(epoch FROM timestamptz '2020-01-01 00:00')::int"
REST = """SELECT pg_catalog.to_regclass('pg_temp.mine') IS NULL,
    (SELECT count(*) FROM pg_catalog.pg_locks WHERE locktype = 'advisory'
     AND pid = pg_catalog.pg_backend_pid()),
    (SELECT count(*) FROM pg_catalog.pg_prepared_statements WHERE from_sql),
    (SELECT count(*) FROM pg_catalog.pg_cursors WHERE is_holdable),
    (SELECT count(*) FROM pg_catalog.pg_listening_channels())"""
NOTHING = ["t", "0", "0", "0", "0"]

# What is refused, and the code; @ is a value that would show if it stayed.
FAILING = [
    ("SET ROLE nobody_there", "22023"),
    ("SET SESSION AUTHORIZATION nobody_there", "22023"),
    ("SET statement_timeout = 'never'", "22023"),
    ("SET statement_timeout = -5", "22023"),
    ("SET TimeZone = 'Nowhere/None'", "22023"),
    ("SET app.tenant", "42601"),
    ("SET search_path = ", "42601"),
    ("SET app.tenant = '@'; SELEC", "42601"),
    ("SET app.tenant = '@'; SELECT 1/0", "22012"),
    ("SET search_path = '@'; SET TimeZone = 'UTC'; SET ROLE nobody_there", "22023"),
    ("RESET ROLE; SET app.tenant = '@'; SELECT * FROM no_such_table", "42P01"),
    ("SELECT set_config('app.tenant', '@', false), 1 / (SELECT count(*) - 1 FROM public.leaks)", "22012"),
    ("BEGIN; SET app.tenant = '@'; SET search_path = '@'; SELECT 1/0", "22012"),
    ("BEGIN; SET LOCAL search_path = '@'; SAVEPOINT a; SET app.tenant = '@'; SELECT 1/0", "22012"),
    ("BEGIN; SAVEPOINT a; SET statement_timeout = '7s'; ROLLBACK TO a; SET ROLE nobody_there",
     "22023"),
]

# What pins, what it must give then, and what ends it.
PINS = [
    ("CREATE TEMP TABLE mine AS SELECT {n} AS a", "SELECT a FROM pg_temp.mine", "DROP TABLE mine"),
    ("SELECT pg_advisory_lock({n})",
     "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
     "SELECT pg_advisory_unlock({n})"),
    ("PREPARE p AS SELECT {n}", "EXECUTE p", "DEALLOCATE p"),
    ("LISTEN c{n}", "SELECT substr(c, 2) FROM pg_listening_channels() c", "UNLISTEN *"),
    ("BEGIN; DECLARE h SCROLL CURSOR WITH HOLD FOR SELECT {n} FROM generate_series(1, 9); COMMIT",
     "FETCH h", "CLOSE h"),
]


def zone_of(number):
    """One that no other client has, and how many seconds it is behind."""
    hours, minutes = divmod(60 + number, 60)
    return f"<H{number:02}>-{hours:02}:{minutes:02}", 60 * (60 + number)


@dataclass(frozen=True)
class State:
    """As SEEN shows it."""
    role: str
    tenant: str
    path: str
    zone: str
    timeout: str

    def text(self):
        return "|".join((self.role, self.tenant, self.path, self.zone, self.timeout))


class Lost(Exception):
    """The connection is gone, through no fault of the pooler."""


class Hunter:
    """fresh: what a new session sees, as a State."""

    must_end = None  # an event of all of them

    def __init__(self, number, port, db, fresh, seed):
        self.number = number
        self.port, self.db, self.fresh = port, db, fresh
        self.rng = random.Random(f"{seed}/{number}")
        self.may_pin = number < PINNING
        self.zone, self.offset = zone_of(number)
        self.counts = collections.Counter()
        self.conn = None
        self.changes = 0
        self.kinds, self.weights = zip(*self.actions())

    def actions(self):
        yield from [(self.record, 30), (self.record_prepared, 25), (self.run_shared, 15),
                    (self.transaction, 12), (self.change, 8), (self.change_in_vain, 5),
                    (self.change_locally, 4), (self.fail, 5), (self.look_around, 2),
                    (self.go_back, 0.7), (self.prepare_again, 1), (self.cancel, 0.5),
                    (self.vanish, 0.4)]
        if self.may_pin:
            yield self.pin, 3

    def hunt(self, transactions):
        """Up to so many, or until it is told to end."""
        try:
            while self.counts["transactions"] < transactions and not self.must_end.is_set():
                self.step()
        finally:
            self.leave()
        return self.counts

    def step(self):
        try:
            if self.conn is None:
                self.arrive()
            self.rng.choices(self.kinds, self.weights)[0]()
        except (Closed, Lost, OSError) as e:
            if isinstance(e, TimeoutError):
                raise
            self.leave()
            self.counts["lost"] += 1

    def leave(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    # -- its session --

    def own(self):
        """A state of its own, another one every time."""
        self.changes += 1
        path = f"s{self.number}, public"
        return State(f"hunter_{self.number}", f"t{self.number}.{self.changes}",
                     self.rng.choice((path, f"{path}, s{self.number}_{self.changes % 3}", "public")),
                     self.zone, f"{100001 + 2 * self.number}ms")

    def arrive(self):
        """It finds nothing of anybody; some bring settings with their start-up packet."""
        self.initial, params = self.fresh, {}
        if self.number % 3 == 0:
            params["TimeZone"] = self.zone
            self.initial = replace(self.initial, zone=self.zone)
        if self.number % 4 == 0:
            params["options"] = f"-c app.tenant=i{self.number} -c statement_timeout=300001"
            self.initial = replace(self.initial, tenant=f"i{self.number}", timeout="300001ms")
        self.conn = RawConn(self.port)
        try:
            self.conn.login("alice", self.db, **params)
        except PgError as e:
            raise Lost from e
        self.state = self.initial
        self.record()
        self.settle()

    def settle(self):
        """Makes the session its own."""
        self.state = self.set_all(self.own())
        self.record()
        self.prepare()

    def set_all(self, wanted):
        words = self.settings(self.state, wanted)
        self.rng.shuffle(words)
        for text in ["; ".join(words)] if self.rng.random() < 0.5 else words:
            self.ask(text)
        return wanted

    def settings(self, have, wanted, local=""):
        words = []
        if have.role != wanted.role:
            words.append(f"SET {local} ROLE {wanted.role}")
        for name, setting in (("tenant", "app.tenant"), ("path", "search_path"),
                              ("zone", "TimeZone"), ("timeout", "statement_timeout")):
            value = getattr(wanted, name)
            if value == getattr(have, name):
                continue
            if not local and self.rng.random() < 0.2:
                words.append(f"SELECT set_config('{setting}', '{value}', false)")
            else:
                quoted = value if name == "path" else f"'{value}'"
                words.append(f"SET {local} {setting} = {quoted}")
        return words

    def prepare(self):
        self.body = self.rng.randrange(1000)
        self.run(close("S", "rec") + parse("rec", RECORD_PREPARED)
                 + close("S", "own") + parse("own", SHARED)
                 + close("S", "zoned") + parse("zoned", ZONED)
                 + close("S", "body") + parse("body", f"SELECT {self.number}, {self.body}") + sync())

    # -- asking --

    def count(self, transactions=1):
        self.counts["transactions"] += transactions

    def run(self, data):
        """One ReadyForQuery; an error that does not end the connection is raised."""
        self.conn.send(data)
        return self.result()

    def result(self):
        messages = self.conn.recv_until("ZE")
        if messages[-1].kind == "E":
            error = messages[-1].error()
            if error.severity == "FATAL":
                assert error.code in ENDS, f"client {self.number}: {error}, {error.fields}"
                raise Lost from error
            self.conn.recv_until("Z")
            raise error
        return collect(messages)

    def ask(self, text):
        self.count()
        return self.run(query(text))

    def expect(self, got, wanted):
        assert got == wanted, f"client {self.number} got {got} in place of {wanted}"

    def record_text(self, state, more=""):
        return RECORD.format(who=self.number, expected=f"'{state.text()}'", seen=SEEN, more=more)

    def expect_seen(self, result, state):
        self.expect(result.rows[-1:], [[state.text()]])

    def record_in(self, state):
        """Within a transaction."""
        self.expect_seen(self.run(query(self.record_text(state))), state)

    # -- actions --

    def record(self):
        self.expect_seen(self.ask(self.record_text(self.state)), self.state)

    def record_prepared(self):
        self.count()
        args = (self.number, self.state.text())
        self.expect_seen(self.run(bind("", "rec", args) + execute() + sync()), self.state)

    def run_shared(self):
        """Where all have one search_path, PostgreSQL does not parse anew by itself."""
        self.count(2)
        is_own = self.state.path != "public"
        self.conn.send(bind("", "own" if is_own else "zoned", ["x"]) + execute() + sync()
                       + bind("", "body") + execute() + sync())
        self.expect(self.result().rows, [[str(self.number), "x"] if is_own else
                                         ["x", str(EPOCH - self.offset)]])
        self.expect(self.result().rows, [[str(self.number), str(self.body)]])

    def transaction(self):
        self.count()
        for text in ("BEGIN", f"SELECT pg_advisory_xact_lock({self.number})"):
            self.run(query(text))
        self.record_in(self.state)
        if self.state.path != "public":
            self.expect(self.run(query("SELECT n FROM own")).rows, [[str(self.number)]])
        if self.rng.random() < 0.03:
            self.vanish()
            return
        self.run(query(self.rng.choice(("COMMIT", "COMMIT", "ROLLBACK"))))

    def change(self):
        self.state = self.set_all(replace(self.own(), role=self.rng.choice(
            ("alice", f"hunter_{self.number}"))))
        self.record()

    def change_in_vain(self):
        self.count()
        wanted = self.own()
        words = self.settings(self.state, wanted)
        self.run(query("BEGIN; SAVEPOINT a; " + "; ".join(words)))
        self.record_in(wanted)
        if self.rng.random() < 0.5:
            self.run(query("ROLLBACK TO a"))
            self.record_in(self.state)
            self.run(query("COMMIT"))
        else:
            self.run(query("ROLLBACK"))
        self.record()

    def change_locally(self):
        self.count()
        wanted = self.own()
        self.run(query("BEGIN; " + "; ".join(self.settings(self.state, wanted, "LOCAL"))))
        self.record_in(wanted)
        self.run(query("COMMIT"))
        self.record()

    def fail(self):
        text, code = self.rng.choice(FAILING)
        try:
            self.ask(text.replace("@", f"wrong {self.number}"))
        except PgError as e:
            self.expect(e.code, code)
        else:
            raise AssertionError(f"{text} was not refused")
        if text.startswith("BEGIN"):
            self.run(query(self.rng.choice(("COMMIT", "ROLLBACK"))))
        self.counts["refused"] += 1
        self.record()

    def look_around(self):
        self.expect(self.ask(REST).rows, [NOTHING])

    def go_back(self):
        """To what the session began with."""
        if self.rng.random() < 0.5:
            self.ask("RESET ALL")
            self.state = replace(self.initial, role=self.state.role)
        else:
            self.ask("DISCARD ALL")
            self.state = self.initial
        self.record()
        self.settle()

    def prepare_again(self):
        self.count()
        self.prepare()

    def cancel(self):
        """May come too late, or not at all."""
        self.count()
        more = ", pg_catalog.pg_sleep(0.002)" if self.rng.random() < 0.5 else ""
        self.conn.send(query(self.record_text(self.state, more)))
        try:
            with RawConn(self.port) as conn:
                conn.send(cancel_request(self.conn.key))
                conn.is_closed()
        finally:
            self.take_cancelled()
        self.record()

    def take_cancelled(self):
        try:
            self.expect_seen(self.result(), self.state)
        except PgError as e:
            self.expect(e.code, "57014")
            self.counts["cancelled"] += 1

    def vanish(self):
        """In the midst of something."""
        gone = replace(self.state, tenant=f"gone {self.number}", path="gone")
        text = f"SET app.tenant = '{gone.tenant}'; SET search_path = gone; "
        self.conn.send(self.rng.choice([
            query(text), query("BEGIN; " + text), query("BEGIN; " + text + self.record_text(gone)),
            bind("", "rec", (self.number, self.state.text())) + execute(),
            query("SET ROLE nobody_there; SELECT 1"), query(text)[:-4]]))
        (self.conn.reset if self.rng.random() < 0.5 else self.conn.close)()
        self.conn = None
        self.counts["vanished"] += 1
        self.arrive()

    def pin(self):
        begin, look, end = self.rng.choice(PINS)
        self.ask(begin.format(n=self.number))
        for _ in range(self.rng.randrange(1, 6)):
            self.expect(self.ask(look).rows, [[str(self.number)]])
            self.rng.choice((self.record, self.record_prepared, self.run_shared, self.fail))()
        self.counts["pinned"] += 1
        if self.rng.random() < 0.2:
            self.vanish()
        else:
            self.ask(end.format(n=self.number))
        self.look_around()
