# SPDX-License-Identifier: PostgreSQL
"""One script, two connections: what psql prints of session/*.sql must be the same on PostgreSQL
itself and through a transaction pool whose few servers other clients keep using: they change
settings, prepare statements, make temporary tables, and listen, all the time."""

import difflib
import os
import random
import re
import subprocess
import threading
from pathlib import Path

import pytest

from lib.wire import RawConn

pytestmark = pytest.mark.pgweir_only

SCRIPTS = sorted((Path(__file__).parent / "session").glob("*.sql"))
LINKS = 3
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


def disturb(port, db, seed, over):
    rng = random.Random(seed)
    with RawConn(port) as conn:
        conn.login("bob", db)
        while not over.is_set():
            text = rng.choice(DISTURBANCE).format(n=rng.randint(64, 9999), d=rng.randint(0, 3))
            conn.query(text)
            over.wait(rng.random() * 0.005)


class Disturbance:
    def __init__(self, pooler, db):
        self.over = threading.Event()
        seed = random.randrange(1 << 32)
        print("seed", seed)
        self.threads = [threading.Thread(target=disturb, args=(pooler.port, db, seed + i, self.over))
                        for i in range(OTHERS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *exc):
        self.over.set()
        for thread in self.threads:
            thread.join()


def environment(script):
    """A script that begins with "-- PGOPTIONS: ..." gets these at its start-up."""
    found = re.match(r"-- PGOPTIONS: (.*)", script.read_text())
    return {"PGOPTIONS": found[1]} if found else {}


def run_psql(pg, port, db, script, password):
    env = dict(os.environ, PGPASSWORD=password, PGSSLMODE="disable", **environment(script))
    done = subprocess.run(
        [pg.bin / "psql", "-X", "-a", "-h", "127.0.0.1", "-p", str(port), "-U", "bob", "-d", db,
         "-v", "VERBOSITY=verbose", "-f", script],
        env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        timeout=120)
    return done.stdout


def prepare(pg, db):
    with pg.connect(db) as c:
        c.execute(f"GRANT ALL ON DATABASE {db} TO bob; CREATE SEQUENCE other_seq;"
                  "GRANT ALL ON SEQUENCE other_seq TO bob; GRANT alice TO bob")


@pytest.fixture
def second_db(pg):
    name = pg.create_database()
    yield name
    pg.drop_database(name)


# Where something happened in PostgreSQL's own source, how psql calls its input, who notifies, and
# the schema of temporary tables.
VARIES = re.compile(r"^(psql:)?\S*/session/|\bLOCATION: .*$|(?<=server process with PID )\d+"
                    r"|(?<=\bpg_temp_)\d+", re.MULTILINE)


def transcript(text):
    return VARIES.sub("", text)


# A third of them in the quick form, the others in the full one.
PARAMS = [pytest.param(script, id=script.stem, marks=() if i % 3 == 0 else pytest.mark.full)
          for i, script in enumerate(SCRIPTS)]


@pytest.mark.parametrize("script", PARAMS)
def test_script(make_pooler, pg, db, second_db, script):
    for name in (db, second_db):
        prepare(pg, name)
    wanted = transcript(run_psql(pg, pg.port, second_db, script, "bob-pw"))
    pooler = make_pooler(pool_mode="transaction", default_pool_size=LINKS, server_round_robin=1,
                         worker_threads=2, server_reset_query="", session_state="track")
    with Disturbance(pooler, db):
        got = transcript(run_psql(pg, pooler.port, db, script, "bob-pw"))
    if got != wanted:
        pytest.fail("\n".join(difflib.unified_diff(wanted.splitlines(), got.splitlines(),
                                                   "PostgreSQL", "pgweir", "", "", 6, "")))
