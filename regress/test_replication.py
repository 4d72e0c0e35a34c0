# SPDX-License-Identifier: PostgreSQL
"""Replication connections: each has a server connection of its own, in every pool mode."""

import os
import struct
import subprocess
import threading

import pytest

from lib.check import assert_refused
from lib.console import by, shown
from lib.pg import PASSWORDS, REPLICATION_USER
from lib.pooler import free_port
from lib.wait import TIMEOUT, stays_true, wait_for
from lib.wire import Closed, PgError, describe, message, parse, query, startup, sync, terminate

pytestmark = pytest.mark.pgweir_only

MODES = ["session", "transaction", "statement"]
COPY_DONE = message("c")
CLOSED_FOR_CLIENT = "closing because: replication client was closed"


@pytest.fixture
def make(make_pooler, pg, db):
    """make(**settings): a pooler whose second database is the one that tools ask for by default."""
    def make_one(**settings):
        server = {"host": pg.host, "port": pg.port}
        settings = {"pool_mode": "transaction", "default_pool_size": 3, **settings}
        settings.setdefault("databases", {db: {**server, "dbname": db}, "replication": server})
        return make_pooler(**settings)
    return make_one


def replicate(pooler, kind="true", user=REPLICATION_USER, **params):
    """A replication client; the database's own name is its application_name."""
    return pooler.raw(user, replication=kind, **{"application_name": pooler.db, **params})


def ask_for_replication(pooler, kind="true", user=REPLICATION_USER, **params):
    """The same, without waiting for an answer."""
    conn = pooler.raw(login=False)
    conn.send(startup({"user": user, "database": pooler.db, "replication": kind,
                       "application_name": pooler.db, **params}))
    return conn


def finish_login(conn, user=REPLICATION_USER):
    conn.authenticate(user, PASSWORDS[user])
    return conn


def position(conn):
    return conn.query("IDENTIFY_SYSTEM").rows[0][2]


def start_streaming(conn, cut="whole"):
    conn.send(query("START_REPLICATION PHYSICAL " + position(conn)), cut)
    assert conn.recv_until("WE")[-1].kind == "W"


def write_wal(pg, text="x"):
    pg.execute("SELECT pg_logical_emit_message(false, 'test', %s)", (text,))


def receive_wal(conn, wanted):
    """Reads the stream until these bytes have come by."""
    got = b""
    while wanted not in got:
        m = conn.recv()
        assert m.kind == "d", m
        if m.body[:1] == b"w":
            # All else that tests write passes by here: no more is kept than what it may begin with.
            got = got[-len(wanted):] + m.body[25:]


def status_update():
    return message("d", b"r" + struct.pack("!qqqqb", 0, 0, 0, 0, 1))


def stop_streaming(conn):
    conn.send(COPY_DONE)
    result = conn.result()
    assert "c" in result.kinds and not result.errors, result
    return result


