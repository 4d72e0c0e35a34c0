# SPDX-License-Identifier: PostgreSQL
"""psycopg 3 as it comes: a statement is prepared the fifth time, pipelines, cursors of both kinds."""

import asyncio
import datetime
import logging
import threading
from decimal import Decimal

import psycopg
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.json import Jsonb
from transcript import run, show


def connect(**kw):
    return psycopg.connect("", **{"autocommit": True, **kw})


def value(conn, text, *args):
    return conn.execute(text, args or None).fetchone()[0]


def refused(action, *args, **kw):
    """Runs what must fail."""
    try:
        action(*args, **kw)
        show("not refused")
    except psycopg.Error as e:
        show("refused", type(e).__name__, e.sqlstate, e.diag.message_primary)


def settings():
    with connect() as conn:
        conn.execute("SET TIME ZONE 'America/New_York'")
        conn.execute("SET work_mem = '7MB'")
        conn.execute("SET search_path = pg_catalog, public")
        conn.execute("SELECT set_config('statement_timeout', %s, false)", ("33s",))
        for _ in range(8):
            show("zone", conn.info.timezone.key, value(conn, "SHOW TimeZone"))
            show("others", value(conn, "SHOW work_mem"), value(conn, "SHOW search_path"),
                 value(conn, "SHOW statement_timeout"))
        with conn.transaction():
            conn.execute("SET LOCAL work_mem = '9MB'")
            show("local", value(conn, "SHOW work_mem"))
        show("after it", value(conn, "SHOW work_mem"))
        with conn.transaction(force_rollback=True):
            conn.execute("SET work_mem = '11MB'")
        show("rolled back", value(conn, "SHOW work_mem"))
        refused(conn.execute, "SET work_mem = 'much'")
        refused(conn.execute, "SET TIME ZONE 'Nowhere/Land'")
        conn.execute("SET client_encoding = 'LATIN1'")
        show("latin1", conn.info.encoding, value(conn, "SELECT 'ü'"), value(conn, "SELECT %s", "é"))
        conn.execute("RESET client_encoding")
        show("encoding", conn.info.encoding)
        conn.execute("RESET work_mem")
        show("reset", value(conn, "SHOW work_mem"))
        conn.execute("RESET ALL")
        show("all", value(conn, "SHOW TimeZone"), value(conn, "SHOW search_path"))


def attributes():
    """What psycopg makes BEGIN say."""
    with connect(autocommit=False) as conn:
        conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        conn.read_only = True
        show("serializable", value(conn, "SHOW transaction_isolation"), value(conn, "SHOW transaction_read_only"))
        refused(conn.execute, "CREATE TABLE no (id int)")
        conn.rollback()
        conn.isolation_level = conn.read_only = None
        show("default", value(conn, "SHOW transaction_isolation"), value(conn, "SHOW transaction_read_only"))
        conn.rollback()


def shown(conn):
    return [value(conn, f"SHOW {name}") for name in ("work_mem", "app.start", "application_name")]


def start_up():
    with connect(options="-c work_mem=5MB -c app.start=one", application_name="start") as conn:
        for _ in range(4):
            show("options", shown(conn))
        conn.execute("SET work_mem = '6MB'; SET app.start = 'two'; SET application_name = 'other'")
        show("set", shown(conn))
        conn.execute("DISCARD ALL")
        show("discarded", shown(conn))
    with connect(options="-c TimeZone=asia/tokyo -c datestyle=iso", client_encoding="latin-1") as conn:
        show("spelled", value(conn, "SELECT '2020-02-29 12:00+00'::timestamptz, %s", "é"), conn.info.encoding)
        for text in ("RESET ALL", "DISCARD ALL"):
            conn.execute(text)
            show("after it", value(conn, "SELECT %s || chr(233)", "é"), value(conn, "SELECT length('é')"))
        show("reported", conn.info.timezone.key, conn.info.parameter_status("DateStyle"))


def custom():
    with connect() as conn:
        for tenant in ("one", "two's", "drei ü"):
            conn.execute("SELECT set_config('app.tenant', %s, false)", (tenant,))
            show("tenant", value(conn, "SELECT current_setting('app.tenant')"))
            with conn.transaction():
                conn.execute("SELECT set_config('app.tenant', %s, true)", ("within",))
                show("within", value(conn, "SHOW app.tenant"))
            show("after it", value(conn, "SHOW app.tenant"))
        refused(conn.execute, "SHOW app.never_was")


