# SPDX-License-Identifier: PostgreSQL
"""psycopg2 as it comes: transactions that begin by themselves, simple queries, named cursors."""

import datetime
import io
import select
import threading
from decimal import Decimal

import psycopg2
import psycopg2.errors
from psycopg2 import extensions, extras
from transcript import run, show


def connect(autocommit=False, **kw):
    conn = psycopg2.connect("", **kw)
    conn.autocommit = autocommit
    return conn


def execute(conn, text, *args):
    cur = conn.cursor()
    cur.execute(text, args or None)
    return cur


def rows(conn, text, *args):
    return execute(conn, text, *args).fetchall()


def value(conn, text, *args):
    return execute(conn, text, *args).fetchone()[0]


def refused(action, *args, **kw):
    """Runs what must fail."""
    try:
        action(*args, **kw)
        show("not refused")
    except psycopg2.Error as e:
        show("refused", type(e).__name__, e.pgcode, e.diag.message_primary)


def settings():
    conn = connect()
    show("new", conn.encoding, conn.get_parameter_status("TimeZone"), conn.get_parameter_status("DateStyle"))
    execute(conn, "SET TIME ZONE 'America/New_York'; SET work_mem = '7MB'")
    execute(conn, "SET search_path = pg_catalog, public")
    conn.commit()
    for _ in range(8):
        show("set", conn.get_parameter_status("TimeZone"), value(conn, "SHOW TimeZone"), value(conn, "SHOW work_mem"),
             value(conn, "SHOW search_path"))
        conn.commit()
    execute(conn, "SET LOCAL work_mem = '9MB'")
    show("local", value(conn, "SHOW work_mem"))
    conn.commit()
    show("after it", value(conn, "SHOW work_mem"))
    execute(conn, "SET work_mem = '11MB'; SET TIME ZONE 'Asia/Tokyo'")
    conn.rollback()
    show("rolled back", value(conn, "SHOW work_mem"), conn.get_parameter_status("TimeZone"))
    refused(execute, conn, "SET work_mem = 'much'")
    conn.rollback()
    conn.set_client_encoding("LATIN1")
    show("latin1", conn.encoding, value(conn, "SELECT 'ü'"), value(conn, "SELECT %s", "é"))
    conn.rollback()
    show("encoding", conn.encoding, value(conn, "SHOW client_encoding"))
    conn.set_client_encoding("UTF8")
    conn.reset()
    show("reset", conn.encoding, value(conn, "SHOW TimeZone"), value(conn, "SHOW work_mem"),
         value(conn, "SHOW search_path"))
    conn.close()


def session():
    """set_session() in both modes: as settings of the session, and as what BEGIN says."""
    for autocommit in (True, False):
        conn = connect()
        conn.set_session(isolation_level="serializable", readonly=True, autocommit=autocommit)
        for _ in range(3):
            show("set", value(conn, "SHOW transaction_isolation"), value(conn, "SHOW transaction_read_only"),
                 value(conn, "SHOW default_transaction_isolation"))
        refused(execute, conn, "CREATE TABLE no (id int)")
        conn.rollback()
        conn.set_session(isolation_level="default", readonly="default", deferrable=True)
        show("default", value(conn, "SHOW transaction_isolation"), value(conn, "SHOW transaction_read_only"),
             value(conn, "SHOW transaction_deferrable"))
        conn.close()


def shown(conn):
    return [value(conn, f"SHOW {name}") for name in ("work_mem", "app.start", "application_name")]


def start_up():
    conn = connect(True, options="-c work_mem=5MB -c app.start=one", application_name="start",
                   client_encoding="LATIN1")
    for _ in range(4):
        show("options", shown(conn), conn.encoding, value(conn, "SELECT 'é'"))
    execute(conn, "SET work_mem = '6MB'; SET app.start = 'two'; SET application_name = 'other'")
    show("set", shown(conn))
    execute(conn, "DISCARD ALL")
    show("discarded", shown(conn))
    conn.close()
    conn = connect(True, options="-c DateStyle=German")
    show("made ISO", conn.encoding, value(conn, "SHOW DateStyle"), value(conn, "SELECT '2020-02-29'::date"))
    conn.close()


