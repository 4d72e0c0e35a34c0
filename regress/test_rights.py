# SPDX-License-Identifier: PostgreSQL
"""What was set with rights that the user does not have by itself stays where it was set: no other
connection would take it."""

import uuid
from pathlib import Path

import pytest

from lib.wait import wait_for
from lib.wire import query

pytestmark = pytest.mark.pgweir_only

REASON = "settings of another role"


def pid(conn):
    return conn.query("SELECT pg_backend_pid()").value()


def pins(pooler):
    return [row["reasons"] for row in pooler.console("SHOW PINS")]


@pytest.fixture
def make_role(pg):
    """The tests of a run share the server, and so its roles: each has its own."""
    made = []

    def make(options=""):
        name = "r_" + uuid.uuid4().hex[:12]
        pg.execute(f"CREATE ROLE {name} {options}")
        made.append(name)
        return name

    yield make
    for name in made:
        pg.execute(f"DROP ROLE IF EXISTS {name}")


@pytest.fixture
def login(make_role):
    return make_role("LOGIN NOINHERIT PASSWORD 'pw'")


@pytest.fixture
def make_granted(pg, make_role, login):
    """A role that the login may become."""
    def make(options=""):
        name = make_role(options)
        pg.execute(f"GRANT {name} TO {login}")
        return name

    return make


@pytest.fixture
def pooler(make_pooler, login, pg, db):
    with pg.connect(db) as c:
        c.execute("""CREATE FUNCTION quicker() RETURNS text LANGUAGE sql SECURITY DEFINER AS
                     $$ SELECT set_config('deadlock_timeout', '7s', false) $$""")
    return make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track",
                       server_reset_query="", auth={login: "pw"})


@pytest.fixture
def join(pooler, login):
    """Both server connections of the pool are there."""
    conns = [pooler.raw(login) for _ in range(2)]
    for text in ("BEGIN", "COMMIT"):
        for conn in conns:
            conn.query(text)
    return lambda: pooler.raw(login)


@pytest.fixture
def chase(join):
    """Keeps busy the connection that the client had last."""
    def take(conn):
        had, others = pid(conn), [join(), join()]
        for other in others:
            other.query("BEGIN")
        for other in others:
            if pid(other) != had:
                other.query("COMMIT")
        return had

    return take


def show(conn, name):
    return conn.query(f"SHOW {name}").value()


# What needs the rights of a superuser, and how it is done with those of {role}.
WAYS = {
    "role and back": ["SET ROLE {role}", "SET log_min_duration_statement = 77777", "RESET ROLE"],
    "at once": ["SET ROLE {role}; SET log_min_duration_statement = 77777; RESET ROLE"],
    "transaction": ["BEGIN; SET LOCAL ROLE {role}; SET log_min_duration_statement = 77777; COMMIT"],
    "still the role": ["SET ROLE {role}", "SET log_min_duration_statement = 77777"],
    "set_config": ["SET ROLE {role}; SELECT set_config('log_min_duration_statement', '77777',"
                   " false); RESET ROLE"],
    "code of the text": ["DO $$ BEGIN SET ROLE {role}; SET log_min_duration_statement = 77777;"
                         " RESET ROLE; END $$"],
    "from another value": ["SET ROLE {role}; SET log_min_duration_statement = 66666; RESET ROLE",
                           "SET ROLE {role}; SET log_min_duration_statement = 77777; RESET ROLE"],
}


@pytest.mark.parametrize("way", WAYS)
def test_setting_of_a_superuser(pooler, join, make_granted, way):
    role = make_granted("SUPERUSER")
    conn, other = join(), join()
    for text in WAYS[way]:
        assert conn.query(text.replace("{role}", role)).error is None
    wait_for(lambda: pins(pooler) == [REASON])
    own = {pid(conn) for _ in range(4)}
    assert len(own) == 1 and pid(other) not in own
    other.query("SET work_mem = '3MB'")
    assert show(conn, "log_min_duration_statement") == "77777ms"
    conn.close()
    wait_for(lambda: pins(pooler) == [])
    for _ in range(4):
        assert show(other, "log_min_duration_statement") != "77777ms"


def test_until_it_is_taken_back(pooler, join, chase, make_granted):
    role = make_granted("SUPERUSER")
    conn, other = join(), join()
    conn.query(f"SET ROLE {role}; SET deadlock_timeout = '7s'; RESET ROLE")
    wait_for(lambda: pins(pooler) == [REASON])
    assert conn.query("SET work_mem = '3MB'").error is None
    assert conn.query("SELECT 1").error is None
    assert pins(pooler) == [REASON]
    conn.query(f"SET ROLE {role}; RESET deadlock_timeout; RESET ROLE")
    wait_for(lambda: pins(pooler) == [])
    assert chase(conn) != pid(conn)
    for who in (conn, other):
        assert show(who, "deadlock_timeout") == "1s"
    assert show(conn, "work_mem") == "3MB"


