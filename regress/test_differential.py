# SPDX-License-Identifier: PostgreSQL
"""Random conversations give through the pooler what they give with PostgreSQL itself."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.conversation import Script, hold_again, hold_direct

pytestmark = pytest.mark.pgweir_only

CLIENTS = 4
CUTS = ["whole", "random", "bytes"]


def empty_tables(pg, dbname):
    with pg.connect(dbname) as conn:
        for i in range(CLIENTS):
            conn.execute(f"CREATE TABLE IF NOT EXISTS t{i} (id int, v text)")
            conn.execute(f"GRANT ALL ON t{i} TO public")
            conn.execute(f"TRUNCATE t{i}")


def in_threads(run):
    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(run, range(CLIENTS)))


def hold_direct_once(pg, db, script):
    with pg.raw("alice", db) as conn:
        return hold_direct(conn, script)


def hold_pooled_once(pooler, script, said, cut):
    with pooler.raw() as conn:
        return hold_again(conn, script, said, cut)


def hold(pg, db, pooler, seed, cut):
    """Several clients at a time, each with a table of its own; returns what was different."""
    scripts = [Script(seed * CLIENTS + i, f"t{i}") for i in range(CLIENTS)]
    empty_tables(pg, db)
    said = in_threads(lambda i: hold_direct_once(pg, db, scripts[i]))
    empty_tables(pg, db)
    found = in_threads(lambda i: hold_pooled_once(pooler, scripts[i], said[i], cut))
    return [f"script {seed * CLIENTS + i}: {f}" for i, f in enumerate(found) if f]


def check(make_pooler, pg, db, mode, seeds):
    pooler = make_pooler(pool_mode=mode, default_pool_size=CLIENTS if mode == "session" else 2,
                         max_prepared_statements=3)
    for seed in seeds:
        found = hold(pg, db, pooler, seed, CUTS[seed % len(CUTS)])
        assert not found, "\n".join(found)
    assert pooler.log_count("broken message") == 0


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_conversations(make_pooler, pg, db, mode):
    check(make_pooler, pg, db, mode, range(8))


def test_conversations_that_were_different_once(make_pooler, pg, db):
    check(make_pooler, pg, db, "transaction", [1040, 2012])


@pytest.mark.full
@pytest.mark.parametrize("first", [1000, 2000])
def test_many_conversations(make_pooler, pg, db, first):
    check(make_pooler, pg, db, "transaction", range(first, first + 100))