def run_tool(pg, name, *args, timeout=30):
    done = subprocess.run([pg.bin / name, *args], env={**os.environ, "PGPASSWORD": "walter-pw"},
                          text=True, timeout=timeout * TIMEOUT, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


# ---- what is asked for ----

@pytest.mark.parametrize("value, kind", [
    ("true", "physical"), ("T", "physical"), ("ye", "physical"), ("on", "physical"),
    ("1", "physical"), ("database", "logical")])
def test_spellings(make, value, kind):
    pooler = make()
    conn = replicate(pooler, value)
    assert conn.query("IDENTIFY_SYSTEM").rows[0][3] == (pooler.db if kind == "logical" else None)
    for what, column in (("CLIENTS", "user"), ("SERVERS", "user")):
        row = by(shown(pooler, what), **{column: REPLICATION_USER})
        assert row["replication"] == kind
        assert row["state"] == "active"
        assert row["application_name"] == pooler.db
    said = "database" if kind == "logical" else "yes"
    assert f"replication={said}" in pooler.log_text()


@pytest.mark.parametrize("value", ["false", "F", "off", "no", "0"])
def test_false_is_an_ordinary_connection(make, value):
    pooler = make()
    conn = replicate(pooler, value)
    pid = conn.query("SELECT pg_backend_pid()").value()
    assert by(shown(pooler, "CLIENTS"), user=REPLICATION_USER)["replication"] == "none"
    conn.close()
    assert replicate(pooler, value).query("SELECT pg_backend_pid()").value() == pid


@pytest.mark.parametrize("value", ["", "maybe", "DATABASE", "o"])
def test_anything_else_is_refused(make, value):
    pooler = make()
    with pytest.raises(PgError) as e:
        replicate(pooler, value)
    assert_refused(e.value, f'invalid value for parameter "replication": "{value}"', "22023")


def test_not_on_the_console(make):
    with pytest.raises(PgError) as e:
        make().raw("admin", "pgbouncer", replication="true")
    assert_refused(e.value, "the console has nothing to replicate", "0A000")


# ---- a session of one's own ----

@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["true", "database"])
def test_session_semantics_in_every_mode(make, pg, db, mode, kind):
    pooler = make(pool_mode=mode)
    conn, other = replicate(pooler, kind), replicate(pooler, kind)
    first, second = sorted(pg.walsenders(db))
    for _ in range(3):
        assert conn.query("IDENTIFY_SYSTEM").rows
        assert other.query("SHOW application_name").value() == db
    assert sorted(pg.walsenders(db)) == [first, second]
    conn.send(terminate())
    pg.wait_walsenders(db, 1)
    other.reset()
    pg.wait_walsenders(db, 0)
    wait_for(lambda: pooler.log_count(CLOSED_FOR_CLIENT) == 2)


@pytest.mark.parametrize("mode", MODES)
def test_sql_of_a_logical_session(make, mode):
    pooler = make(pool_mode=mode)
    conn, other = replicate(pooler, "database"), replicate(pooler, "database")
    assert not conn.query("SET work_mem = '1234kB'").error
    other.query("SELECT 1")
    assert conn.query("SHOW work_mem").value() == "1234kB"
    assert conn.query("BEGIN").status == "T"
    assert conn.query("SELECT 1/0").status == "E"
    assert conn.query("ROLLBACK").status == "I"


def test_extended_protocol_is_the_servers_matter(make):
    conn = replicate(make())
    result = conn.run(parse("", "SELECT 1"), describe("S"), sync())
    assert result.error.code == "08P01"
    assert "extended query protocol not supported" in result.error.message
    assert conn.query("IDENTIFY_SYSTEM").rows


def test_query_cancel(make, pg, db):
    conn = replicate(make(), "database")
    conn.send(query("SELECT pg_sleep(100)"))
    wait_for(lambda: pg.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
                                " AND query LIKE '%%pg_sleep%%'", (db,)))
    conn.cancel()
    assert conn.result().error.code == "57014"
    assert conn.query("SELECT 1").value() == "1"


def test_server_side_end(make, pg, db):
    conn = replicate(make())
    start_streaming(conn)
    pg.execute("SELECT pg_terminate_backend(%s)", (pg.walsenders(db)[0],))
    assert conn.expect_fatal().code == "57P01"


# ---- start-up ----

def test_parameters_and_options_go_into_the_startup_packet(make, make_fake, db):
    fake = make_fake()
    pooler = make(databases={db: {"host": fake.host, "port": fake.port, "dbname": "there"}})
    options = r"-c work_mem=99kB  --geqo=off -c search_path=a\ b"
    conn = replicate(pooler, "database", DateStyle="German", options=options)
    wanted = {"user": REPLICATION_USER, "database": "there", "replication": "database",
              "application_name": db, "DateStyle": "German", "options": options}
    assert fake.session().startup_params == wanted
    assert conn.params["DateStyle"] == "German"
    assert conn.params["server_version"] == fake.parameters["server_version"]
    assert conn.query("FIRST").value() == "1"
    conn.send(terminate())
    wait_for(lambda: fake.session().messages[-1].kind == "X")
    assert [m.kind for m in fake.session().messages] == ["Q", "X"]


