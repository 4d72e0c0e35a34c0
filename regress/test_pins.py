# SPDX-License-Identifier: PostgreSQL
"""What cannot be carried to another server keeps its client on the one that has it, no longer than
it is there, and not without bounds."""

import signal

import pytest

from lib.pooler import ADMIN
from lib.wait import wait_for
from lib.wire import Closed, PgError, bind, execute, parse, query, sync

pytestmark = pytest.mark.pgweir_only


def pins(pooler):
    return [row["reasons"] for row in pooler.console("SHOW PINS")]


def pid(conn):
    return conn.query("SELECT pg_backend_pid()").value()


@pytest.fixture
def pooler(make_pooler):
    return make_pooler(pool_mode="transaction", default_pool_size=4, server_round_robin=1,
                       session_state="track")


# What pins, why, and what ends it (None: the session alone).
THINGS = [
    ("CREATE TEMP TABLE x (a int)", "temporary objects", "DROP TABLE x"),
    ("CREATE TEMP TABLE x (a int)", "temporary objects", "DISCARD TEMP"),
    ("SET search_path = pg_temp; CREATE TABLE x (a text DEFAULT upper('a'))", "temporary objects",
     "DROP TABLE x"),
    ("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "temporary objects",
     "DROP FUNCTION pg_temp.f()"),
    ("SELECT 1 AS a INTO TEMP x", "temporary objects", "DROP TABLE x"),
    ("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", "cursors with hold", "CLOSE c"),
    ("SELECT pg_advisory_lock(1)", "advisory locks", "SELECT pg_advisory_unlock(1)"),
    ("SELECT pg_try_advisory_lock_shared(1)", "advisory locks", "SELECT pg_advisory_unlock_all()"),
    ("PREPARE p AS SELECT 1", "prepared statements", "DEALLOCATE p"),
    ("LISTEN x; PREPARE p AS SELECT 1", "prepared statements, listen", "DEALLOCATE p"),
    ("DO $$ BEGIN EXECUTE 'CREATE TEMP TABLE x (a int)'; END $$", "temporary objects",
     "DO $$ BEGIN EXECUTE 'DROP TABLE x'; END $$"),
    ("LISTEN x; PREPARE p AS SELECT 1", "prepared statements, listen", "DISCARD ALL"),
    ("SELECT setseed(0.5)", "setseed", None),
    ("SELECT set_config('a.' || 'b', 'c', false)", "settings of unknown names", None),
]


def test_temporary_table_hides_another(make_pooler, pg, db):
    """Also from a function that was planned before, on a server that had some for another client."""
    with pg.connect(db) as c:
        c.execute("""CREATE TABLE a AS SELECT 'permanent' AS v; GRANT ALL ON a TO public;
                     CREATE FUNCTION look() RETURNS text LANGUAGE plpgsql AS
                     $$ BEGIN RETURN (SELECT v FROM a); END $$""")
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    conn, other = pooler.raw(), pooler.raw()
    other.query("CREATE TEMP TABLE x (a int)")
    other.query("DROP TABLE x")
    for _ in range(7):
        assert conn.query("SELECT look()").value() == "permanent"
    assert conn.query("CREATE TEMP TABLE a AS SELECT 'temporary' AS v").error is None
    assert conn.query("SELECT look()").value() == "temporary"
    conn.query("DROP TABLE pg_temp.a")
    assert conn.query("SELECT look()").value() == "permanent"


@pytest.mark.parametrize("begin, reason, end", THINGS)
def test_pin(pooler, begin, reason, end):
    conn, other = pooler.raw(), pooler.raw()
    assert conn.query(begin).error is None
    wait_for(lambda: pins(pooler) == [reason])
    own = {pid(conn) for _ in range(5)}
    assert len(own) == 1
    assert pid(other) not in own
    if end:
        assert conn.query(end).error is None
        wait_for(lambda: pins(pooler) == [])
    conn.close()
    wait_for(lambda: pins(pooler) == [])
    for _ in range(5):
        assert pid(other) not in own or end


