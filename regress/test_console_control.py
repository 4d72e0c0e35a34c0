# SPDX-License-Identifier: PostgreSQL
"""The console's commands: PAUSE, KILL, RECONNECT, RELOAD and their like."""

import threading
from select import select

import pytest

from lib.check import assert_refused
from lib.console import by, shown
from lib.pooler import ADMIN
from lib.wait import stays_true, wait_for
from lib.wire import PgError, RawConn, query


@pytest.fixture
def admin(pooler):
    return pooler.raw(user=ADMIN, dbname="pgbouncer")


# -- PAUSE and RESUME --


def later(pooler, command):
    """Sends a command whose answer may take its time; returns the connection."""
    conn = RawConn(pooler.port)
    pooler.connections.append(conn)
    conn.login(ADMIN, "pgbouncer")
    conn.send(query(command))
    return conn


def is_paused(pooler, database):
    if database:
        return by(shown(pooler, "DATABASES"), name=database)["paused"] == "1"
    return by(shown(pooler, "STATE"), key="paused")["value"] == "yes"


@pytest.mark.parametrize("target", ["", "db"])
def test_pause_waits_for_transactions_and_holds_new_ones(tx_pooler, pg, db, target):
    target = " " + db if target else ""
    busy, other = tx_pooler.raw(), tx_pooler.raw()
    busy.query("BEGIN")
    admin = later(tx_pooler, "PAUSE" + target)
    wait_for(lambda: is_paused(tx_pooler, target.strip()))
    other.send(query("SELECT 'after'"))
    tx_pooler.wait_pool(cl_waiting=1)
    assert len(pg.backends(db)) >= 1
    busy.query("COMMIT")
    assert admin.result().tag == "PAUSE"
    pg.wait_backends(db, 0)
    assert tx_pooler.pool()["cl_waiting"] == 1
    assert tx_pooler.console_result("RESUME" + target).tag == "RESUME"
    assert other.result().value() == "after"


def test_pause_twice(pooler):
    assert pooler.console_result("PAUSE").tag == "PAUSE"
    assert pooler.console_result("PAUSE").error.message == "already suspended/paused"
    assert pooler.console_result("RESUME").tag == "RESUME"
    assert pooler.console_result("RESUME").error.message == "pooler is not paused/suspended"


def test_pause_of_an_idle_database_answers_at_once(pooler, db):
    assert pooler.console_result(f"PAUSE {db}").tag == "PAUSE"
    assert by(shown(pooler, "DATABASES"), name=db)["paused"] == "1"
    assert pooler.console_result(f"RESUME {db}").tag == "RESUME"
    assert pooler.console_result(f"RESUME {db}").error.message == f"database {db} is not paused"


def test_clients_stay_connected_while_paused(tx_pooler):
    conns = [tx_pooler.raw() for _ in range(5)]
    for c in conns:
        c.query("SELECT 1")
    tx_pooler.console("PAUSE")
    for c in conns:
        c.send(query("SELECT 2"))
    tx_pooler.wait_pool(cl_waiting=5)
    tx_pooler.console("RESUME")
    assert [c.result().value() for c in conns] == ["2"] * 5


@pytest.mark.pgweir_only
def test_login_while_paused_is_served_at_once_after_resume(make_pooler, db):
    pooler = make_pooler(pool_mode="transaction", server_login_retry=30)
    pooler.console(f"PAUSE {db}")
    conn = pooler.raw(login=False)
    done = threading.Event()
    threading.Thread(target=lambda: (conn.login("alice", db), done.set())).start()
    assert stays_true(lambda: not done.is_set(), 0.5)
    pooler.console(f"RESUME {db}")
    assert done.wait(5)
    assert conn.query("SELECT 1").value() == "1"


def later_paused(pooler, database=None):
    """A console whose PAUSE waits: of the database, or of all."""
    conn = later(pooler, f"PAUSE {database}" if database else "PAUSE")
    wait_for(lambda: is_paused(pooler, database))
    return conn


def expect_not_paused(admin):
    """"PAUSE" would mean that no server is in use any more."""
    result = admin.result()
    assert not result.tags
    assert (result.error.severity, result.error.code) == ("ERROR", "08P01")
    assert result.error.message == "PAUSE was ended by RESUME"