@pytest.mark.parametrize("kind", ["false", "database"])
def test_options_are_bounded(make, kind):
    """What a stranger can make the pooler keep until the login is over."""
    pooler = make()
    with pytest.raises(PgError) as e:
        replicate(pooler, kind, options="-c TimeZone=" + "x" * 2100)
    assert_refused(e.value, "startup parameters too long")


def test_the_servers_values_are_reported(make):
    pooler = make()
    conn = replicate(pooler, "database", DateStyle="German", options="-c work_mem=1234kB")
    assert conn.params["DateStyle"] == "German, DMY"
    assert conn.query("SHOW work_mem").value() == "1234kB"
    # None of this reaches anybody else.
    other = pooler.raw(REPLICATION_USER)
    assert other.params["DateStyle"] == "ISO, MDY"
    assert other.query("SHOW work_mem").value() != "1234kB"


def test_welcome_of_others_is_not_touched(make):
    """The pool's first server login was for replication: others get what a server begins with."""
    pooler = make()
    replicate(pooler, DateStyle="German", TimeZone="Asia/Tokyo")
    other = pooler.raw(REPLICATION_USER)
    assert other.params["DateStyle"] == "ISO, MDY"
    assert other.params["TimeZone"] != "Asia/Tokyo"
    assert "in_hot_standby" in other.params


def test_bytes_sent_behind_the_login(make):
    pooler = make(auth_type="trust")
    conn = pooler.raw(login=False)
    conn.send(startup({"user": REPLICATION_USER, "database": pooler.db, "replication": "1"})
              + query("IDENTIFY_SYSTEM"))
    finish_login(conn)
    assert conn.result().rows


def test_login_that_the_server_refuses(make, pg, db):
    """Only that client fails; nobody waits for server_login_retry because of it."""
    pooler = make(server_login_retry=60)
    ordinary = pooler.raw()
    with pytest.raises(PgError) as e:
        replicate(pooler, user="alice")
    assert_refused(e.value, "login failed")
    pooler.wait_log("server login failed: FATAL must be superuser or replication role")
    assert ordinary.query("SELECT 1").value() == "1"
    with pytest.raises(PgError):
        replicate(pooler, user="alice")
    assert len(pg.backends(db)) == 1


def test_server_that_cannot_be_reached(make, pg, db):
    pooler = make(databases={db: {"host": pg.host, "port": free_port()}}, server_login_retry=60)
    with pytest.raises(PgError) as e:
        replicate(pooler)
    assert_refused(e.value, "login failed")
    pooler.wait_log("closing because: connect failed")


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_client_that_goes_while_its_server_logs_in(make, make_fake, db, leave):
    gate = threading.Event()
    fake = make_fake(on_login=lambda session: not gate.wait(TIMEOUT))
    pooler = make(databases={db: {"host": fake.host, "port": fake.port}})
    conn = ask_for_replication(pooler)
    session = fake.session()
    getattr(conn, leave)()
    pooler.wait_log(CLOSED_FOR_CLIENT)
    gate.set()
    wait_for(lambda: session.sock.fileno() == -1)
    wait_for(lambda: not shown(pooler, "SERVERS"))


# ---- streams ----

@pytest.mark.parametrize("cut", ["whole", "bytes", "random"])
def test_copy_both(make, pg, cut):
    """The stream ends by CopyDone from both sides; then the session goes on, twice."""
    conn = replicate(make())
    for i in range(2):
        start_streaming(conn, cut)
        write_wal(pg, f"message {i}")
        receive_wal(conn, f"message {i}".encode())
        conn.send(status_update() * 10, cut)
        assert conn.recv_until("d")[-1].body[:1] in (b"k", b"w")
        stop_streaming(conn)
    assert conn.query("IDENTIFY_SYSTEM").rows