def prepared():
    with connect() as conn:
        conn.execute("CREATE TABLE p (id int PRIMARY KEY, v text)")
        for i in range(12):
            conn.execute("INSERT INTO p VALUES (%s, %s)", (i, f"v{i}"))
        for i in range(12):
            show("row", conn.execute("SELECT v FROM p WHERE id = %s", (i,)).fetchone())
        conn.execute("SELECT 1 + %s", (1,), prepare=True)
        conn.execute("ALTER TABLE p ADD more int DEFAULT 3")
        for i in range(7):
            show("other shape", conn.execute("SELECT * FROM p WHERE id = %s", (i,)).fetchone())
        conn.execute("DROP TABLE p")


def prepared_view():
    with connect() as conn:
        for _ in range(6):
            conn.execute("SELECT %s::int + 1", (1,))
        show("prepared", conn.execute(
            "SELECT name, statement, parameter_types::text[], from_sql FROM pg_prepared_statements ORDER BY name"
        ).fetchall())


def few_prepared():
    """What has not been used for long is dropped by DEALLOCATE."""
    with connect() as conn:
        conn.prepare_threshold = 0
        conn.prepared_max = 3
        for i in range(12):
            show("few", value(conn, f"SELECT {i % 5} + %s", i))
    with connect() as conn:
        show("before", [value(conn, "SELECT %s::int * 2", i) for i in range(8)])
        # This psycopg does not notice.
        conn.execute("DEALLOCATE ALL")
        refused(value, conn, "SELECT %s::int * 2", 1)
        show("others", value(conn, "SELECT %s::int * 3", 1))


def cursors():
    with connect() as conn:
        with conn.transaction(), conn.cursor(name="numbers") as cur:
            cur.itersize = 7
            cur.execute("SELECT g, g * g FROM generate_series(1, 20) g WHERE g > %s", (3,))
            show("first", cur.fetchone(), cur.fetchmany(3))
            show("others", [row[0] for row in cur])
        with conn.transaction(), conn.cursor(name="moves", scrollable=True) as cur:
            cur.execute("SELECT g FROM generate_series(1, 50) g")
            cur.scroll(40)
            show("scrolled", cur.fetchone())
            cur.scroll(2, mode="absolute")
            show("back", cur.fetchone())
        with conn.cursor(name="held", withhold=True) as cur:
            cur.execute("SELECT g FROM generate_series(1, 9) g")
            show("held", cur.fetchmany(4))
            show("another", value(conn, "SELECT 'meanwhile'"))
            show("held", cur.fetchall())
        refused(conn.execute, "FETCH ALL FROM held")
        with conn.cursor(name="outside") as cur:
            refused(cur.execute, "SELECT 1")


def pipeline():
    with connect() as conn:
        conn.execute("CREATE TABLE q (id int PRIMARY KEY)")
        with conn.pipeline():
            results = [conn.execute("INSERT INTO q VALUES (%s) RETURNING id", (i,)) for i in range(20)]
            conn.execute("SET work_mem = '8MB'")
            memory = conn.execute("SHOW work_mem")
        show("inserted", [r.fetchone()[0] for r in results], memory.fetchone())
        show("after it", value(conn, "SHOW work_mem"))
        try:
            with conn.pipeline() as p:
                conn.execute("INSERT INTO q VALUES (100)")
                p.sync()
                conn.execute("INSERT INTO q VALUES (100)")
                conn.execute("INSERT INTO q VALUES (101)")
        except psycopg.Error as e:
            show("failed", type(e).__name__, e.sqlstate)
        show("kept", conn.execute("SELECT id FROM q WHERE id >= 100 ORDER BY id").fetchall())
        with conn.pipeline(), conn.transaction():
            conn.execute("SET LOCAL work_mem = '12MB'")
            inside = conn.execute("SHOW work_mem")
        show("within", inside.fetchone(), value(conn, "SHOW work_mem"))
        with conn.pipeline():
            cur = conn.cursor()
            cur.executemany("DELETE FROM q WHERE id = %s", [(i,) for i in range(10)])
        show("left", value(conn, "SELECT count(*) FROM q"))
        conn.execute("DROP TABLE q")


