# SPDX-License-Identifier: PostgreSQL
"""A crowd of clients on three links.

Each sends whole rows of batches before it reads, prepares statements under names that the others
use too, and expects its own values, in the shape that it was told, while the table changes under
it. Now and then one cancels, breaks off, or goes in the midst of a message; the next hears nothing
of that.
"""

import collections
import random
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial

import pytest

from lib.wait import wait_for
from lib.wire import (PgError, RawConn, bind, cancel_request, close, describe, execute, parse,
                      query, sync)

pytestmark = pytest.mark.pgweir_only

CLIENTS = 8
LINKS = 3
NAMES = "abcd"
# Text, and what may stand for its parameters behind the first, which is the client's value.
TEXTS = [
    ("SELECT $1::text, * FROM crowd", None),
    ("SELECT $1::text, crowd.* FROM crowd LIMIT 1", None),
    ("SELECT $1::text AS q", None),
    ("SELECT $1::text, g FROM generate_series(1, 3) g", None),
    ("SELECT $1::text, pg_sleep(0.002)", None),
    ("SELECT $1::text, a FROM crowd WHERE 1 / (a - $2::int) = 0", (0, 1)),
]


class Visit:
    """One connection. After an error the rest of a batch is skipped, with the Parse messages in it:
    so what has been prepared is known only when the answers are read."""

    def __init__(self, conn, who, rng, seen):
        self.conn, self.who, self.rng, self.seen = conn, who, rng, seen
        self.texts = {}  # by name, as far as it has asked
        self.prepared = {}  # by name, as far as it has heard
        self.columns = {}  # of the rows of a name, where it was told
        self.asked = 0
        self.was_canceled = False
        self.status = "I"
        self.answers = None
        self.at = (None, 0)  # the name that is being answered for, and how many parameters it got

    # -- asking --

    def make_execution(self, name):
        self.asked += 1
        value = f"{self.who}/{self.asked}"
        choices = self.texts[name][1]
        args = [value, self.rng.choice(choices)] if choices else [value]
        data = bind("", name, args)
        expected = [partial(self.expect_bound, name, len(args))]
        if self.rng.random() < 0.3:
            data += describe("P")
            expected.append(partial(self.expect_columns, name))
        return data + execute(), [*expected, partial(self.expect_rows, name, value)]

    def make_batch(self):
        data, expected = b"", []
        for _ in range(self.rng.randint(1, 4)):
            name = self.rng.choice(NAMES)
            if name not in self.texts or self.rng.random() < 0.15:
                self.texts[name] = self.rng.choice(TEXTS)
                data += close("S", name) + parse(name, self.texts[name][0])
                expected.append(partial(self.expect_parsed, name, self.texts[name]))
            if self.rng.random() < 0.3:
                data += describe("S", name)
                expected.append(partial(self.expect_described, name))
            more, rows = self.make_execution(name)
            data += more
            expected += rows
        return data + sync(), expected

    def make_pipeline(self):
        steps = [self.make_batch() for _ in range(self.rng.randint(1, 3))]
        if self.rng.random() < 0.2:
            steps.insert(0, (query("BEGIN"), [partial(self.expect, "C")]))
        steps.append((query("COMMIT"), [partial(self.expect, "C")]))
        return b"".join(data for data, _ in steps), [expected for _, expected in steps]

    # -- answers --

    def expect(self, kinds):
        m = next(self.answers)
        if m.kind == "E":
            raise m.error()
        assert m.kind in kinds, f"{self.who}: {m} in place of {kinds}"
        return m

    def expect_parsed(self, name, text):
        self.at = (name, 0)
        self.expect("3")
        self.prepared.pop(name, None)
        self.columns.pop(name, None)
        self.expect("1")
        self.prepared[name] = text

    def expect_described(self, name):
        self.at = (name, 0)
        self.expect("t")
        self.expect_columns(name)

    def expect_bound(self, name, count):
        self.at = (name, count)
        self.expect("2")

    def expect_columns(self, name):
        self.columns[name] = len(self.expect("T").columns())

    def expect_rows(self, name, value):
        while (m := self.expect("DC")).kind == "D":
            row = m.values()
            assert row[0] == value, f"{self.who}: {row} in place of {value}"
            told = self.columns.get(name, len(row))
            assert len(row) == told, f"{self.who}: {row} in place of {told} columns"
        self.seen["executed"] += 1

    def expect_step(self, expected):
        self.answers = iter([m for m in self.conn.recv_until("Z") if m.kind not in "NSA"])
        try:
            for step in expected:
                step()
            self.end_step()
        except PgError as e:
            assert e.severity == "ERROR" and self.may_get(e.code), f"{self.who}: {e}, {self.at}"
            self.seen[e.code] += 1
            self.end_step()

    def end_step(self):
        self.status = self.expect("Z").body.decode()

    def may_get(self, code):
        name, count = self.at
        text, choices = self.prepared.get(name, (None, None))
        return {
            "22012": choices is not None,
            "0A000": text is not None and "crowd" in text,
            "25P02": self.status == "E",
            "26000": text is None,
            "08P01": count != (1 if choices is None else 2),
            "57014": self.was_canceled,
        }.get(code, False)

    # -- the visit --

    def cancel(self):
        self.was_canceled = True
        with RawConn(self.conn.address[1]) as conn:
            conn.send(cancel_request(self.conn.key))
            if self.rng.random() < 0.7:
                conn.is_closed()

    def converse(self):
        """False when it has gone."""
        data, steps = self.make_pipeline()
        self.conn.send(data, "random" if self.rng.random() < 0.2 else "whole", self.asked)
        event = self.rng.random()
        if event < 0.03:
            self.conn.reset()
            return False
        if event < 0.05:
            self.conn.send(bind("", "a", ["half"])[:-3])
            return False
        if event < 0.1:
            self.cancel()
        for expected in steps:
            self.expect_step(expected)
        return True


