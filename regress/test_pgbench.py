# SPDX-License-Identifier: PostgreSQL
"""pgbench in all its forms: no transaction fails, and the sums that TPC-B keeps hold."""

import pytest

from lib.certs import client_tls
from lib.pgbench import pgbench

pytestmark = pytest.mark.pgweir_only

CLIENTS, POOL = 64, 8
PROTOCOLS = ("simple", "extended", "prepared")

SUMS = """
    SELECT (SELECT sum(abalance) FROM pgbench_accounts),
           (SELECT sum(tbalance) FROM pgbench_tellers),
           (SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history),
           (SELECT count(*) FROM pgbench_history)"""


def make(make_pooler, pg, db, certs, mode, workers, tls):
    settings = {}
    if tls:
        settings = client_tls(certs, server_tls_sslmode="require")
    pooler = make_pooler(pool_mode=mode, worker_threads=workers, max_prepared_statements=100,
                         default_pool_size=POOL if mode == "transaction" else CLIENTS, **settings)
    made = pgbench(pg, pooler, "-i", "-q", "-s", "4", sslmode="require" if tls else "disable")
    assert made.status == 0, made.output
    return pooler


def bench(pg, pooler, script, protocol, transactions, sslmode):
    # pgbench blocks its thread while it prepares, so every client needs a thread of its own.
    done = pgbench(pg, pooler, "-c", str(CLIENTS), "-j", str(CLIENTS), "-t", str(transactions),
                   "-b", script, "-M", protocol, sslmode=sslmode, timeout=120)
    assert done.status == 0, done.output
    assert (done.failed, done.processed) == (0, CLIENTS * transactions), done.output


def run(make_pooler, pg, db, certs, mode, workers, tls, transactions):
    pooler = make(make_pooler, pg, db, certs, mode, workers, tls)
    sslmode = "require" if tls else "disable"
    for protocol in PROTOCOLS:
        bench(pg, pooler, "select-only", protocol, transactions, sslmode)
        bench(pg, pooler, "tpcb-like", protocol, transactions, sslmode)
        if mode == "transaction":
            assert len(pg.backends(db)) <= POOL
    with pg.connect(db) as c:
        accounts, tellers, branches, history, count = c.execute(SUMS).fetchone()
    assert accounts == tellers == branches == history
    assert count == len(PROTOCOLS) * CLIENTS * transactions


def test_every_form_of_pgbench_in_short(make_pooler, pg, db, certs):
    run(make_pooler, pg, db, certs, "transaction", workers=2, tls=True, transactions=5)


@pytest.mark.full
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_every_form_of_pgbench(make_pooler, pg, db, certs, mode, workers, tls):
    run(make_pooler, pg, db, certs, mode, workers, tls, transactions=100)
