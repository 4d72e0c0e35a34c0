# SPDX-License-Identifier: PostgreSQL
"""Sudden deaths and cut networks at random moments, under load.

Four groups of clients. `steady`: nothing happens to them, so they must see no error at all.
`front`: a bad network before the pooler, and they vanish of their own; they share the pool of the
steady ones, who must not notice. `struck`: now and then one of their backends is terminated: not
more errors than that. `back`: their PostgreSQL is killed, its backends are killed, and the network
to it is cut: errors are allowed, wrong answers are not.
"""

import collections
import os
import random
import signal
from pathlib import Path

import pytest

from lib.ledger import TABLE, Asker
from lib.pg import FOR_TESTS, pgcluster
from lib.proc import open_files, settled
from lib.wait import wait_for
from lib.wire import RawConn

pytestmark = pytest.mark.pgweir_only

GROUPS = ("steady", "front", "struck", "back")
EACH = 5
# Answers that each group gets between two events.
PROGRESS = 8


class Chaos:
    def __init__(self, make_pooler, make_proxy, pg, db, own_pg):
        self.seed = random.randrange(1 << 32)
        print("seed", self.seed)
        self.rng = random.Random(self.seed)
        self.pg, self.db, self.own_pg = pg, db, own_pg
        self.behind = make_proxy(own_pg.port)
        databases = {
            db: {"host": pg.host, "port": pg.port, "dbname": db},
            "back": {"host": self.behind.host, "port": self.behind.port, "dbname": "postgres",
                     "pool_size": 3}}
        # A stalled client keeps the server of its transaction: others of its pool need some too.
        self.pooler = make_pooler(
            pool_mode="transaction", default_pool_size=EACH + 2, worker_threads=2,
            server_login_retry=0.1, query_wait_timeout=20, databases=databases,
            users={"bob": "pool_size=3"})
        self.before = make_proxy(self.pooler.port)
        for target, name in ((pg, db), (own_pg, "postgres")):
            with target.connect(name) as c:
                c.execute(TABLE)
                c.execute("GRANT ALL ON ledger TO public")
        self.askers = {name: [self.make_asker(name, i) for i in range(EACH)] for name in GROUPS}
        self.strikes = 0
        self.events = [self.kill_backend, self.kill_primary, self.stall_behind, self.cut_behind,
                       self.reset_behind, self.stall_before, self.cut_before, self.reset_before,
                       self.strike, self.strike, self.reload, self.reconnect]

    def make_asker(self, group, i):
        port = self.before.port if group == "front" else self.pooler.port
        user = "bob" if group == "struck" else "alice"
        dbname = "back" if group == "back" else self.db

        def connect(number):
            conn = RawConn(port)
            try:
                return conn.login(user, dbname, application_name=f"asker {number}")
            except BaseException:
                conn.close()
                raise

        return Asker(GROUPS.index(group) * 100 + i, connect, self.seed,
                     may_fail=group != "steady", is_rude=group == "front")

    def all(self):
        return [a for group in self.askers.values() for a in group]

    # -- events --

    def kill_backend(self):
        """All of them end then, ours too."""
        ours, = self.own_pg.execute("SELECT pg_backend_pid()")[0]
        pids = self.own_pg.backends("postgres", "alice")
        os.kill(self.rng.choice(pids or [ours]), signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{ours}").exists(), 30)
        self.forget_own_pg()
        wait_for(self.own_pg_is_up, 30)

    def kill_primary(self):
        os.kill(int((self.own_pg.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        self.forget_own_pg()
        wait_for(self.start_own_pg, 30)

    def start_own_pg(self):
        """It does not start while a process of the dead one is still there."""
        try:
            pgcluster("start", self.own_pg.env["PW_PG_DIR"], "--replicas", "0", *FOR_TESTS)
        except RuntimeError:
            return False
        return self.own_pg_is_up()

    def own_pg_is_up(self):
        try:
            return self.own_pg.execute("SELECT 1")
        except OSError:
            return False
        except Exception:  # psycopg's: it is going down, or coming up
            self.forget_own_pg()
            return False

    def forget_own_pg(self):
        if self.own_pg.admin:
            self.own_pg.admin.close()
        self.own_pg.admin = None

    def stall(self, proxy, groups):
        proxy.stall()
        try:
            self.await_progress(groups)
        finally:
            proxy.flow()

    def stall_behind(self):
        self.stall(self.behind, ("steady", "front", "struck"))

    def cut_behind(self):
        self.behind.cut(self.rng.choice(["up", "down"]))

    def reset_behind(self):
        self.behind.reset()

    def stall_before(self):
        self.stall(self.before, ("steady", "struck", "back"))

    def cut_before(self):
        self.before.cut(self.rng.choice(["up", "down"]))

    def reset_before(self):
        self.before.reset()

    def strike(self):
        pids = self.pg.backends(self.db, "bob")
        if pids:
            self.pg.execute("SELECT pg_terminate_backend(%s)", (self.rng.choice(pids),))
            self.strikes += 1

    def reload(self):
        self.pooler.reload()

    def reconnect(self):
        self.pooler.console("RECONNECT")

    # -- the run --

    def await_progress(self, groups=GROUPS):
        """Each group gets so many more answers: the pooler works, whatever has just happened."""
        before = {name: self.answers(name) for name in groups}
        for name in groups:
            wait_for(lambda name=name: self.answers(name) >= before[name] + PROGRESS * EACH
                     or any(a.wrong for a in self.all()), 30, what=f"answers for {name}")

    def answers(self, group):
        return sum(a.answered for a in self.askers[group])

    def run(self, rounds):
        for asker in self.all():
            asker.start()
        try:
            self.await_progress()
            for _ in range(rounds):
                for event in self.rng.sample(self.events, len(self.events)):
                    print(event.__name__)
                    event()
                    self.await_progress(self.rng.choice([GROUPS, ("steady",), ("back",)]))
                    self.expect_all_right()
        finally:
            self.before.flow()
            self.behind.flow()
            for asker in self.all():
                asker.must_end.set()
            for asker in self.all():
                asker.join()

    def expect_all_right(self):
        wrong = [a.wrong for a in self.all() if a.wrong]
        if wrong:
            for what in ("SERVERS", "CLIENTS", "POOLS"):
                print("\n".join(str(row) for row in self.pooler.console("SHOW " + what)))
            raise AssertionError(wrong)

    def check(self):
        self.expect_all_right()
        for pg, dbname in ((self.pg, self.db), (self.own_pg, "postgres")):
            ledger = collections.defaultdict(list)
            with pg.connect(dbname) as c:
                for who, number in c.execute("SELECT who, number FROM ledger"):
                    ledger[who].append(number)
            for asker in self.all():
                if (asker in self.askers["back"]) == (pg is self.own_pg):
                    asker.settle(ledger[asker.number])
        assert sum(len(a.errors) for a in self.askers["struck"]) <= self.strikes


def shown_names(pooler, what):
    return [(r["database"], r["user"]) for r in pooler.console("SHOW " + what)]


def run(make_pooler, make_proxy, pg, db, own_pg, rounds):
    chaos = Chaos(make_pooler, make_proxy, pg, db, own_pg)
    pooler = chaos.pooler
    pooler.console("SHOW VERSION")
    files = settled(open_files, pooler.pid)
    chaos.run(rounds)
    chaos.check()
    # What is left is what is alive, and nothing of it holds a descriptor for long.
    wait_for(lambda: shown_names(pooler, "CLIENTS") == [("pgbouncer", "admin")])
    for dbname, target, name in ((db, pg, db), ("back", own_pg, "postgres")):
        assert pooler.raw(dbname=dbname).query("SELECT 1").value() == "1"
        wait_for(lambda d=dbname, t=target, n=name: shown_names(pooler, "SERVERS").count(
            (d, "alice")) == len(t.backends(n, "alice")))
    for c in pooler.connections:
        c.close()
    pooler.console("RECONNECT")
    wait_for(lambda: shown_names(pooler, "SERVERS") == [])
    wait_for(lambda: open_files(pooler.pid) == files,
             what=f"{files} files open again, there are {open_files(pooler.pid)}")


def test_chaos_in_short(make_pooler, make_proxy, pg, db, own_pg):
    run(make_pooler, make_proxy, pg, db, own_pg, rounds=1)


@pytest.mark.full
def test_chaos(make_pooler, make_proxy, pg, db, own_pg):
    run(make_pooler, make_proxy, pg, db, own_pg, rounds=20)