def test_function_of_a_superuser(pooler, join):
    conn, other = join(), join()
    assert conn.query("SELECT quicker()").error is None
    wait_for(lambda: pins(pooler) == [REASON])
    other.query("SELECT 1")
    assert show(conn, "deadlock_timeout") == "7s"
    assert show(other, "deadlock_timeout") == "1s"


def test_setting_of_a_library(pooler, join, make_granted):
    """Its name has a dot, and yet only superusers may set it."""
    role = make_granted("SUPERUSER")
    conn, other = join(), join()
    conn.query("DO $$ BEGIN END $$")
    conn.query(f"BEGIN; DO $$ BEGIN END $$; SET LOCAL ROLE {role};"
               f" SET plpgsql.variable_conflict = 'use_column'; COMMIT")
    wait_for(lambda: pins(pooler) == [REASON])
    other.query("SELECT 1")
    assert show(conn, "plpgsql.variable_conflict") == "use_column"


def test_tablespace_of_another(pooler, join, make_granted, pg):
    role = make_granted()
    name = "ts_" + role
    pg.execute("SET allow_in_place_tablespaces = on")
    pg.execute(f"CREATE TABLESPACE {name} LOCATION ''")
    try:
        pg.execute(f"GRANT CREATE ON TABLESPACE {name} TO {role}")
        conn, other = join(), join()
        conn.query("SET temp_tablespaces = 'pg_default'")
        assert show(conn, "temp_tablespaces") == "pg_default"
        assert pins(pooler) == []
        conn.query(f"SET ROLE {role}; SET temp_tablespaces = {name}; RESET ROLE")
        wait_for(lambda: pins(pooler) == [REASON])
        other.query("SELECT 1")
        assert show(conn, "temp_tablespaces") == name
    finally:
        pg.execute(f"DROP TABLESPACE {name}")


def test_question_is_not_compiled(pooler, join):
    """Where planning counts a scan as endless, PostgreSQL compiles the query that has one: for half
    a second, each time that the pooler asks."""
    conn = join()
    for text in ("SET enable_seqscan = off; SET enable_indexscan = off", "SET work_mem = '3MB'",
                 "SET temp_tablespaces = ''", "DO $$ BEGIN END $$", "SELECT pg_advisory_lock(1)"):
        assert conn.query(text).error is None
        assert show(conn, "enable_seqscan") == "off"
        assert "llvmjit" not in Path(f"/proc/{pid(conn)}/maps").read_text(), text


def test_setting_that_superusers_alone_see(pooler, join, make_granted):
    role = make_granted("SUPERUSER")
    conn, other = join(), join()
    conn.query(f"SET ROLE {role}; SET dynamic_library_path = '/nowhere'; RESET ROLE")
    wait_for(lambda: pins(pooler) == ["settings of unknown names"])
    conn.close()
    wait_for(lambda: pins(pooler) == [])
    for _ in range(3):
        other.query(f"SET ROLE {role}")
        assert show(other, "dynamic_library_path") == "$libdir"
        other.query("RESET ROLE")


@pytest.mark.parametrize("text", [
    "SET ROLE {role}; SET work_mem = '3MB'; RESET ROLE",
    "SET ROLE {role}; SET app.x = 'a'",
    "BEGIN; SET LOCAL ROLE {role}; SET LOCAL log_min_duration_statement = 77777; COMMIT",
    "BEGIN; SET LOCAL ROLE {role}; SET log_min_duration_statement = 77777; ROLLBACK",
])
def test_what_anybody_may_set_is_carried(pooler, join, chase, make_granted, text):
    conn = join()
    assert conn.query(text.replace("{role}", make_granted("SUPERUSER"))).error is None
    assert chase(conn) != pid(conn)
    assert pins(pooler) == []


def test_right_that_was_granted(pooler, join, chase, login, pg):
    pg.execute(f"GRANT SET ON PARAMETER deadlock_timeout TO {login}")
    try:
        conn = join()
        assert conn.query("SET deadlock_timeout = '7s'").error is None
        assert chase(conn) != pid(conn)
        assert show(conn, "deadlock_timeout") == "7s"
        assert pins(pooler) == []
    finally:
        pg.execute(f"REVOKE SET ON PARAMETER deadlock_timeout FROM {login}")


LOST = {
    "dropped": ("DROP ROLE {role}", "does not exist"),
    "revoked": ("REVOKE {role} FROM {login}", "permission denied to set role"),
}


@pytest.mark.parametrize("how", LOST)
def test_role_that_is_gone(pooler, join, chase, login, make_granted, pg, how):
    """Nobody could know: the client is told what was wrong."""
    role = make_granted()
    conn = join()
    assert conn.query(f"SET ROLE {role}").error is None
    chase(conn)
    text, said = LOST[how]
    pg.execute(text.replace("{role}", role).replace("{login}", login))
    conn.send(query("SELECT 1"))
    error = conn.expect_fatal()
    assert error.code == "08006"
    assert error.message == "session state cannot be carried to another server connection"
    assert said in error.fields["D"] and role in error.fields["D"]
    assert "packet" not in error.fields["D"]
    assert join().query("SELECT current_user").value() == login