def errors():
    with connect() as conn:
        for text in ("SELECT 1/0", "SELEC 1", "SELECT * FROM nowhere", "SELECT %s::int"):
            refused(conn.execute, text, ("x",) if "%s" in text else None)
            show("state", conn.info.transaction_status.name, value(conn, "SELECT 1"))
        conn.autocommit = False
        conn.execute("SET work_mem = '10MB'")
        refused(conn.execute, "SELECT 1/0")
        show("state", conn.info.transaction_status.name)
        refused(conn.execute, "SELECT 1")
        conn.rollback()
        show("after it", value(conn, "SHOW work_mem"))
        conn.rollback()
    notices = []
    with connect() as conn:
        conn.add_notice_handler(lambda d: notices.append((d.severity, d.sqlstate, d.message_primary)))
        conn.execute("DO $$ BEGIN RAISE NOTICE 'hear %', 1; RAISE WARNING 'and this'; END $$")
        conn.execute("COMMIT")
        show("notices", notices)


def savepoints():
    with connect() as conn:
        conn.execute("CREATE TABLE s (id int PRIMARY KEY)")
        with conn.transaction():
            conn.execute("SET application_name = 'outer'")
            conn.execute("INSERT INTO s VALUES (1)")
            try:
                with conn.transaction():
                    conn.execute("SET application_name = 'inner'")
                    conn.execute("INSERT INTO s VALUES (2)")
                    conn.execute("INSERT INTO s VALUES (1)")
            except psycopg.errors.UniqueViolation as e:
                show("undone", e.sqlstate, value(conn, "SHOW application_name"))
            with conn.transaction("named"):
                conn.execute("INSERT INTO s VALUES (3)")
            with conn.transaction():
                conn.execute("INSERT INTO s VALUES (4)")
                raise psycopg.Rollback()
        show("kept", conn.execute("SELECT * FROM s ORDER BY id").fetchall(), value(conn, "SHOW application_name"))
        conn.execute("DROP TABLE s")


def copy():
    with connect() as conn:
        conn.execute("CREATE TABLE c (id int PRIMARY KEY, v text)")
        with conn.cursor() as cur:
            with cur.copy("COPY c FROM STDIN") as c:
                for i in range(500):
                    c.write_row((i, None if i % 7 == 0 else f"v\t{i}"))
            show("rows", cur.rowcount)
            with cur.copy("COPY (SELECT * FROM c WHERE id < 9 ORDER BY id) TO STDOUT") as c:
                show("out", list(c.rows()))
            with cur.copy("COPY c TO STDOUT (FORMAT binary)") as c:
                show("bytes", sum(len(data) for data in c))
        try:
            with conn.cursor().copy("COPY c FROM STDIN") as c:
                c.write_row((1, "again"))
        except psycopg.Error as e:
            show("refused", e.sqlstate)
        try:
            with conn.cursor().copy("COPY c FROM STDIN") as c:
                c.write_row((1000, "half"))
                raise RuntimeError("enough")
        except psycopg.Error as e:
            show("given up", e.sqlstate, e.diag.message_primary)
        show("count", value(conn, "SELECT count(*) FROM c"))
        conn.execute("DROP TABLE c")


def notify():
    with connect() as conn, connect() as other:
        heard = []
        conn.add_notify_handler(lambda n: heard.append((n.channel, n.payload)))
        conn.execute("LISTEN here")
        conn.execute("NOTIFY here, 'mine'")
        show("own", heard)
        heard.clear()
        with conn.transaction():
            conn.execute("SELECT pg_notify('here', %s)", ("in a transaction",))
            show("not yet", heard)
        show("now", heard)
        heard.clear()
        with other.transaction():
            other.execute("NOTIFY here, 'theirs'")
            other.execute("NOTIFY elsewhere, 'not heard'")
            other.execute("NOTIFY here, 'last'")
        for n in conn.notifies():
            show("theirs", n.channel, n.payload)
            if n.payload == "last":
                break
        conn.execute("UNLISTEN here")
        heard.clear()
        conn.execute("NOTIFY here")
        show("deaf", heard, conn.execute("SELECT pg_listening_channels()").fetchall())


def notify_pid():
    with connect() as conn:
        heard = []
        conn.add_notify_handler(lambda n: heard.append(n.pid == conn.info.backend_pid))
        conn.execute("LISTEN here")
        conn.execute("NOTIFY here")
        show("own", heard)


def temporary():
    with connect() as conn:
        conn.execute("CREATE TEMP TABLE t0 AS SELECT g AS id FROM generate_series(1, 5) g")
        for i in range(8):
            show("rows", value(conn, "SELECT sum(id) FROM t0 WHERE id > %s", i))
        with conn.transaction():
            conn.execute("CREATE TEMP TABLE t1 ON COMMIT DROP AS SELECT 1")
        refused(conn.execute, "SELECT * FROM t1")
        conn.execute("DROP TABLE t0")
        refused(conn.execute, "SELECT * FROM t0")