def test_next_command_right_behind_copy_done(make):
    conn = replicate(make())
    start_streaming(conn)
    conn.send(COPY_DONE + query("IDENTIFY_SYSTEM") + query("SHOW DateStyle"))
    assert not conn.result().errors
    assert conn.result().rows
    assert conn.result().rows == [["ISO, MDY"]]


def test_stream_that_the_server_ends(make, make_fake, db):
    """CopyDone comes from the server first (the end of a timeline), with a result set behind."""
    def on_message(session, kind, body):
        if kind == "Q" and body.startswith(b"START"):
            session.send(message("W", b"\0\0\0") + message("d", b"wal") + COPY_DONE)
            return True
        if kind == "c":
            session.answer_query("next timeline")
        return kind in "cd"

    fake = make_fake(on_message=on_message)
    pooler = make(databases={db: {"host": fake.host, "port": fake.port}})
    conn = replicate(pooler)
    conn.send(query("START_REPLICATION"))
    assert [m.kind for m in conn.recv_until("c")] == ["W", "d", "c"]
    conn.send(message("d", b"r") + COPY_DONE)
    assert conn.result().value() == "1"
    assert conn.query("GO ON").value() == "1"
    assert [m.kind for m in fake.session().messages] == ["Q", "d", "c", "Q"]


def test_error_in_a_stream(make):
    conn = replicate(make())
    start_streaming(conn)
    conn.send(message("d", b"?"))
    assert conn.recv_until("E")[-1].error().code == "08P01"


@pytest.mark.parametrize("leave", ["close", "reset", "half"])
def test_client_lost_in_mid_stream(make, pg, db, leave):
    pooler = make()
    conn = replicate(pooler)
    start_streaming(conn)
    pg.wait_walsenders(db, 1)
    if leave == "half":
        conn.send(status_update()[:20])
    (conn.reset if leave == "reset" else conn.close)()
    pg.wait_walsenders(db, 0)
    wait_for(lambda: not shown(pooler, "SERVERS"))


def test_query_timeout_does_not_end_a_stream(make, pg):
    pooler = make(query_timeout=1, transaction_timeout=1)
    conn = replicate(pooler, "database")
    conn.query("CREATE_REPLICATION_SLOT timely TEMPORARY LOGICAL test_decoding")
    conn.send(query("START_REPLICATION SLOT timely LOGICAL 0/0"))
    conn.recv_until("W")
    wait_for(lambda: int(by(shown(pooler, "SERVERS"), user=REPLICATION_USER)["wait"]) >= 3)
    stop_streaming(conn)
    assert not conn.query("DROP_REPLICATION_SLOT timely").errors
    conn.send(query("SELECT pg_sleep(100)"))
    assert conn.expect_error().message == "query timeout"


# ---- the tools ----

def tool_args(pooler):
    return ["-h", "127.0.0.1", "-p", str(pooler.port), "-U", REPLICATION_USER, "-w"]


@pytest.mark.parametrize("mode", MODES)
def test_pg_receivewal(make, pg, db, tmp_path, mode):
    """With a slot that keeps WAL from now on: others write and remove it, too."""
    pooler = make(pool_mode=mode, auth_type="scram-sha-256")
    args = [*tool_args(pooler), "--slot", f"slot_{db}"]
    target = tmp_path / "wal"
    target.mkdir()
    pg.execute(f"SELECT pg_create_physical_replication_slot('slot_{db}', true)")
    try:
        write_wal(pg)
        end = pg.execute("SELECT pg_current_wal_insert_lsn()")[0][0]
        write_wal(pg)
        run_tool(pg, "pg_receivewal", *args, "-D", target, "--endpos", end, "--no-loop")
        assert list(target.iterdir())
        run_tool(pg, "pg_receivewal", "-d", f"dbname={pooler.db} port={pooler.port}", *args,
                 "-D", target, "--endpos", end, "--no-loop")
    finally:
        run_tool(pg, "pg_receivewal", *args, "--drop-slot")
    wait_for(lambda: not shown(pooler, "SERVERS"))


