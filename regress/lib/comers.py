# SPDX-License-Identifier: PostgreSQL
"""Connections that come, do one of many things, right or wrong, and go; one after the other."""

import os
import random

from lib.certs import context
from lib.wire import (SSL_REQUEST, PgError, RawConn, bind, cancel_request, execute, message,
                      parse, query, startup, sync, terminate)


class Comers:
    """Users of the pooler: trusty (trust), bob (SCRAM), carol_md5 (md5), dave_plain (password);
    see HBA. Each kind of visit is a method; WEIGHTS says how often."""

    HBA = """
host pgbouncer admin all trust
host all trusty all trust
host all bob all scram-sha-256
host all carol_md5 all md5
host all dave_plain all password
host all all all reject
"""

    WEIGHTS = {
        "look_in": 10, "say_half": 20, "say_garbage": 10, "ask_nothing": 15, "ask": 15,
        "vanish_in_query": 5, "vanish_in_transaction": 5, "prepare": 5, "login_md5": 5,
        "login_plain": 5, "fail_md5": 5, "fail_plain": 5, "login_scram": 3, "fail_scram": 3,
        "half_scram": 3, "unknown_database": 5, "unknown_user": 5, "odd_parameter": 5,
        "cancel": 5, "tls": 3, "half_tls": 3,
    }

    def __init__(self, pooler, certs, seed):
        self.pooler = pooler
        self.rng = random.Random(seed)
        self.tls_context = context(certs)
        self.visits = 0
        self.packet = startup({"user": "trusty", "database": pooler.db})

    def come(self, count):
        kinds = self.rng.choices(list(self.WEIGHTS), list(self.WEIGHTS.values()), k=count)
        for kind in kinds:
            with RawConn(self.pooler.port) as conn:
                getattr(self, kind)(conn)
                if self.rng.random() < 0.3:
                    conn.reset()
            self.visits += 1

    def login(self, conn, user="trusty", password=None, **params):
        return conn.login(user, self.pooler.db, password or self.pooler.auth[user], **params)

    def refused(self, conn, user, password=None, dbname=None, **params):
        try:
            conn.login(user, dbname or self.pooler.db, password or "wrong", **params)
        except PgError:
            return
        raise AssertionError(f"{user} was let in")

    def look_in(self, conn):
        pass

    def say_half(self, conn):
        conn.send(self.packet[:self.rng.randrange(1, len(self.packet))])

    def say_garbage(self, conn):
        conn.send(self.rng.randbytes(self.rng.randrange(1, 3000)))

    def ask_nothing(self, conn):
        self.login(conn).send(terminate())

    def ask(self, conn):
        assert self.login(conn).query("SELECT repeat('m', 5000)").value() == "m" * 5000

    def vanish_in_query(self, conn):
        self.login(conn).send(query("SELECT repeat('m', 5000)"))

    def vanish_in_transaction(self, conn):
        self.login(conn).query("BEGIN; SELECT 1")

    def prepare(self, conn):
        text = f"SELECT $1::int + {self.rng.randrange(300)}"
        self.login(conn, application_name=f"comer {self.visits}").run(
            parse("s", text), bind("", "s", (1,)), execute(), sync())

    def login_md5(self, conn):
        self.login(conn, "carol_md5")

    def login_plain(self, conn):
        self.login(conn, "dave_plain")

    def login_scram(self, conn):
        self.login(conn, "bob")

    def fail_md5(self, conn):
        self.refused(conn, "carol_md5")

    def fail_plain(self, conn):
        self.refused(conn, "dave_plain", "x" * self.rng.choice((5, 60000)))

    def fail_scram(self, conn):
        self.refused(conn, "bob")

    def half_scram(self, conn):
        conn.send(startup({"user": "bob", "database": self.pooler.db}))
        conn.recv()
        conn.send(message("p", b"SCRAM-SHA-256\0" + os.urandom(40))[:30])

    def unknown_database(self, conn):
        self.refused(conn, "trusty", dbname=f"none{self.visits}")

    def unknown_user(self, conn):
        self.refused(conn, f"stranger{self.visits}")

    def odd_parameter(self, conn):
        self.refused(conn, "trusty", options="-x")

    def cancel(self, conn):
        conn.send(cancel_request(os.urandom(8)))
        conn.is_closed()

    def tls(self, conn):
        conn.start_tls(self.tls_context)
        assert self.login(conn).query("SELECT 1").value() == "1"

    def half_tls(self, conn):
        conn.send(SSL_REQUEST)
        conn.read_exactly(1)
        conn.send(b"\x16\x03\x01\x02\x00" + os.urandom(100))
