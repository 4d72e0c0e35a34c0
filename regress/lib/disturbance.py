# SPDX-License-Identifier: PostgreSQL
"""Other clients of a pool, which change settings, prepare statements, make temporary tables, and
listen, all the time."""

import random
import threading

from lib.wire import RawConn, bind, close, execute, parse, sync

OTHERS = 4

# What other clients do to their sessions. None of it lasts longer than a moment where it keeps a
# server to itself.
DISTURBANCE = [
    "SET search_path = pg_catalog",
    "SET search_path = public, pg_catalog",
    "SET work_mem = '{n}kB'",
    "SET statement_timeout = '{n}s'",
    "SET TimeZone = 'Asia/Tokyo'",
    "SET DateStyle = 'German'",
    "SET app.tenant = 'other {n}'",
    "SET app.other = '{n}'",
    "SET extra_float_digits = {d}",
    "SET application_name = 'other {n}'",
    "SET row_security = off",
    "SET bytea_output = 'escape'",
    "SET default_transaction_isolation = 'serializable'",
    "SET lock_timeout = '{n}s'",
    "SELECT set_config('app.tenant', 'set {n}', false)",
    "BEGIN; SET LOCAL work_mem = '{n}kB'; COMMIT",
    "BEGIN; SET work_mem = '{n}kB'; ROLLBACK",
    "RESET work_mem",
    "RESET ALL",
    "DISCARD ALL",
    "CREATE TEMP TABLE t{d} (other int); DROP TABLE t{d}",
    "PREPARE p{d} AS SELECT 'other'; DEALLOCATE p{d}",
    "LISTEN other; UNLISTEN other",
    "SELECT pg_advisory_lock(1000 + {n}), pg_advisory_unlock(1000 + {n})",
    "SELECT 1/0",
    "SELECT nextval('other_seq')",
    "SELECT pg_backend_pid()",
]


# The names that drivers give to their statements, for statements that are others.
RIVALS = ["_pg3_0", "_pg3_1", "__asyncpg_stmt_1__", "__asyncpg_stmt_2__", "S_1", "S_2", "S_3",
          "pdo_stmt_00000001", "pdo_stmt_00000002", "named", "", "r1"]


def rival(name, n):
    run = bind("", name) + execute()
    return (parse(name, f"SELECT 'other {n}'") + run + sync() + run
            + (close("S", name) if name else b"") + sync())


def disturb(port, db, seed, over):
    rng = random.Random(seed)
    with RawConn(port) as conn:
        conn.login("bob", db)
        while not over.is_set():
            if rng.random() < 0.2:
                conn.send(rival(rng.choice(RIVALS), rng.randint(0, 9)))
                conn.result()
                conn.result()
            else:
                conn.query(rng.choice(DISTURBANCE).format(n=rng.randint(64, 9999), d=rng.randint(0, 3)))
            over.wait(rng.random() * 0.005)


class Disturbance:
    def __init__(self, pooler, db, others=OTHERS):
        self.over = threading.Event()
        seed = random.randrange(1 << 32)
        print("seed", seed)
        self.threads = [threading.Thread(target=disturb, args=(pooler.port, db, seed + i, self.over))
                        for i in range(others)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *exc):
        self.over.set()
        for thread in self.threads:
            thread.join()


def prepare_database(pg, db):
    """What the others need, and whoever is compared with them."""
    with pg.connect(db) as c:
        c.execute(f"GRANT ALL ON DATABASE {db} TO bob; CREATE SEQUENCE other_seq;"
                  "GRANT ALL ON SEQUENCE other_seq TO bob")
    # Two at once would stumble over each other.
    pg.execute("SELECT pg_advisory_xact_lock(1); GRANT alice TO bob")