@pytest.mark.parametrize("text", [
    "BEGIN; CREATE TEMP TABLE x (a int) ON COMMIT DROP; COMMIT",
    "BEGIN; CREATE TEMP TABLE x (a int); ROLLBACK",
    "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; ROLLBACK",
    "BEGIN; LISTEN x; ROLLBACK",
    "SELECT pg_advisory_xact_lock(1)",
    "CREATE TEMP TABLE x (a int); DROP TABLE x",
])
def test_nothing_is_left(pooler, text):
    conn = pooler.raw()
    assert conn.query(text).error is None
    pooler.wait_pool(sv_active=0)
    assert pins(pooler) == []


def test_extended_protocol(pooler):
    conn = pooler.raw()
    assert conn.run(parse("s", "CREATE TEMP TABLE x (a int)"), sync()).error is None
    assert pins(pooler) == []
    assert conn.run(bind("", "s"), execute(), sync()).error is None
    wait_for(lambda: pins(pooler) == ["temporary objects"])
    assert conn.run(parse("", "DROP TABLE x"), bind(), execute(), sync()).error is None
    wait_for(lambda: pins(pooler) == [])


def test_no_more_than_a_share_of_the_pool(pooler):
    conns = [pooler.raw() for _ in range(3)]
    for conn in conns[:2]:
        conn.query("PREPARE p AS SELECT 1")
    wait_for(lambda: len(pins(pooler)) == 2)
    conns[2].query("PREPARE p AS SELECT 1")
    error = conns[2].expect_fatal()
    assert error.code == "53400"
    assert "listens" not in error.fields["D"]
    assert "prepared" in error.fields["D"] and "max_pinned_share" in error.fields["H"]
    pooler.wait_log("kept for session state DETAIL: .*prepared statements")
    conns[0].query("DEALLOCATE p")
    wait_for(lambda: len(pins(pooler)) == 1)
    with pooler.raw() as conn:
        conn.query("PREPARE p AS SELECT 1")
        wait_for(lambda: len(pins(pooler)) == 2)
        assert conn.query("SELECT 1").value() == "1"


def test_counts_by_reason(pooler, db):
    def counts():
        rows = pooler.console("SHOW PIN_COUNTS")
        assert all(row["database"] == db for row in rows)
        return {row["reason"]: (int(row["clients"]), int(row["total"])) for row in rows}

    assert counts() == {}
    a, b = pooler.raw(), pooler.raw()
    a.query("CREATE TEMP TABLE x (a int); PREPARE p AS SELECT 1")
    b.query("SELECT pg_advisory_lock(1)")
    wait_for(lambda: len(pins(pooler)) == 2)
    assert counts() == {"temporary objects": (1, 1), "prepared statements": (1, 1),
                        "advisory locks": (1, 1)}
    a.query("DROP TABLE x")
    b.query("SELECT pg_advisory_unlock(1)")
    b.query("PREPARE p AS SELECT 1")
    wait_for(lambda: pins(pooler) == ["prepared statements"] * 2)
    a.close()
    b.query("SELECT 1")
    wait_for(lambda: len(pins(pooler)) == 1)
    assert counts() == {"temporary objects": (0, 1), "prepared statements": (1, 2),
                        "advisory locks": (0, 1)}


def test_idle_for_too_long(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, pin_timeout=1,
                         session_state="track")
    conn, other = pooler.raw(), pooler.raw()
    other.query("SELECT 1")
    conn.query("LISTEN x; CREATE TEMP TABLE x (a int)")
    error = conn.expect_fatal()
    assert "pin_timeout" in error.message
    assert "temporary objects, listen" in error.fields["D"]
    assert other.query("SELECT count(*) FROM pg_listening_channels()").value() == "0"


def test_notifications_reach_who_listens(pooler):
    conn, other = pooler.raw(), pooler.raw()
    conn.query("LISTEN x")
    other.query("NOTIFY x, 'hello'")
    assert b"hello" in conn.recv_until("A")[-1].body


def test_loss_of_the_server_ends_the_client(pooler, pg):
    """Better than to go on without what it believes to have."""
    conn = pooler.raw()
    conn.query("CREATE TEMP TABLE x (a int)")
    own = pid(conn)
    pg.execute("SELECT pg_terminate_backend(%s)", (int(own),))
    with pytest.raises((Closed, PgError, ConnectionError)):
        conn.recv_until("E")
        conn.query("SELECT 1")
    wait_for(lambda: pins(pooler) == [])


