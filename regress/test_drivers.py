# SPDX-License-Identifier: PostgreSQL
"""One program, two connections: what a driver in its default mode prints in drivers/ must be the
same on PostgreSQL itself and through a transaction pool whose few servers others keep using."""

import difflib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lib.disturbance import Disturbance, prepare_database
from lib.wait import TIME_FACTOR

pytestmark = pytest.mark.pgweir_only

PROGRAMS = Path(__file__).parent / "drivers"
LINKS = 3
ROUNDS = 6

DRIVERS = {
    "psycopg2": ["/usr/bin/python3", PROGRAMS / "with_psycopg2.py"],
    "psycopg3": ["/usr/bin/python3", PROGRAMS / "with_psycopg3.py"],
    "asyncpg": ["/usr/bin/python3", PROGRAMS / "with_asyncpg.py"],
    "sqlalchemy": ["/usr/bin/python3", PROGRAMS / "with_sqlalchemy.py"],
    "node_pg": ["/usr/bin/node", PROGRAMS / "with_node_pg.js"],
    "ruby_pg": ["/usr/bin/ruby", PROGRAMS / "with_ruby_pg.rb"],
    "pdo": ["/usr/bin/php", PROGRAMS / "with_pdo.php"],
    "jdbc": ["/usr/bin/java", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "WithJdbc"],
}

ECJ = "/usr/bin/ecj"
JDBC = "/usr/share/java/postgresql.jar"

# Topics that are not right as yet.
KNOWN = {
    ("psycopg3", "notify_pid"): "a notification of one's own has the server's pid",
    ("pdo", "sequence_later"): "another client has drawn values on the connection meanwhile",
}


@pytest.fixture
def prepare_program(tmp_path):
    """prepare_program(driver) -> what runs its program."""
    def prepare(driver):
        command = DRIVERS[driver]
        for tool in {command[0], ECJ} if driver == "jdbc" else {command[0]}:
            assert shutil.which(tool), f"{tool} is missing: contrib/check installs what tests need"
        if driver != "jdbc":
            return command
        done = subprocess.run(
            [ECJ, "-11", "-proc:none", "-encoding", "UTF-8", "-cp", JDBC, "-d", tmp_path,
             PROGRAMS / "WithJdbc.java"],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout
        return [*command[:-1], "-cp", f"{JDBC}:{tmp_path}", command[-1]]
    return prepare


def run(command, port, db):
    env = dict(os.environ, PGHOST="127.0.0.1", PGPORT=str(port), PGUSER="bob", PGPASSWORD="bob-pw",
               PGDATABASE=db, PGSSLMODE="disable", PGGSSENCMODE="disable")
    done = subprocess.run(command, env=env, text=True, stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.STDOUT, timeout=300 * TIME_FACTOR)
    return f"{done.stdout}== end\n{done.returncode}\n"


# The database's name, the numbers of temporary schemas and of large objects.
VARIES = re.compile(r"\bt_[0-9a-f]{12}\b|(?<=\bpg_temp_)\d+|(?<=\blarge object )\d+")


def topics(command, port, db):
    """What it printed, by topic."""
    text = VARIES.sub("", run(command, port, db))
    parts = re.split(r"^== (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]), begin=parts[0])


def differences(wanted, got):
    """The topics that differ, each with its difference."""
    return {topic: "\n".join(difflib.unified_diff(
        wanted.get(topic, "").splitlines(), got.get(topic, "").splitlines(),
        f"{topic} of PostgreSQL", f"{topic} of pgweir", "", "", 6, ""))
        for topic in {**wanted, **got} if wanted.get(topic) != got.get(topic)}


def compare(make_pooler, pg, db, second_db, driver, command, rounds):
    for name in (db, second_db):
        prepare_database(pg, name)
    wanted = topics(command, pg.port, second_db)
    assert wanted["end"] == "0\n" and "broken" not in str(wanted), wanted
    pooler = make_pooler(pool_mode="transaction", default_pool_size=LINKS, server_round_robin=1,
                         worker_threads=2, server_reset_query="", session_state="track",
                         max_pinned_share=0)
    with Disturbance(pooler, db):
        for _ in range(rounds):
            found = differences(wanted, topics(command, pooler.port, db))
            known = {topic for topic in found if (driver, topic) in KNOWN}
            if set(found) - known:
                pytest.fail("\n".join(found.values()))
            if known:
                pytest.xfail(", ".join(KNOWN[driver, topic] for topic in sorted(known)))


@pytest.mark.parametrize("driver", DRIVERS)
def test_driver(make_pooler, pg, db, second_db, prepare_program, driver):
    compare(make_pooler, pg, db, second_db, driver, prepare_program(driver), 1)


@pytest.mark.full
@pytest.mark.parametrize("driver", DRIVERS)
def test_driver_again_and_again(make_pooler, pg, db, second_db, prepare_program, driver):
    compare(make_pooler, pg, db, second_db, driver, prepare_program(driver), ROUNDS)
