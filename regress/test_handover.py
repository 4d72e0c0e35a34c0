# SPDX-License-Identifier: PostgreSQL
"""Links that move between workers, with clients of different state on all of them."""

import threading

import pytest

from lib.wire import query

pytestmark = pytest.mark.pgweir_only

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Perth",
         "Africa/Cairo", "Asia/Kolkata", "America/Lima"]


def ask(conn, me, rounds, wrong):
    for i in range(rounds):
        conn.send(query("SELECT current_setting('TimeZone'), "
                        f"current_setting('application_name'), '{me}-{i}'"))
        row = conn.result().rows[0]
        if row != [ZONES[me % len(ZONES)], f"client {me}", f"{me}-{i}"]:
            wrong.append(row)
            return


def run(make_pooler, clients, rounds, workers):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, worker_threads=workers)
    conns = [pooler.raw(TimeZone=ZONES[i % len(ZONES)], application_name=f"client {i}")
             for i in range(clients)]
    wrong = []
    threads = [threading.Thread(target=ask, args=(c, i, rounds, wrong))
               for i, c in enumerate(conns)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]


def test_every_client_gets_its_own_answers_in_its_own_state(make_pooler):
    run(make_pooler, clients=8, rounds=150, workers=3)


@pytest.mark.full
def test_the_same_for_long(make_pooler):
    run(make_pooler, clients=16, rounds=7000, workers=4)