@pytest.mark.parametrize("messages", [
    (parse("", "SELECT set_config($1, $2, true)") + bind("", "", ("app.x", "mine")) + execute()
     + sync(),),
    (query("SELECT set_config('app.' || 'x', 'mine', TRUE)"),),
    (query("BEGIN"), query("SELECT set_config('app.' || 'x', 'mine', true)"), query("COMMIT")),
])
def test_a_setting_of_any_name_for_a_transaction_pins_nothing(pooler, messages):
    conn, other = pooler.raw(), pooler.raw()
    for message in messages:
        conn.send(message)
        assert conn.result().error is None
    assert pid(conn) == pid(other)
    assert pins(pooler) == []
    for each in (conn, other):
        assert each.query("SELECT current_setting('app.x', true)").value() in (None, "")


@pytest.mark.parametrize("text", [
    "SELECT dblink_connect('own', '{}')",
    "DO $$ BEGIN PERFORM public.dblink_connect('own', '{}'); END $$",
])
def test_connections_of_dblink(pooler, pg, db, text):
    """They stay as long as the server connection, and nobody can be asked about them."""
    with pg.connect(db) as c:
        c.execute("CREATE EXTENSION dblink")
    conn = pooler.raw("bob")
    target = f"host=127.0.0.1 port={pg.port} dbname={db} user=bob password=bob-pw"
    assert conn.query(text.format(target)).error is None
    wait_for(lambda: pins(pooler) == ["dblink"])
    assert conn.query("SELECT dblink_get_connections()").value() == "{own}"
    conn.close()
    wait_for(lambda: pins(pooler) == [])
    with pooler.raw("bob") as other:
        assert other.query("SELECT dblink_get_connections()").value() is None


# -- commands of the console that are up against pinned clients --


def pin(pooler):
    conn = pooler.raw()
    assert conn.query("CREATE TEMP TABLE x (a int)").error is None
    wait_for(lambda: pins(pooler) == ["temporary objects"])
    return conn


def commanded(pooler, command):
    admin = pooler.raw(ADMIN, "pgbouncer")
    admin.send(query(command))
    return admin


@pytest.mark.parametrize("named", [False, True])
def test_pause_tells_of_pinned_clients(pooler, db, named):
    conn = pin(pooler)
    admin = commanded(pooler, f"PAUSE {db}" if named else "PAUSE")
    notice = admin.recv()
    assert notice.kind == "N"
    assert notice.fields()["M"] == "PAUSE waits for pinned clients: 1"
    assert (notice.fields()["S"], notice.fields()["C"]) == ("NOTICE", "00000")
    assert "SHOW PINS" in notice.fields()["D"]
    pooler.wait_log(r"PAUSE waits for pinned clients: 1 \(SHOW PINS lists them\)")
    conn.close()
    assert admin.result().tag == "PAUSE"


def test_pause_tells_of_pinned_clients_of_its_database_alone(make_pooler, pg, db, second_db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=4, session_state="track", databases={
        name: {"host": pg.host, "port": pg.port, "dbname": name} for name in (db, second_db)})
    pin(pooler)
    result = commanded(pooler, f"PAUSE {second_db}").result()
    assert (result.kinds, result.tag) == ("CZ", "PAUSE")


def test_reconnect_tells_of_pinned_clients(pooler):
    conn = pin(pooler)
    result = commanded(pooler, "RECONNECT").result()
    assert result.tag == "RECONNECT"
    assert [n.message for n in result.notices] == [
        "RECONNECT reaches servers of pinned clients when they let go: 1"]
    conn.query("DROP TABLE x")
    wait_for(lambda: pins(pooler) == [])
    assert commanded(pooler, "RECONNECT").result().kinds == "CZ"


def test_shutdown_tells_of_pinned_clients(pooler):
    conn = pin(pooler)
    result = commanded(pooler, "SHUTDOWN WAIT_FOR_SERVERS").result()
    assert [n.message for n in result.notices] == ["shutdown waits for pinned clients: 1"]
    conn.close()
    pooler.wait_exit()


def test_signals_log_pinned_clients(pooler):
    pin(pooler)
    pooler.signal(signal.SIGUSR1)
    pooler.wait_log("PAUSE waits for pinned clients: 1")
    pooler.signal(signal.SIGUSR2)