def advisory():
    with connect() as conn, connect() as other:
        show("locked", value(conn, "SELECT pg_try_advisory_lock(77)"))
        show("by others", value(other, "SELECT pg_try_advisory_lock(77)"))
        show("unlocked", value(conn, "SELECT pg_advisory_unlock(77)"), value(conn, "SELECT pg_advisory_unlock(77)"))
        show("by others", value(other, "SELECT pg_try_advisory_lock(77)"),
             value(other, "SELECT pg_advisory_unlock(77)"))
        with conn.transaction():
            conn.execute("SELECT pg_advisory_xact_lock(78)")
            show("by others", value(other, "SELECT pg_try_advisory_xact_lock(78)"))
        show("by others", value(other, "SELECT pg_try_advisory_xact_lock(78)"))


def types():
    with connect() as conn:
        conn.execute("SET TIME ZONE 'Asia/Kolkata'")
        values = [
            Jsonb({"a": [1, None, "ü"]}), [1, 2, 3], [["a", "b"], ["c", None]], Decimal("1234567890.000123"),
            b"\x00\xff\\'", datetime.date(2020, 2, 29), datetime.timedelta(days=3, seconds=5), True, 1.5e300,
            datetime.datetime(2021, 3, 4, 5, 6, 7, 89, datetime.timezone.utc), "text'\\", None, 1 << 40,
        ]
        for binary in (False, True):
            for v in values:
                cur = conn.cursor(binary=binary)
                show("value", cur.execute("SELECT %s", (v,)).fetchone()[0], cur.description[0].type_code)
        conn.execute("SET DateStyle = 'SQL, DMY'")
        show("date", value(conn, "SELECT '29.02.2020'::date::text"),
             value(conn, "SELECT %s", datetime.date(2020, 2, 29)))
        conn.execute("SET bytea_output = 'escape'")
        show("bytes", value(conn, "SELECT %s", b"\x00\xff\\'"))
        show("numbers", conn.execute(
            "SELECT 1.10::numeric, 0.1::float4, 'NaN'::numeric, 'Infinity'::float8").fetchone())


def own_types():
    """Asked for in the catalogue."""
    with connect() as conn:
        conn.execute("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b mood)")
        register_enum(EnumInfo.fetch(conn, "mood"), conn)
        register_composite(CompositeInfo.fetch(conn, "pair"), conn)
        for _ in range(7):
            a, b = value(conn, "SELECT (%s, %s)::pair", 1, "ok")
            show("pair", a, b.name, [m.name for m in value(conn, "SELECT enum_range(NULL::mood)")])
        conn.execute("DROP TYPE pair; DROP TYPE mood")


def at_once():
    """Two connections of one loop, one of which waits for a lock of the other."""
    async def hold():
        async with await psycopg.AsyncConnection.connect(autocommit=True) as one, \
                await psycopg.AsyncConnection.connect(autocommit=True) as two:
            await one.execute("CREATE TABLE a (id int); INSERT INTO a VALUES (1)")
            await two.execute("SET work_mem = '9MB'")
            async with one.transaction():
                await one.execute("UPDATE a SET id = id + 1")
                waiting = asyncio.create_task(two.execute("UPDATE a SET id = id * 10 RETURNING id"))
                await asyncio.sleep(0.3)
                show("waits", waiting.done(), await (await one.execute("SELECT * FROM a")).fetchone())
            show("then", await (await waiting).fetchone(), await (await two.execute("SHOW work_mem")).fetchone())
            await one.execute("DROP TABLE a")
    asyncio.run(hold())


def cancel():
    with connect() as conn:
        conn.execute("SET work_mem = '9MB'")
        timer = threading.Timer(0.5, conn.cancel)
        timer.start()
        refused(conn.execute, "SELECT pg_sleep(30)")
        timer.join()
        show("after it", value(conn, "SHOW work_mem"))
        refused(conn.execute, "SET statement_timeout = 300; SELECT pg_sleep(30)")
        conn.execute("SET statement_timeout = 300")
        refused(conn.execute, "SELECT pg_sleep(30)")
        show("after it", value(conn, "SHOW statement_timeout"))


if __name__ == "__main__":
    # Of what it had to give up in a pipeline it says more or less.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    run([settings, attributes, start_up, custom, prepared, prepared_view, few_prepared, cursors, pipeline,
         errors, savepoints, copy, notify, notify_pid, temporary, advisory, types, own_types, at_once, cancel])