@pytest.mark.parametrize("mode", MODES)
def test_pg_recvlogical(make, pg, db, tmp_path, mode):
    pooler = make(pool_mode=mode, auth_type="scram-sha-256")
    slot, out = f"slot_{db}", tmp_path / "changes"
    args = [*tool_args(pooler), "-d", db, "--slot", slot]
    run_tool(pg, "pg_recvlogical", *args, "--create-slot", "-P", "test_decoding")
    try:
        conn = pooler.raw()
        conn.query("CREATE TABLE t (v int)")
        conn.query("INSERT INTO t SELECT generate_series(1, 1000)")
        end = pg.execute("SELECT pg_current_wal_insert_lsn()")[0][0]
        write_wal(pg)
        run_tool(pg, "pg_recvlogical", *args, "--start", "-f", out, "--endpos", end, "--no-loop")
        assert out.read_text().count("table public.t: INSERT") == 1000
    finally:
        run_tool(pg, "pg_recvlogical", *args, "--drop-slot")


@pytest.mark.parametrize("mode", MODES)
def test_pg_basebackup(make, pg, tmp_path, mode):
    """Two connections at a time: the files, and the WAL that goes with them."""
    pooler = make(pool_mode=mode, auth_type="scram-sha-256")
    target = tmp_path / "base"
    run_tool(pg, "pg_basebackup", *tool_args(pooler), "-D", target, "-X", "stream",
             "--checkpoint=fast")
    run_tool(pg, "pg_verifybackup", target)
    pooler.wait_log(CLOSED_FOR_CLIENT, 2)
    wait_for(lambda: not shown(pooler, "SERVERS"))


# ---- limits and the queue ----

def test_idle_server_is_evicted(make, pg, db):
    pooler = make(default_pool_size=1)
    ordinary = pooler.raw(REPLICATION_USER)
    first = ordinary.query("SELECT pg_backend_pid()").value()
    conn = replicate(pooler)
    assert pooler.log_count("closing because: evicted") == 1
    # The server ends when it notices.
    wait_for(lambda: pg.backends(db) == [] and len(pg.walsenders(db)) == 1)
    row = pooler.pool(user=REPLICATION_USER)
    assert (row["cl_active"], row["sv_active"], row["sv_idle"]) == (2, 1, 0)
    # The other way round there is nothing to evict.
    ordinary.send(query("SELECT pg_backend_pid()"))
    pooler.wait_pool(user=REPLICATION_USER, cl_waiting=1)
    assert stays_true(lambda: pg.backends(db) == [], 0.5)
    conn.close()
    assert ordinary.result().value() not in (first, "")


def test_a_server_with_room_evicts_nobody(make):
    pooler = make(default_pool_size=2)
    ordinary = pooler.raw(REPLICATION_USER)
    pid = ordinary.query("SELECT pg_backend_pid()").value()
    replicate(pooler)
    assert ordinary.query("SELECT pg_backend_pid()").value() == pid
    assert "evicted" not in pooler.log_text()


def test_idle_server_of_another_pool_is_evicted(make, pg, db):
    pooler = make(max_db_connections=1)
    pooler.raw("alice").query("SELECT 1")
    pg.wait_backends(db, 1)
    assert replicate(pooler).query("IDENTIFY_SYSTEM").rows
    pg.wait_backends(db, 0)


def test_idle_server_of_another_worker_is_evicted(make, pg, db):
    pooler = make(default_pool_size=1, worker_threads=4)
    for _ in range(12):
        pooler.raw(REPLICATION_USER).query("SELECT 1")
        replicate(pooler).close()
        pg.wait_walsenders(db, 0)
    pg.wait_backends(db, 0)


