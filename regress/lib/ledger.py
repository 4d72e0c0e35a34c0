# SPDX-License-Identifier: PostgreSQL
"""Clients that know what every answer must be, and what the database must hold in the end.

Each thing an Asker asks has a number that nobody else uses. It compares all rows, minds notices
(a transaction of somebody else's that is still open gives one), and keeps account of what it has
written: what was acknowledged must be in the ledger, once; what was never committed must not.
"""

import random
import threading

from lib.wire import (Closed, PgError, bind, execute, message, parse, query, run_named,
                      sync)

TABLE = "CREATE TABLE ledger (who int, number int)"


class Asker(threading.Thread):
    """connect() gives a connection that is logged in. Errors that end it may come at any time where
    may_fail is set; then it connects again. A rude one vanishes now and then."""

    def __init__(self, number, connect, seed, may_fail=False, is_rude=False):
        super().__init__(daemon=True)
        self.number = number
        self.connect = connect
        self.rng = random.Random(f"{seed}/{number}")
        self.may_fail = may_fail
        self.is_rude = is_rude
        self.must_end = threading.Event()
        self.answered = 0
        self.errors = []
        self.wrong = None
        self.conn = None
        self.asked = 0
        self.written, self.never = set(), set()
        self.kinds = [self.simple, self.large, self.prepared, self.pipeline, self.slow,
                      self.transaction, self.copy, self.roll_back]

    def run(self):
        try:
            while not self.must_end.is_set():
                self.step()
        except Exception as e:  # a thread cannot fail a test by itself: see settle()
            self.wrong = f"asker {self.number}: {e!r}"
        finally:
            self.leave()

    def leave(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    def step(self):
        try:
            if self.conn is None:
                self.conn = self.connect(self.number)
                self.check(self.conn.run(parse("s", f"SELECT '{self.number}/' || $1::text"),
                                         sync()), [])
            if self.is_rude and self.rng.random() < 0.1:
                self.vanish()
                return
            self.rng.choice(self.kinds)()
            self.answered += 1
        except (Closed, OSError, PgError) as e:
            self.leave()
            self.errors.append(e)
            if not self.may_fail or (isinstance(e, PgError) and e.severity != "FATAL"):
                raise
            self.must_end.wait(0.01)

    # -- what is asked --

    def new_value(self):
        self.asked += 1
        return f"{self.number}/{self.asked}"

    def check(self, result, rows):
        for error in result.errors:
            raise error
        notices = [n for n in result.notices if "client being queued" not in n.message]
        if result.rows != rows or notices or result.status not in "IT":
            raise AssertionError(f"wanted {rows}, got {result.rows[:3]}, {notices}")

    def simple(self):
        value = self.new_value()
        self.check(self.conn.query(f"SELECT '{value}'"), [[value]])

    def large(self):
        value = self.new_value()
        count = self.rng.randrange(10, 5000)
        self.check(self.conn.query(f"SELECT repeat('{value};', {count})"), [[f"{value};" * count]])

    def slow(self):
        value = self.new_value()
        self.check(self.conn.query(f"SELECT '{value}' FROM pg_sleep(0.005)"), [[value]])

    def prepared(self):
        value = self.new_value()
        self.check(self.conn.run(run_named("s", (self.asked,))), [[value]])

    def pipeline(self):
        values = [self.new_value() for _ in range(self.rng.randrange(2, 6))]
        self.conn.send(b"".join(parse("", f"SELECT '{v}'") + bind() + execute() + sync()
                                for v in values))
        for value in values:
            self.check(self.conn.result(), [[value]])

    def insert(self):
        self.asked += 1
        self.check(self.conn.query(f"INSERT INTO ledger VALUES ({self.number}, {self.asked})"), [])
        return self.asked

    def transaction(self):
        self.check(self.conn.query("BEGIN"), [])
        number = self.insert()
        self.simple()
        self.check(self.conn.query("COMMIT"), [])
        self.written.add(number)

    def roll_back(self):
        self.check(self.conn.query("BEGIN"), [])
        self.never.add(self.insert())
        self.check(self.conn.query("ROLLBACK"), [])

    def copy(self):
        self.asked += 1
        number = self.asked
        self.conn.send(query("COPY ledger FROM STDIN"))
        m = self.conn.recv()
        if m.kind == "N" and self.may_fail:
            m = self.conn.recv()  # behind a warning that the server goes down comes its end
        if m.kind != "G":
            raise m.error() if m.kind == "E" else AssertionError(m)
        self.conn.send(message("d", f"{self.number}\t{number}\n".encode()) + message("c"))
        self.check(self.conn.result(), [])
        self.written.add(number)

    # -- how a rude one goes --

    def vanish(self):
        conn, self.conn = self.conn, None
        getattr(self, self.rng.choice(["in_query", "in_transaction", "in_copy", "in_message",
                                       "in_pipeline"]))(conn)
        (conn.reset if self.rng.random() < 0.5 else conn.close)()

    def in_query(self, conn):
        conn.send(query(f"SELECT '{self.new_value()}' FROM pg_sleep(0.02)"))

    def in_transaction(self, conn):
        self.asked += 1
        self.never.add(self.asked)
        conn.send(query("BEGIN")
                  + query(f"INSERT INTO ledger VALUES ({self.number}, {self.asked})"))
        if self.rng.random() < 0.7:
            conn.result()

    def in_copy(self, conn):
        self.asked += 1
        self.never.add(self.asked)
        conn.send(query("COPY ledger FROM STDIN")
                  + message("d", f"{self.number}\t{self.asked}\n".encode()))

    def in_message(self, conn):
        data = query(f"SELECT '{self.new_value()}'")
        conn.send(data[:self.rng.randrange(1, len(data))])

    def in_pipeline(self, conn):
        conn.send(b"".join(parse("", f"SELECT '{self.new_value()}'") + bind() + execute() + sync()
                           for _ in range(20)))

    # -- the end --

    def settle(self, numbers):
        """numbers: those of this asker in the ledger, in a list."""
        assert self.wrong is None, self.wrong
        assert len(numbers) == len(set(numbers)), "written twice"
        assert self.written <= set(numbers), "acknowledged and lost"
        assert not self.never & set(numbers), "never committed and there"
