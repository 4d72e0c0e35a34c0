# SPDX-License-Identifier: PostgreSQL
"""Links that move between workers, with clients of different state on all of them."""

import threading

import pytest

from lib.wire import query

pytestmark = pytest.mark.pgweir_only

# None = asks for nothing and has what the server begins with.
ZONES = [None, "Europe/Berlin", "America/New_York", None, "Australia/Perth", "Africa/Cairo"]


def wanted(me):
    zone = ZONES[me % len(ZONES)]
    return {"TimeZone": zone, "application_name": f"client {me}"} if zone else {}


def ask(conn, me, rounds, default, wrong):
    state = [wanted(me).get("TimeZone", default), wanted(me).get("application_name", "")]
    for i in range(rounds):
        conn.send(query("SELECT current_setting('TimeZone'), "
                        f"current_setting('application_name'), '{me}-{i}'"))
        row = conn.result().rows[0]
        if row != state + [f"{me}-{i}"]:
            wrong.append((row, state))
            return


def run(make_pooler, pg, clients, rounds, workers):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, worker_threads=workers)
    default, = pg.execute("SHOW TimeZone")[0]
    conns = [pooler.raw(**wanted(i)) for i in range(clients)]
    wrong = []
    threads = [threading.Thread(target=ask, args=(c, i, rounds, default, wrong))
               for i, c in enumerate(conns)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]


def test_every_client_gets_its_own_answers_in_its_own_state(make_pooler, pg):
    run(make_pooler, pg, clients=8, rounds=150, workers=3)


@pytest.mark.full
def test_the_same_for_long(make_pooler, pg):
    run(make_pooler, pg, clients=16, rounds=7000, workers=4)


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