def custom():
    conn = connect()
    for tenant in ("one", "two's", "drei ü"):
        execute(conn, "SELECT set_config('app.tenant', %s, false)", tenant)
        conn.commit()
        show("tenant", value(conn, "SELECT current_setting('app.tenant')"))
        execute(conn, "SELECT set_config('app.tenant', %s, true)", "within")
        show("within", value(conn, "SHOW app.tenant"))
        conn.commit()
        show("after it", value(conn, "SHOW app.tenant"))
        execute(conn, "SET app.tenant = 'undone'")
        conn.rollback()
    refused(execute, conn, "SHOW app.never_was")
    conn.close()


def prepared():
    """psycopg2 prepares nothing, but its users do."""
    conn = connect(True)
    execute(conn, "PREPARE p1 (int, text) AS SELECT $1 + 1, upper($2)")
    for i in range(6):
        show("row", rows(conn, "EXECUTE p1 (%s, %s)", i, f"v{i}"))
    refused(execute, conn, "PREPARE p1 AS SELECT 1")
    execute(conn, "DEALLOCATE p1")
    refused(execute, conn, "EXECUTE p1 (1, 'x')")
    execute(conn, "PREPARE p1 AS SELECT 'again'")
    show("again", rows(conn, "EXECUTE p1"))
    execute(conn, "DEALLOCATE ALL")
    refused(execute, conn, "EXECUTE p1")
    conn.close()


def cursors():
    conn = connect()
    with conn.cursor("numbers") as cur:
        cur.itersize = 7
        cur.execute("SELECT g, g * g FROM generate_series(1, 20) g WHERE g > %s", (3,))
        show("first", cur.fetchone(), cur.fetchmany(3))
        show("others", [row[0] for row in cur])
    conn.commit()
    with conn.cursor("moves", scrollable=True) as cur:
        cur.execute("SELECT g FROM generate_series(1, 50) g")
        cur.scroll(40)
        show("scrolled", cur.fetchone())
        cur.scroll(2, mode="absolute")
        show("back", cur.fetchone())
    conn.commit()
    with conn.cursor("held", withhold=True) as cur:
        cur.execute("SELECT g FROM generate_series(1, 9) g")
        show("held", cur.fetchmany(4))
        conn.commit()
        show("another", value(conn, "SELECT 'meanwhile'"))
        conn.commit()
        show("held", cur.fetchall())
    refused(execute, conn, "FETCH ALL FROM held")
    conn.rollback()
    conn.autocommit = True
    refused(conn.cursor("outside").execute, "SELECT 1")
    with conn.cursor("held", withhold=True) as cur:
        cur.execute("SELECT g FROM generate_series(1, 9) g")
        show("another", value(conn, "SELECT 'meanwhile'"))
        show("held", cur.fetchall())
    conn.close()


def several():
    """Many statements in one query, which is as near as psycopg2 comes to a pipeline."""
    conn = connect(True)
    cur = execute(conn, "CREATE TABLE q (id int); SET work_mem = '8MB'; INSERT INTO q VALUES (1), (2); SELECT 'last'")
    show("last", cur.fetchall(), cur.statusmessage)
    extras.execute_batch(cur, "INSERT INTO q VALUES (%s)", [(i,) for i in range(3, 400)])
    show("sum", value(conn, "SELECT sum(id) FROM q"), value(conn, "SHOW work_mem"))
    extras.execute_values(cur, "UPDATE q SET id = v.b FROM (VALUES %s) AS v (a, b) WHERE id = v.a RETURNING q.id",
                          [(1, -1), (2, -2)])
    show("changed", sorted(cur.fetchall()))
    refused(execute, conn, "SET work_mem = '12MB'; INSERT INTO q VALUES (0); SELECT 1/0; SELECT 1")
    show("undone", value(conn, "SHOW work_mem"), value(conn, "SELECT count(*) FROM q WHERE id = 0"))
    execute(conn, "SET work_mem = '12MB'; COMMIT; BEGIN; SET work_mem = '13MB'; ROLLBACK")
    show("kept", value(conn, "SHOW work_mem"))
    execute(conn, "DROP TABLE q")
    conn.close()