def visit_often(pooler, number, seed, over):
    rng, seen, visits = random.Random(f"{seed}/{number}"), collections.Counter(), 0
    while not over.is_set():
        visits += 1
        with RawConn(pooler.port) as conn:
            visit = Visit(conn.login("alice", pooler.db), f"{number}/{visits}", rng, seen)
            for _ in range(rng.randint(1, 30)):
                if not visit.converse():
                    break
    return seen


def change_table(pg, db, seed, over):
    rng, changes = random.Random(seed), 0
    with pg.connect(db) as conn:
        while not over.wait(rng.random() * 0.1):
            conn.execute(f"ALTER TABLE crowd ADD b{changes} int")
            over.wait(rng.random() * 0.1)
            conn.execute(f"ALTER TABLE crowd DROP b{changes}")
            changes += 1
    return collections.Counter(changes=changes)


def run(make_pooler, pg, db, seconds):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    with pg.connect(db) as conn:
        conn.execute("CREATE TABLE crowd AS SELECT 1 AS a")
        conn.execute("GRANT ALL ON crowd TO public")
    pooler = make_pooler(pool_mode="transaction", default_pool_size=LINKS, worker_threads=2,
                         max_prepared_statements=len(NAMES))
    over = threading.Event()
    with ThreadPoolExecutor(CLIENTS + 1) as executor:
        running = [executor.submit(visit_often, pooler, i, seed, over) for i in range(CLIENTS)]
        running.append(executor.submit(change_table, pg, db, seed, over))
        wait(running, seconds, FIRST_EXCEPTION)
        over.set()
    seen = sum((r.result() for r in running), collections.Counter())
    print(seen)
    assert seen["executed"] > 20 * seconds and seen["changes"] > 0 and seen["22012"] > 0
    assert pooler.log_count("broken message") == 0
    wait_for(lambda: (row := pooler.pool())["cl_active"] + row["cl_waiting"] + row["sv_active"] == 0)
    assert pooler.raw().query("SELECT count(*) FROM crowd").value() == "1"


def test_crowd_in_short(make_pooler, pg, db):
    run(make_pooler, pg, db, 5)


@pytest.mark.full
def test_crowd(make_pooler, pg, db):
    run(make_pooler, pg, db, 60)
