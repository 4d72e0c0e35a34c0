# SPDX-License-Identifier: PostgreSQL
"""PostgreSQL keeps each name of a setting with a dot, and lists none: who makes endlessly many of
them pays for it, and nobody else."""

import pytest

from lib.wait import wait_for

pytestmark = pytest.mark.pgweir_only

CODE = """CREATE FUNCTION set_wm() RETURNS text LANGUAGE sql AS
            $$ SELECT set_config('work_mem', '9MB', false) $$;
          CREATE FUNCTION set_tenant(v text) RETURNS text LANGUAGE sql AS
            $$ SELECT set_config('app.tenant', v, false) $$"""
OPAQUE = "settings of unknown names"


@pytest.fixture
def pooler(make_pooler, pg, db):
    with pg.connect(db) as c:
        c.execute(CODE)
    return make_pooler(pool_mode="transaction", default_pool_size=2, worker_threads=1,
                       session_state="track", server_reset_query="")


def pid(conn):
    return conn.query("SELECT pg_backend_pid()").value()


def pins(pooler):
    return [row["reasons"] for row in pooler.console("SHOW PINS")]


def value(conn, name):
    return conn.query(f"SELECT coalesce(current_setting('{name}', true), '')").value()


def make_names(conn, prefix, n):
    for i in range(0, n, 10):
        text = "; ".join(f"SET {prefix}.n{k} = 'v{k}'" for k in range(i, i + 10))
        assert conn.query(text).error is None


def test_client_with_endless_names(pooler):
    a, b, c = (pooler.raw() for _ in range(3))
    make_names(a, "many", 600)
    wait_for(lambda: pins(pooler) == [OPAQUE])
    assert value(a, "many.n0") == "v0" and value(a, "many.n599") == "v599"
    held = pid(a)
    before = pid(b)
    assert before != held
    for n, conn in enumerate([b, c, b, c]):
        assert conn.query("SELECT set_wm()").error is None
        assert conn.query(f"SELECT set_tenant('t{n}')").error is None
        assert conn.query("DO $$ BEGIN SET app.own = 1; END $$").error is None
        assert pid(conn) == before
    assert value(b, "app.tenant") == "t2" and value(c, "app.tenant") == "t3"
    assert pins(pooler) == [OPAQUE]
    a.close()
    wait_for(lambda: pins(pooler) == [])
    d = pooler.raw()
    for conn in (b, c, d):
        assert value(conn, "many.n0") == value(conn, "many.n599") == ""
    assert value(d, "app.tenant") == ""


def test_many_clients_with_many_names(pooler):
    """None of them has too many."""
    others = [pooler.raw() for _ in range(4)]
    for n, conn in enumerate(others):
        make_names(conn, f"many{n}", 200)
    assert pins(pooler) == []
    b = pooler.raw()
    b.query("BEGIN")
    own = pid(b)
    b.query("COMMIT")
    for text in ("SELECT set_wm()", "SELECT set_tenant('b')", "SET app.own = 1",
                 "SELECT set_config('app.' || 'x', '1', true)"):
        assert b.query(text).error is None
        assert pid(b) == own
    assert value(others[0], "app.tenant") == ""
    for n, conn in enumerate(others):
        assert value(conn, f"many{n}.n199") == "v199"
        assert value(conn, f"many{(n + 1) % 4}.n199") == ""
    assert value(b, "app.tenant") == "b"


SAID_EARLIER = {
    "PREPARE in code": ("""DO $$ BEGIN EXECUTE
                           'PREPARE p AS SELECT set_config(''later.x'', ''leak'', false)';
                           END $$""", "EXECUTE p", "DEALLOCATE p"),
    "function": ("""CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql AS
                    $$ SELECT set_config('later.x', 'leak', false) $$""", "SELECT pg_temp.f()",
                 "DROP FUNCTION pg_temp.f"),
}


@pytest.mark.parametrize("how", SAID_EARLIER)
def test_name_that_was_said_earlier(pooler, how):
    """What the client has made speaks of it; the text that runs it does not."""
    begin, run, end = SAID_EARLIER[how]
    a, b = pooler.raw(), pooler.raw()
    for text in (begin, "SELECT 1", run, end):
        assert a.query(text).error is None
    wait_for(lambda: pins(pooler) == [], what=pins(pooler))
    assert value(b, "later.x") == ""
    assert value(a, "later.x") == "leak"