def errors():
    conn = connect()
    execute(conn, "SET work_mem = '10MB'")
    conn.commit()
    for text in ("SELECT 1/0", "SELEC 1", "SELECT * FROM nowhere", "SELECT 'x'::int"):
        refused(execute, conn, text)
        show("state", conn.get_transaction_status() == extensions.TRANSACTION_STATUS_INERROR)
        refused(execute, conn, "SELECT 1")
        conn.rollback()
        show("after it", value(conn, "SHOW work_mem"))
        conn.rollback()
    execute(conn, "DO $$ BEGIN RAISE NOTICE 'hear %', 1; RAISE WARNING 'and this'; END $$")
    show("notices", conn.notices)
    conn.close()


def savepoints():
    conn = connect()
    execute(conn, "CREATE TABLE s (id int PRIMARY KEY)")
    conn.commit()
    execute(conn, "SET application_name = 'outer'; INSERT INTO s VALUES (1)")
    execute(conn, "SAVEPOINT a")
    execute(conn, "SET application_name = 'inner'; INSERT INTO s VALUES (2)")
    refused(execute, conn, "INSERT INTO s VALUES (1)")
    execute(conn, "ROLLBACK TO SAVEPOINT a")
    show("undone", value(conn, "SHOW application_name"))
    execute(conn, "SAVEPOINT b; INSERT INTO s VALUES (3); RELEASE b")
    conn.commit()
    show("kept", rows(conn, "SELECT * FROM s ORDER BY id"), value(conn, "SHOW application_name"))
    execute(conn, "DROP TABLE s")
    conn.commit()
    conn.close()


def two_phases():
    """The server refuses, as max_prepared_transactions is 0."""
    conn = connect()
    conn.tpc_begin(conn.xid(1, "gtrid", "bqual"))
    execute(conn, "SELECT 1")
    refused(conn.tpc_prepare)
    conn.close()


def copy():
    conn = connect(True)
    execute(conn, "CREATE TABLE c (id int PRIMARY KEY, v text)")
    cur = conn.cursor()
    cur.copy_from(io.StringIO("".join(f"{i}\tv{i}\n" for i in range(500))), "c")
    show("rows", cur.rowcount)
    out = io.StringIO()
    cur.copy_expert("COPY (SELECT * FROM c WHERE id < 5 ORDER BY id) TO STDOUT (FORMAT csv)", out)
    show("out", out.getvalue())
    out = io.BytesIO()
    cur.copy_expert("COPY c TO STDOUT (FORMAT binary)", out)
    show("bytes", len(out.getvalue()))
    refused(cur.copy_from, io.StringIO("1\tagain\n"), "c")
    refused(cur.copy_from, io.StringIO("nonsense\n"), "c")
    show("count", value(conn, "SELECT count(*) FROM c"))
    execute(conn, "DROP TABLE c")
    conn.close()


def heard(conn):
    found = [(n.channel, n.payload) for n in conn.notifies]
    conn.notifies.clear()
    return found


def notify():
    conn, other = connect(True), connect()
    execute(conn, "LISTEN here")
    execute(conn, "NOTIFY here, 'mine'")
    show("own", heard(conn))
    execute(conn, "BEGIN; SELECT pg_notify('here', 'in a transaction')")
    show("not yet", heard(conn))
    execute(conn, "COMMIT")
    show("now", heard(conn))
    execute(other, "NOTIFY here, 'theirs'; NOTIFY elsewhere, 'not heard'; NOTIFY here, 'last'")
    other.commit()
    while ("here", "last") not in [(n.channel, n.payload) for n in conn.notifies]:
        select.select([conn], [], [], 10)
        conn.poll()
    show("theirs", heard(conn))
    execute(conn, "UNLISTEN here")
    execute(conn, "NOTIFY here")
    show("deaf", heard(conn), rows(conn, "SELECT pg_listening_channels()"))
    conn.close()
    other.close()