@pytest.mark.pgweir_only
@pytest.mark.parametrize("by_name", [False, True])
def test_resume_ends_pauses_of_its_own_kind(tx_pooler, db, by_name):
    busy = tx_pooler.raw()
    busy.query("BEGIN")
    of_db, of_all = later_paused(tx_pooler, db), later_paused(tx_pooler)
    ended, waiting = (of_db, of_all) if by_name else (of_all, of_db)
    assert tx_pooler.console_result(f"RESUME {db}" if by_name else "RESUME").tag == "RESUME"
    expect_not_paused(ended)
    assert is_paused(tx_pooler, None if by_name else db)
    assert not select([waiting.sock], [], [], 0.3)[0]
    busy.query("COMMIT")
    assert waiting.result().tag == "PAUSE"


@pytest.mark.pgweir_only
def test_cancel_of_a_waiting_pause_resumes(tx_pooler):
    busy = tx_pooler.raw()
    busy.query("BEGIN")
    admin = later_paused(tx_pooler)
    admin.cancel()
    expect_not_paused(admin)
    assert not is_paused(tx_pooler, None)
    assert tx_pooler.raw().query("SELECT 1").value() == "1"


# -- KILL and KILL_CLIENT --


def test_kill_database(tx_pooler, pg, db):
    conns = [tx_pooler.raw() for _ in range(3)]
    conns[0].query("BEGIN")
    assert tx_pooler.console_result(f"KILL {db}").tag == "KILL"
    for c in conns:
        assert c.expect_fatal().code == "08P01"
    pg.wait_backends(db, 0)
    assert by(shown(tx_pooler, "DATABASES"), name=db)["paused"] == "1"
    tx_pooler.console(f"RESUME {db}")
    assert tx_pooler.raw().query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
def test_kill_all(tx_pooler, db):
    conn = tx_pooler.raw()
    conn.query("SELECT 1")
    assert tx_pooler.console_result("KILL").tag == "KILL"
    assert_refused(conn.expect_fatal(), "database removed")
    assert [r["database"] for r in shown(tx_pooler, "CLIENTS")] == ["pgbouncer"]
    assert tx_pooler.console_result("RESUME").error.message == "pooler is not paused/suspended"
    assert tx_pooler.console_result(f"RESUME {db}").tag == "RESUME"


@pytest.mark.pgweir_only
def test_kill_client(tx_pooler, db):
    victim, other = tx_pooler.raw(), tx_pooler.raw()
    victim.query("BEGIN")
    port = str(victim.sock.getsockname()[1])
    number = by(shown(tx_pooler, "CLIENTS"), port=port)["id"]
    assert tx_pooler.console_result(f"KILL_CLIENT {number}").tag == "KILL_CLIENT"
    assert_refused(victim.expect_fatal(), "admin forced disconnect")
    assert other.query("SELECT 1").value() == "1"
    assert tx_pooler.console_result(f"KILL_CLIENT {number}").error.message == "client not found"


@pytest.mark.pgweir_only
@pytest.mark.parametrize("argument", ["", " abc"])
def test_kill_client_needs_a_number(pooler, argument):
    error = pooler.console_result("KILL_CLIENT" + argument).error
    assert error.message == "invalid client pointer supplied"


@pytest.mark.pgweir_only
def test_kill_client_on_oneself_harms_nobody(pooler, admin):
    port = str(admin.sock.getsockname()[1])
    row = by(admin.query("SHOW CLIENTS").dicts(), port=port)
    admin.send(query(f"KILL_CLIENT {row['id']}"))
    admin.recv()
    assert shown(pooler, "VERSION")


# -- RECONNECT, RELOAD --


@pytest.mark.parametrize("target", ["", "db"])
def test_reconnect(tx_pooler, db, target):
    conn, busy = tx_pooler.raw(), tx_pooler.raw()
    before = conn.query("SELECT pg_backend_pid()").value()
    busy.query("BEGIN")
    kept = busy.query("SELECT pg_backend_pid()").value()
    command = "RECONNECT " + db if target else "RECONNECT"
    assert tx_pooler.console_result(command).tag == "RECONNECT"
    assert busy.query("SELECT pg_backend_pid()").value() == kept
    busy.query("COMMIT")
    assert busy.query("SELECT pg_backend_pid()").value() not in (kept, before)


@pytest.mark.parametrize("command", ["PAUSE", "RESUME", "KILL", "RECONNECT"])
def test_unknown_database(pooler, command):
    error = pooler.console_result(command + " nowhere").error
    assert (error.severity, error.code) == ("ERROR", "08P01")
    assert error.message == "no such database: nowhere"


