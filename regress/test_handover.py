# SPDX-License-Identifier: PostgreSQL
"""Links that move between workers, with clients of different state on all of them."""

import re
import threading

import pytest

from lib.wait import wait_for
from lib.wire import parse, query, run_named, sync

pytestmark = pytest.mark.pgweir_only

# None = asks for nothing and has what the server begins with.
ZONES = [None, "Europe/Berlin", "America/New_York", None, "Australia/Perth", "Africa/Cairo"]
MOVE = re.compile(rb"S-\S+ \S+ moves to worker \d+")
NOW = "current_setting('TimeZone'), current_setting('application_name')"


class Asker(threading.Thread):
    """A client with parameters of its own and a statement of its own behind a name all share."""

    def __init__(self, pooler, number, default_zone, enough):
        super().__init__(daemon=True)
        zone = ZONES[number % len(ZONES)]
        wanted = {"TimeZone": zone, "application_name": f"client {number}"} if zone else {}
        self.conn = pooler.raw(**wanted)
        self.number = number
        self.enough = enough
        self.state = [wanted.get("TimeZone", default_zone), wanted.get("application_name", "")]
        self.asked = 0
        self.wrong = None

    def run(self):
        self.conn.run(parse("s", f"SELECT {NOW}, '{self.number}/' || $1::text"), sync())
        while not self.wrong and not self.enough.is_set():
            self.ask()

    def ask(self):
        self.asked += 1
        mine = f"{self.number}/{self.asked}"
        if self.asked % 50 == 0:
            self.change_zone()
        if self.asked % 3:
            self.conn.send(query(f"SELECT {NOW}, '{mine}'"))
        else:
            self.conn.send(run_named("s", (self.asked,)))
        result = self.conn.result()
        if result.errors or result.rows != [self.state + [mine]]:
            self.wrong = (result.errors, result.rows, self.state + [mine])

    def change_zone(self):
        zone = ZONES[(self.number + self.asked // 50) % len(ZONES)]
        if zone:
            self.conn.query(f"SET TimeZone = '{zone}'")
            self.state[0] = zone


class MoveCount:
    """Hand-overs that the pooler says it has made; reads only what the log has gained."""

    def __init__(self, pooler):
        self.path = pooler.log
        self.at = 0
        self.count = 0

    def __call__(self):
        with open(self.path, "rb") as log:
            log.seek(self.at)
            new = log.read()
        whole = new.rfind(b"\n") + 1
        self.count += len(MOVE.findall(new[:whole]))
        self.at += whole
        return self.count


def run(make_pooler, pg, clients, moves, workers, **settings):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, worker_threads=workers,
                         verbose=1, **settings)
    default, = pg.execute("SHOW TimeZone")[0]
    enough = threading.Event()
    askers = [Asker(pooler, i, default, enough) for i in range(clients)]
    counted = MoveCount(pooler)
    for a in askers:
        a.start()
    try:
        wait_for(lambda: counted() >= moves or any(a.wrong for a in askers), 20 + moves / 200,
                 what=f"{moves} hand-overs")
    finally:
        enough.set()
    for a in askers:
        a.join()
    assert [a.wrong for a in askers if a.wrong] == []
    assert counted() >= moves


@pytest.mark.parametrize("tls", ["disable", "require"])
def test_every_client_gets_its_own_answers_in_its_own_state(make_pooler, pg, tls):
    run(make_pooler, pg, clients=8, moves=500, workers=3, server_tls_sslmode=tls)


@pytest.mark.full
@pytest.mark.parametrize("tls,moves", [("disable", 100000), ("require", 20000)])
def test_the_same_for_long(make_pooler, pg, tls, moves):
    run(make_pooler, pg, clients=16, moves=moves, workers=4, server_tls_sslmode=tls)


def test_links_of_another_worker_that_need_a_check_are_found(make_pooler):
    """One link; it rests longer than server_check_delay before a client of another worker asks."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, worker_threads=2,
                         server_check_delay=1, query_wait_timeout=5)
    conns = [pooler.raw() for _ in range(4)]
    for c in conns:
        assert c.query("SELECT 1").value() == "1"
        pooler.wait_pool(sv_used=1)


def test_pool_recovers_after_many_logins_and_a_lost_server(make_pooler, pg, db):
    """Links are handed over straight after their login, and then all of them are lost."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=4, worker_threads=2,
                         server_lifetime=0, query_wait_timeout=5)
    conns = [pooler.raw() for _ in range(12)]
    for _ in range(20):
        for c in conns:
            c.send(query("SELECT pg_sleep(0.002)"))
        for c in conns:
            assert c.result().tag == "SELECT 1"
    pg.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (db,))
    assert all(c.query("SELECT 1").value() == "1" for c in conns)


def test_links_go_round_after_a_reload_that_changed_the_database(make_pooler, make_fake):
    """One link for clients of two workers, some of which came before the reload and some after."""
    fake = make_fake()
    target = {"host": fake.host, "port": fake.port, "dbname": "x"}
    pooler = make_pooler(databases={"f": target}, pool_mode="transaction", default_pool_size=1,
                         worker_threads=2)
    conns = [pooler.raw(dbname="f")]
    for number in range(1, 4):
        assert conns[0].query("SELECT 1").value() == str(number)
        target["connect_query"] = f"SELECT {number}"
        pooler.reload()
        pooler.wait_pool("f", sv_idle=0)
    # Old and new clients on both workers get one and the same new server.
    conns += [pooler.raw(dbname="f") for _ in range(5)]
    for c in conns * 3:
        assert c.query("SELECT 1").value() == "4"
    assert fake.accepted == 4