def test_queue_is_first_in_first_out(make, pg, db):
    pooler = make(default_pool_size=1, query_wait_notify=1)
    holder = pooler.raw(REPLICATION_USER)
    holder.query("BEGIN")
    waiting = ask_for_replication(pooler)
    # Between workers, the order of those who come at nearly the same time is not kept.
    pooler.wait_pool(user=REPLICATION_USER, cl_waiting=1, maxwait=1)
    assert by(shown(pooler, "CLIENTS"), replication="physical")["state"] == "waiting"
    last = pooler.raw(REPLICATION_USER)
    last.send(query("SELECT 'last'"))
    pooler.wait_pool(user=REPLICATION_USER, cl_waiting=2, maxwait=2)
    holder.query("COMMIT")
    finish_login(waiting)
    assert not waiting.notices
    assert waiting.query("IDENTIFY_SYSTEM").rows
    assert pg.backends(db) == []
    pooler.wait_pool(user=REPLICATION_USER, cl_waiting=1, sv_active=1)
    waiting.send(terminate())
    assert last.result().value() == "last"


def test_query_wait_timeout(make, pg, db):
    pooler = make(default_pool_size=1, query_wait_timeout=1)
    replicate(pooler)
    late = ask_for_replication(pooler)
    assert_refused(late.expect_fatal(), "query_wait_timeout")
    assert len(pg.walsenders(db)) == 1
    pooler.wait_pool(user=REPLICATION_USER, cl_waiting=0)


def test_paused_pool(make, pg, db):
    pooler = make()
    pooler.console("PAUSE")
    conn = ask_for_replication(pooler)
    pooler.wait_pool(user=REPLICATION_USER, cl_waiting=1)
    assert stays_true(lambda: not pg.walsenders(db), 0.5)
    pooler.console("RESUME")
    assert position(finish_login(conn))


def test_pause_while_the_server_logs_in(make, make_fake, db):
    """The login is given up, not the client: it goes back to the queue."""
    gate = threading.Event()
    fake = make_fake(on_login=lambda session: session.number == 1 and gate.wait(TIMEOUT))
    pooler = make(databases={db: {"host": fake.host, "port": fake.port}})
    conn = ask_for_replication(pooler)
    fake.session()
    pooler.console("PAUSE")
    pooler.wait_pool(user=REPLICATION_USER, cl_waiting=1, sv_login=0)
    gate.set()
    pooler.console("RESUME")
    assert finish_login(conn).query("WHO").value() == "2"


class Crowd:
    """Counts those who have a server of their own at the same time."""

    def __init__(self):
        self.lock = threading.Lock()
        self.inside = self.most = 0

    def __enter__(self):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *_):
        with self.lock:
            self.inside -= 1


@pytest.mark.parametrize("limit", ["default_pool_size", "max_db_connections",
                                   "max_user_connections"])
