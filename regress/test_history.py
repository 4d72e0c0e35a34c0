# SPDX-License-Identifier: PostgreSQL
"""Classes of mistakes that poolers have made, as far as no topic's own file tests them; the table
in docs/CONTRIBUTING.md says which test stands for which."""

import threading

import pytest

from lib.fakepg import error, ready
from lib.wait import wait_for
from lib.wire import Closed, PgError, parse, sync

pytestmark = pytest.mark.pgweir_only

ODD_NAMES = ["x" * 62, "x" * 200, "x" * 3000, "%s%n%x", "a b", "it's", 'quo"te', "a;b", "a,b",
             "a=b", "host=127.0.0.1 port=1", "../../etc/passwd", "\n", "\t", "\x7f", "ä", "*", "\\", "'",
             "pgbouncer ", "PGBOUNCER", "template0"]

ODD_FIELDS = [{}, {"M": "only a text"}, {"S": "ERROR", "M": "no code"}, {"C": "42601"},
              {"S": "ERROR", "C": "", "M": ""}, {"S": "ERROR", "C": "X" * 300, "M": "m" * 3000},
              {"S": "FATAL", "M": "no code"}]


@pytest.mark.parametrize("name", ODD_NAMES, ids=lambda name: repr(name)[:20])
def test_odd_names_of_automatic_databases(make_pooler, pg, name):
    pooler = make_pooler(databases={"*": {"host": pg.host, "port": pg.port}},
                         client_login_timeout=5)
    with pytest.raises((PgError, Closed)):
        pooler.raw(dbname=name)
    assert pooler.alive()
    assert pooler.raw(dbname="postgres").query("SELECT current_database()").value() == "postgres"


def test_automatic_databases_do_not_pile_up(make_pooler, pg):
    pooler = make_pooler(databases={"*": {"host": pg.host, "port": pg.port}},
                         autodb_idle_timeout=1, server_idle_timeout=1)
    for i in range(100):
        with pytest.raises(PgError):
            pooler.raw(dbname=f"made_up_{i}")
    wait_for(lambda: [r["database"] for r in pooler.console("SHOW POOLS")] == ["pgbouncer"])


def odd_once(fields, wanted):
    """An error of odd fields, once, in answer to the first message that is wanted."""
    done = threading.Event()

    def on_message(session, kind, body):
        if done.is_set() or not wanted(kind, body):
            return False
        done.set()
        session.send(error("", fields=fields) + (ready() if kind == "Q" else b""))
        return True

    return on_message


@pytest.mark.parametrize("fields", ODD_FIELDS, ids=lambda f: "+".join(f) or "none")
@pytest.mark.parametrize("phase", ["query", "parse", "set", "reset"])
def test_odd_errors_of_a_server(make_pooler, make_fake, db, phase, fields):
    wanted = {"query": lambda kind, body: body == b"SELECT odd\0",
              "parse": lambda kind, body: kind == "P",
              "set": lambda kind, body: kind == "Q" and b"application_name" in body,
              "reset": lambda kind, body: body == b"DISCARD ALL\0"}[phase]
    fake = make_fake(on_message=odd_once(fields, wanted))
    pooler = make_pooler(databases={db: {"host": fake.host, "port": fake.port}},
                         server_reset_query="DISCARD ALL", client_login_timeout=5)
    try:
        conn = pooler.raw(application_name="odd")
        conn.query("SELECT odd")
        if phase == "parse":
            conn.run(parse("s", "SELECT odd"), sync())
        conn.close()
    except (PgError, Closed):
        pass
    assert pooler.alive()
    wait_for(lambda: works(pooler))


def works(pooler):
    try:
        return pooler.raw().query("SELECT 1").rows
    except (PgError, Closed):
        return False


@pytest.mark.parametrize("fields", ODD_FIELDS, ids=lambda f: "+".join(f) or "none")
def test_odd_errors_in_answer_to_auth_query(make_pooler, make_fake, db, fields):
    fake = make_fake(on_message=odd_once(fields, lambda kind, body: kind == "P"))
    pooler = make_pooler(databases={db: {"host": fake.host, "port": fake.port}}, auth_type="md5",
                         auth_user="alice", client_login_timeout=3)
    with pytest.raises((PgError, Closed)):
        pooler.raw(user="stranger", password="x")
    assert pooler.alive()
    assert pooler.raw().query("SELECT 1").rows