@pytest.mark.parametrize("command, verb", [("PAUSE", "pause"), ("KILL", "kill"),
                                           ("RECONNECT", "reconnect")])
def test_console_itself_is_no_target(pooler, command, verb):
    error = pooler.console_result(command + " pgbouncer").error
    assert error.message == f"cannot {verb} admin db: pgbouncer"


def test_reload_adds_and_removes_databases(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", databases={
        "one": {"host": pg.host, "port": pg.port, "dbname": db},
        "two": {"host": pg.host, "port": pg.port, "dbname": db}})
    one, two = pooler.raw(dbname="one"), pooler.raw(dbname="two")
    two.query("SELECT 1")
    pooler.databases["three"] = pooler.databases.pop("two")
    pooler.reload()
    assert_refused(two.expect_fatal(), "database removed")
    assert one.query("SELECT 1").value() == "1"
    assert pooler.raw(dbname="three").query("SELECT 1").value() == "1"


def test_reload_with_another_target_moves_the_database(make_pooler, make_fake, pg, db):
    fake = make_fake()
    pooler = make_pooler(pool_mode="transaction")
    conn = pooler.raw()
    assert conn.query("SELECT 'real'").value() == "real"
    pooler.databases[db].update(host=fake.host, port=fake.port)
    pooler.reload()
    wait_for(lambda: conn.query("SELECT 'real'").value() == "1", what="the new server answers")
    pg.wait_backends(db, 0)


def test_reload_keeps_connections_that_are_not_concerned(tx_pooler):
    conn = tx_pooler.raw()
    pid = conn.query("SELECT pg_backend_pid()").value()
    conn.query("BEGIN")
    tx_pooler.settings["query_wait_timeout"] = 77
    tx_pooler.reload()
    assert conn.query("SELECT pg_backend_pid()").value() == pid
    conn.query("COMMIT")


@pytest.mark.pgweir_only
def test_reload_logs_what_it_has_changed(tx_pooler, pg, db):
    tx_pooler.reload()
    tx_pooler.wait_log(r"config reloaded\n")
    tx_pooler.settings["query_wait_timeout"] = 77
    tx_pooler.databases["more"] = {"host": pg.host, "port": pg.port, "dbname": db, "password": "hidden"}
    tx_pooler.reload()
    tx_pooler.wait_log("config reloaded, settings changed: query_wait_timeout; databases: 1 added, "
                       r"0 removed, 0 changed\n")
    assert "hidden" not in tx_pooler.log_text()


@pytest.mark.pgweir_only
def test_reload_of_a_bad_file_fails_and_changes_nothing(tx_pooler, db):
    conn = tx_pooler.raw()
    before = shown(tx_pooler, "CONFIG")
    databases = [r["name"] for r in shown(tx_pooler, "DATABASES")]
    text = tx_pooler.path.read_text()
    tx_pooler.write(tx_pooler.path.name, text.replace("[databases]", "[databases]\nnew = host=h\n")
                    .replace("[pgbouncer]", "[pgbouncer]\ndefault_pool_size = 99\nbad_key = 1"))
    error = tx_pooler.console_result("RELOAD").error
    assert (error.severity, error.code) == ("ERROR", "F0000")
    assert error.message == "RELOAD failed, see logs for additional details"
    assert f"{tx_pooler.path}:" in error.fields["D"] and "bad_key" in error.fields["D"]
    assert shown(tx_pooler, "CONFIG") == before
    assert [r["name"] for r in shown(tx_pooler, "DATABASES")] == databases
    assert conn.query("SELECT 1").value() == "1"
    assert "bad_key" in tx_pooler.log_text()
    assert tx_pooler.log_count("config reloaded") == 0
    tx_pooler.reload()


@pytest.mark.pgweir_only
def test_console_counts_as_no_client(make_pooler):
    pooler = make_pooler(max_client_conn=1)
    conn = pooler.raw()
    assert conn.query("SELECT 1").value() == "1"
    for _ in range(3):
        assert shown(pooler, "POOLS")


@pytest.mark.pgweir_only
def test_strangers_cannot_pile_up_by_calling_for_the_console(make_pooler):
    pooler = make_pooler(max_client_conn=1)
    assert pooler.raw().query("SELECT 1").value() == "1"
    for _ in range(3):
        conn = RawConn(pooler.port)
        pooler.connections.append(conn)
        conn.login(ADMIN, "pgbouncer")
    with pytest.raises(PgError, match="no more connections allowed"):
        RawConn(pooler.port).login(ADMIN, "pgbouncer")
