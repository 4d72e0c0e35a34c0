# SPDX-License-Identifier: PostgreSQL
"""One script, two connections: what psql prints of session/*.sql must be the same on PostgreSQL
itself and through a transaction pool whose few servers other clients keep using: they change
settings, prepare statements, make temporary tables, and listen, all the time."""

import difflib
import os
import re
import subprocess
from pathlib import Path

import pytest

from lib.disturbance import OTHERS, Disturbance, prepare_database
from lib.wire import bind, execute, parse, sync

pytestmark = pytest.mark.pgweir_only

SCRIPTS = sorted((Path(__file__).parent / "session").glob("*.sql"))
LINKS = 3


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


# Where something happened in PostgreSQL's own source, how psql calls its input, who notifies, and
# the schema of temporary tables.
VARIES = re.compile(r"^(psql:)?\S*/session/|\bLOCATION: .*$|(?<=server process with PID )\d+"
                    r"|(?<=\bpg_temp_)\d+", re.MULTILINE)


def transcript(text):
    return VARIES.sub("", text)


# A third of them with a few others, for a start; all with many in the full form.
PARAMS = ([pytest.param(script, OTHERS, id=script.stem) for script in SCRIPTS[::3]]
          + [pytest.param(script, 10, id=f"{script.stem}-many", marks=pytest.mark.full)
             for script in SCRIPTS])


@pytest.mark.parametrize("script, others", PARAMS)
def test_script(make_pooler, pg, db, second_db, script, others):
    for name in (db, second_db):
        prepare_database(pg, name)
    wanted = transcript(run_psql(pg, pg.port, second_db, script, "bob-pw"))
    pooler = make_pooler(pool_mode="transaction", default_pool_size=LINKS, server_round_robin=1,
                         worker_threads=2, server_reset_query="", session_state="track")
    with Disturbance(pooler, db, others):
        got = transcript(run_psql(pg, pooler.port, db, script, "bob-pw"))
    if got != wanted:
        pytest.fail("\n".join(difflib.unified_diff(wanted.splitlines(), got.splitlines(),
                                                   "PostgreSQL", "pgweir", "", "", 6, "")))


@pytest.mark.parametrize("size", [1_000_000, 4_000_000])
def test_long_texts_are_looked_at(make_pooler, size):
    """Their server is kept, and what they set is carried."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a, b = pooler.raw(), pooler.raw()
    pid = a.query("SELECT pg_backend_pid()").value()
    text = "SELECT length('" + "x" * size + "')"
    assert a.query(text).value() == str(size)
    assert a.run(parse("", text), bind(), execute(), sync()).value() == str(size)
    a.query("SET work_mem = '7MB'; " + text)
    assert b.query("SELECT current_setting('work_mem'), pg_backend_pid()").rows == [["4MB", pid]]
    assert a.query("SELECT current_setting('work_mem'), pg_backend_pid()").rows == [["7MB", pid]]


def test_questions_leave_nothing(make_pooler):
    """What the pooler asks by itself cannot be seen in the session afterwards."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    a, b = pooler.raw(), pooler.raw()
    a.query("SET default_transaction_isolation = 'serializable'")
    a.query("SELECT set_config('work_mem', '7MB', false)")
    text = "SELECT name FROM pg_settings WHERE source = 'session' AND name ~ '^(transaction|work)'"
    assert a.query(text).rows == [["work_mem"]]
    assert b.query(text).rows == []
