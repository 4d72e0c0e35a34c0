# SPDX-License-Identifier: PostgreSQL
"""Code that deallocates prepared statements does so on a link that has those of other clients."""

import pytest

from lib.wire import parse, query, run_named, sync

pytestmark = pytest.mark.pgweir_only

EACH = """FOR n IN SELECT name FROM pg_prepared_statements LOOP
            EXECUTE 'DEALLOCATE ' || quote_ident(n); END LOOP;"""
ALL = {
    "all": "DEALLOCATE ALL;",
    "prepare all": "deallocate /* them */ Prepare\n\tAll;",
    "executed": "EXECUTE 'DEALLOCATE ALL';",
    "put together": "n := 'ALL'; EXECUTE 'DEALLOCATE ' || n;",
    "formatted": "EXECUTE format('DEALLOCATE %s', 'ALL');",
    "each": EACH,
}


@pytest.fixture
def one(make_pooler):
    return make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track",
                       query_wait_timeout=10)


def unharmed(b):
    assert b.run(run_named("mine")).value() == "x"
    b.query("BEGIN")
    assert b.run(run_named("mine")).value() == "x"
    assert b.query("COMMIT").tag == "COMMIT"


@pytest.mark.parametrize("how", ALL)
def test_others_keep_theirs(one, pg, db, how):
    with pg.connect(db) as c:
        c.execute(f"""CREATE FUNCTION cleans() RETURNS int LANGUAGE plpgsql AS
                      $$ DECLARE n text; BEGIN {ALL[how]} RETURN 1; END $$;
                      CREATE PROCEDURE calls() LANGUAGE sql AS 'SELECT cleans()'""")
    a, b = one.raw("bob"), one.raw("bob")
    b.run(parse("mine", "SELECT 'x'"), sync())
    unharmed(b)
    for text in (f"DO $$ DECLARE n text; BEGIN {ALL[how]} END $$", "SELECT cleans()",
                 "CALL calls()", "BEGIN; SELECT cleans(); COMMIT"):
        assert a.query(text).error is None
        unharmed(b)
    a.send(query("SELECT cleans()") + query("SELECT 1"))
    assert [a.result().value() for _ in range(2)] == ["1", "1"]
    unharmed(b)


def test_a_function_that_is_made_in_the_same_message(one):
    a, b = one.raw("bob"), one.raw("bob")
    b.run(parse("mine", "SELECT 'x'"), sync())
    unharmed(b)
    a.query("""BEGIN; CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE plpgsql AS
               $$ BEGIN DEALLOCATE ALL; END $$; SELECT pg_temp.f(); ROLLBACK""")
    unharmed(b)


def test_what_code_has_made_itself(one, pg, db):
    """Costs nobody the connection."""
    with pg.connect(db) as c:
        c.execute("""CREATE FUNCTION uses() RETURNS int LANGUAGE plpgsql AS
                     $$ BEGIN EXECUTE 'PREPARE own AS SELECT 1'; EXECUTE 'DEALLOCATE own';
                     RETURN 1; END $$""")
    a, b = one.raw("bob"), one.raw("bob")
    b.run(parse("mine", "SELECT 'x'"), sync())
    pid = b.query("SELECT pg_backend_pid()").value()
    assert a.query("SELECT uses()").error is None
    assert b.query("SELECT pg_backend_pid()").value() == pid
    unharmed(b)