def temporary():
    conn = connect(True)
    execute(conn, "CREATE TEMP TABLE t0 AS SELECT g AS id FROM generate_series(1, 5) g")
    for i in range(5):
        show("rows", value(conn, "SELECT sum(id) FROM t0 WHERE id > %s", i))
    execute(conn, "BEGIN; CREATE TEMP TABLE t1 ON COMMIT DROP AS SELECT 1; COMMIT")
    refused(execute, conn, "SELECT * FROM t1")
    execute(conn, "DROP TABLE t0")
    refused(execute, conn, "SELECT * FROM t0")
    conn.close()


def advisory():
    conn, other = connect(True), connect(True)
    show("locked", value(conn, "SELECT pg_try_advisory_lock(87)"))
    show("by others", value(other, "SELECT pg_try_advisory_lock(87)"))
    show("unlocked", value(conn, "SELECT pg_advisory_unlock(87)"), value(conn, "SELECT pg_advisory_unlock(87)"))
    show("by others", value(other, "SELECT pg_try_advisory_lock(87)"), value(other, "SELECT pg_advisory_unlock(87)"))
    conn.close()
    other.close()


def types():
    conn = connect()
    extras.register_uuid()
    execute(conn, "SET TIME ZONE 'Asia/Kolkata'")
    conn.commit()
    values = [
        extras.Json({"a": [1, None, "ü"]}), [1, 2, 3], [["a", "b"], ["c", None]], Decimal("1234567890.000123"),
        datetime.date(2020, 2, 29), datetime.timedelta(days=3, seconds=5), True, 1.5e300, "text'\\", None, 1 << 40,
        datetime.datetime(2021, 3, 4, 5, 6, 7, 89, datetime.timezone.utc), extras.NumericRange(1, 5),
    ]
    for v in values:
        cur = execute(conn, "SELECT %s", v)
        show("value", cur.fetchone()[0], cur.description[0].type_code)
    for output in ("escape", "hex"):
        execute(conn, f"SET bytea_output = '{output}'")
        conn.commit()
        show("bytes", bytes(value(conn, "SELECT %s::bytea", b"\x00\xff\\'")))
    execute(conn, "CREATE TYPE pair AS (a int, b text)")
    extras.register_composite("pair", conn)
    show("composite", value(conn, "SELECT (1, 'x')::pair"))
    conn.rollback()
    for text in ("'a\\b'", "E'a\\\\b'"):
        execute(conn, "SET standard_conforming_strings = off")
        conn.commit()
        show("strings off", value(conn, "SELECT %s", "quote ' and \\ backslash"), value(conn, f"SELECT {text}"))
        conn.reset()
        show("strings on", value(conn, "SELECT %s", "quote ' and \\ backslash"), value(conn, f"SELECT {text}"))
    conn.close()


def cancel():
    conn = connect(True)
    execute(conn, "SET work_mem = '9MB'")
    timer = threading.Timer(0.5, conn.cancel)
    timer.start()
    refused(execute, conn, "SELECT pg_sleep(30)")
    timer.join()
    show("after it", value(conn, "SHOW work_mem"))
    execute(conn, "SET statement_timeout = 300")
    refused(execute, conn, "SELECT pg_sleep(30)")
    show("after it", value(conn, "SHOW statement_timeout"))
    conn.close()


def large_objects():
    conn = connect()
    lo = conn.lobject(0, "wb")
    lo.write(b"0123456789" * 100)
    lo.seek(500)
    lo.write(b"here")
    number = lo.oid
    lo.close()
    conn.commit()
    lo = conn.lobject(number, "rb")
    lo.seek(498)
    show("read", lo.read(8), lo.tell())
    lo.close()
    lo.unlink()
    conn.commit()
    conn.close()


if __name__ == "__main__":
    run([settings, session, start_up, custom, prepared, cursors, several, errors, savepoints, two_phases, copy,
         notify, temporary, advisory, types, cancel, large_objects])