def test_limits_are_never_exceeded(make, pg, db, limit):
    """Replication clients and transactions come and go on four workers, three at a time."""
    pooler = make(**{"default_pool_size": 10, limit: 3, "worker_threads": 4})
    wrong, crowd = [], Crowd()

    def have_a_server(number):
        if number % 2:
            with replicate(pooler) as conn, crowd:
                for _ in range(5):
                    assert position(conn)
        else:
            with pooler.raw(REPLICATION_USER) as conn:
                assert conn.query("BEGIN").status == "T"
                with crowd:
                    assert conn.query(f"SELECT {number}").value() == str(number)
                assert conn.query("COMMIT").status == "I"

    def come_and_go(number):
        try:
            for _ in range(8):
                have_a_server(number)
        except (AssertionError, PgError, Closed, OSError) as e:
            wrong.append(e)

    threads = [threading.Thread(target=come_and_go, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert 2 <= crowd.most <= 3
    # No place was lost on the way, and none won.
    for _ in range(3):
        replicate(pooler)
    ask_for_replication(pooler)
    pooler.wait_pool(user=REPLICATION_USER, cl_waiting=1, sv_active=3, sv_login=0)
    pg.wait_backends(db, 0)
    pg.wait_walsenders(db, 3)
    assert stays_true(lambda: len(pg.walsenders(db)) == 3, 0.5)


# ---- never reused, closed at once ----

def test_nobody_gets_the_link_of_a_replication_client(make, pg, db):
    pooler = make(default_pool_size=1)
    other = pooler.raw(REPLICATION_USER)
    conn = replicate(pooler, "database")
    pid = conn.query("SELECT pg_backend_pid()").value()
    other.send(query("SELECT pg_backend_pid()"))
    pooler.wait_pool(user=REPLICATION_USER, cl_waiting=1)
    conn.send(terminate())
    assert other.result().value() != pid
    pg.wait_walsenders(db, 0)


def test_reconnect_closes_at_once(make, pg, db):
    pooler = make()
    idle, streaming = replicate(pooler), replicate(pooler)
    start_streaming(streaming)
    pooler.console(f"RECONNECT {db}")
    for conn in (idle, streaming):
        assert_refused(conn.expect_fatal(), "database configuration changed")
    pg.wait_walsenders(db, 0)
    assert position(replicate(pooler))


def test_reload_of_another_definition_closes_at_once(make, pg, db):
    pooler = make()
    conn = replicate(pooler)
    pooler.settings["query_wait_notify"] = 3
    pooler.reload()
    assert position(conn)
    pooler.databases[db]["host"] = pg.socket_dir
    pooler.reload()
    assert conn.expect_fatal().message == "database configuration changed"
    pg.wait_walsenders(db, 0)


def test_kill(make, pg, db):
    pooler = make()
    conn = replicate(pooler)
    start_streaming(conn)
    pooler.console(f"KILL {db}")
    try:
        assert conn.expect_fatal().message == "database removed"
    except Closed as e:
        # Within a message, which what others write may bring at any time, nothing can be said.
        assert e.args[0]
    pg.wait_walsenders(db, 0)
    pooler.console(f"RESUME {db}")


def test_shutdown_refuses_those_who_wait(make):
    pooler = make(default_pool_size=1)
    first = replicate(pooler)
    waiting = ask_for_replication(pooler)
    pooler.wait_pool(user=REPLICATION_USER, cl_waiting=1)
    pooler.console("SHUTDOWN WAIT_FOR_SERVERS")
    assert waiting.expect_fatal().message == "server shutting down"
    assert position(first)
    first.send(terminate())
    assert pooler.wait_exit() == 0


# ---- who may ----

def test_hba_keyword(make, db):
    """`replication` stands for physical replication alone, and `all` does not include it."""
    pooler = make(hba="host all all 127.0.0.1/32 trust\n")
    assert replicate(pooler, "database").query("SELECT 1").value() == "1"
    with pytest.raises(PgError) as e:
        replicate(pooler)
    assert_refused(e.value, "no authentication method is found")
    pooler = make(hba=f"host replication {REPLICATION_USER} 127.0.0.1/32 scram-sha-256\n")
    conn = replicate(pooler)
    assert 10 in conn.auth_requests()
    for kind in ("database", "false"):
        with pytest.raises(PgError) as e:
            replicate(pooler, kind)
        assert_refused(e.value, "no authentication method is found")


def test_secret_from_auth_query(make, pg, db):
    pg.execute("GRANT pg_read_all_data TO alice")
    pooler = make(auth_type="scram-sha-256", auth_user="dave_plain", auth_dbname=db,
                  auth_query="SELECT $1::text, 'walter-pw'")
    del pooler.auth[REPLICATION_USER]
    pooler.reload()
    conn = pooler.raw(REPLICATION_USER, "replication", "walter-pw", replication="true")
    assert position(conn)
