# SPDX-License-Identifier: PostgreSQL
"""asyncpg as it comes: named statements in a cache of its own, looks into the catalogue for types, a
pool that resets its connections."""

import asyncio
import datetime
import io
import json
from decimal import Decimal

import asyncpg
from transcript import run, show


async def refused(awaitable):
    """Runs what must fail."""
    try:
        await awaitable
        show("not refused")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncio.TimeoutError) as e:
        show("refused", type(e).__name__, getattr(e, "sqlstate", None), str(e))


def topic(function):
    """Runs it in a loop of its own, on a connection of its own."""
    async def with_connection():
        conn = await asyncpg.connect()
        try:
            await function(conn)
        finally:
            await conn.close()

    def wrapper():
        asyncio.run(with_connection())
    wrapper.__name__ = function.__name__
    return wrapper


@topic
async def settings(conn):
    await conn.execute("SET TIME ZONE 'America/New_York'")
    await conn.execute("SET work_mem = '7MB'; SET search_path = pg_catalog, public")
    await conn.execute("SELECT set_config('statement_timeout', $1, false)", "33s")
    for _ in range(6):
        show("set", conn.get_settings().TimeZone, await conn.fetchval("SHOW TimeZone"),
             await conn.fetchval("SHOW work_mem"), await conn.fetchval("SHOW search_path"),
             await conn.fetchval("SHOW statement_timeout"))
    async with conn.transaction():
        await conn.execute("SET LOCAL work_mem = '9MB'")
        show("local", await conn.fetchval("SHOW work_mem"))
    show("after it", await conn.fetchval("SHOW work_mem"))
    tr = conn.transaction()
    await tr.start()
    await conn.execute("SET work_mem = '11MB'")
    await tr.rollback()
    show("rolled back", await conn.fetchval("SHOW work_mem"))
    await refused(conn.execute("SET work_mem = 'much'"))
    await refused(conn.fetchval("SET work_mem = 'much'"))
    async with conn.transaction(isolation="serializable", readonly=True, deferrable=True):
        show("serializable", await conn.fetchval("SHOW transaction_isolation"),
             await conn.fetchval("SHOW transaction_read_only"))
    await conn.reset()
    show("reset", await conn.fetchval("SHOW TimeZone"), await conn.fetchval("SHOW work_mem"),
         await conn.fetchval("SHOW search_path"))


@topic
async def start_up(_):
    wanted = {"work_mem": "5MB", "app.start": "one", "application_name": "start", "TimeZone": "Asia/Tokyo"}
    conn = await asyncpg.connect(server_settings=wanted)
    for _ in range(4):
        show("options", [await conn.fetchval(f"SHOW {name}") for name in wanted])
    await conn.execute("SET work_mem = '6MB'; SET app.start = 'two'; SET TimeZone = 'UTC'")
    show("set", [await conn.fetchval(f"SHOW {name}") for name in wanted])
    await conn.reset()
    show("reset", [await conn.fetchval(f"SHOW {name}") for name in wanted])
    await conn.close()


@topic
async def custom(conn):
    for tenant in ("one", "two's", "drei ü"):
        await conn.execute("SELECT set_config('app.tenant', $1, false)", tenant)
        show("tenant", await conn.fetchval("SELECT current_setting('app.tenant')"))
        async with conn.transaction():
            await conn.execute("SELECT set_config('app.tenant', $1, true)", "within")
            show("within", await conn.fetchval("SHOW app.tenant"))
        show("after it", await conn.fetchval("SHOW app.tenant"))
    await refused(conn.fetchval("SHOW app.never_was"))


@topic
async def prepared(conn):
    await conn.execute("CREATE TABLE p (id int PRIMARY KEY, v text)")
    await conn.executemany("INSERT INTO p VALUES ($1, $2)", [(i, f"v{i}") for i in range(12)])
    for i in range(6):
        show("row", tuple(await conn.fetchrow("SELECT * FROM p WHERE id = $1", i)))
    one = await conn.prepare("SELECT id, v FROM p WHERE id > $1 ORDER BY id")
    other = await conn.prepare("UPDATE p SET v = v || '!' WHERE id = $1 RETURNING v")
    show("parameters", [t.name for t in one.get_parameters()], [a.name for a in one.get_attributes()])
    for i in range(5):
        show("both", (await one.fetchrow(8))["v"], await other.fetchval(9 + i % 2), one.get_statusmsg())
    await refused(conn.prepare("SELECT nothing FROM p"))
    await conn.execute("ALTER TABLE p ADD more int DEFAULT 3")
    for i in range(4):
        show("other shape", tuple(await conn.fetchrow("SELECT * FROM p WHERE id = $1", i)))
    async with conn.transaction():
        await conn.execute("ALTER TABLE p DROP more")
        await refused(conn.fetchrow("SELECT * FROM p WHERE id = $1", 1))
        await refused(conn.execute("SELECT 1"))
    show("open", tuple(await conn.fetchrow("SELECT * FROM p WHERE id = $1", 2)))
    await conn.execute("DROP TABLE p")


@topic
async def prepared_again(conn):
    """The cache is small, so statements are closed, too."""
    few = await asyncpg.connect(statement_cache_size=2)
    for i in range(12):
        show("few", await few.fetchval(f"SELECT {i % 4} + $1::int", i))
    await few.close()
    none = await asyncpg.connect(statement_cache_size=0)
    for i in range(4):
        show("none", await none.fetchval("SELECT $1::int + 1", i))
    await none.close()
    for i in range(4):
        show("before", await conn.fetchval("SELECT $1::int * 2", i))
    await conn.execute("DEALLOCATE ALL")
    await refused(conn.fetchval("SELECT $1::int * 2", 1))
    await conn.reload_schema_state()
    show("again", await conn.fetchval("SELECT $1::int * 2", 1))
    statement = await conn.prepare("SELECT 'discarded'")
    await conn.execute("DISCARD ALL")
    await refused(statement.fetchval())


@topic
async def cursors(conn):
    async with conn.transaction():
        show("rows", [r[0] async for r in conn.cursor("SELECT generate_series(1, 20)", prefetch=3)])
        cur = await conn.cursor("SELECT g, g * g FROM generate_series(1, 50) g WHERE g > $1", 3)
        show("first", tuple(await cur.fetchrow()), [tuple(r) for r in await cur.fetch(2)])
        show("moved", await cur.forward(10), tuple(await cur.fetchrow()))
        show("between", await conn.fetchval("SELECT 'meanwhile'"), tuple(await cur.fetchrow()))
        statement = await conn.prepare("SELECT generate_series(1, $1::int)")
        show("two", [(a[0], b[0]) for a, b in zip([r async for r in statement.cursor(3)],
                                                  [r async for r in statement.cursor(5)])])
    await refused(conn.cursor("SELECT 1"))
    await conn.execute("BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT generate_series(1, 5); COMMIT")
    show("held", [r[0] for r in await conn.fetch("FETCH 3 FROM held")], await conn.fetchval("SELECT 'meanwhile'"),
         [r[0] for r in await conn.fetch("FETCH ALL FROM held")])
    await conn.execute("CLOSE held")


@topic
async def batches(conn):
    await conn.execute("CREATE TABLE q (id int PRIMARY KEY)")
    await conn.executemany("INSERT INTO q VALUES ($1)", [(i,) for i in range(3000)])
    await refused(conn.executemany("INSERT INTO q VALUES ($1)", [(i,) for i in (9000, 9001, 1, 9002)]))
    show("all or none", await conn.fetchval("SELECT count(*) FROM q"))
    await conn.executemany("SELECT set_config('app.' || $1, $2, false)", [("a", "1"), ("b", "2")])
    show("set", await conn.fetchval("SHOW app.a"), await conn.fetchval("SHOW app.b"))
    await conn.execute("DROP TABLE q")


@topic
async def errors(conn):
    await conn.execute("SET work_mem = '10MB'")
    for text in ("SELECT 1/0", "SELEC 1", "SELECT * FROM nowhere", "SELECT 'x'::int"):
        await refused(conn.fetch(text))
        await refused(conn.execute(text))
        show("after it", await conn.fetchval("SHOW work_mem"))
    await refused(conn.fetchval("SELECT $1::int / 0", 1))
    tr = conn.transaction()
    await tr.start()
    await refused(conn.fetchval("SELECT 1/0"))
    await refused(conn.fetchval("SELECT 1"))
    await tr.rollback()
    heard = []
    conn.add_log_listener(lambda _, message: heard.append((message.sqlstate, message.message)))
    await conn.execute("DO $$ BEGIN RAISE NOTICE 'hear %', 1; RAISE WARNING 'and this'; END $$")
    await conn.execute("SELECT 1")
    await asyncio.sleep(0)
    show("notices", heard)


@topic
async def savepoints(conn):
    await conn.execute("CREATE TABLE s (id int PRIMARY KEY)")
    async with conn.transaction():
        await conn.execute("SET application_name = 'outer'")
        await conn.execute("INSERT INTO s VALUES (1)")
        try:
            async with conn.transaction():
                await conn.execute("SET application_name = 'inner'")
                await conn.execute("INSERT INTO s VALUES (2)")
                await conn.execute("INSERT INTO s VALUES ($1)", 1)
        except asyncpg.UniqueViolationError as e:
            show("undone", e.sqlstate, await conn.fetchval("SHOW application_name"))
        async with conn.transaction():
            await conn.execute("INSERT INTO s VALUES (3)")
    show("kept", [r[0] for r in await conn.fetch("SELECT * FROM s ORDER BY id")],
         await conn.fetchval("SHOW application_name"))
    await conn.execute("DROP TABLE s")


@topic
async def copy(conn):
    await conn.execute("CREATE TABLE c (id int PRIMARY KEY, v text, t timestamptz)")
    when = datetime.datetime(2021, 3, 4, 5, 6, 7, 89, datetime.timezone.utc)
    show("in", await conn.copy_records_to_table("c", records=[(i, f"v{i}", when) for i in range(500)]))
    out = io.BytesIO()
    show("out", await conn.copy_from_query("SELECT * FROM c WHERE id < $1 ORDER BY id", 3, output=out,
                                           format="csv"), out.getvalue())
    out = io.BytesIO()
    show("out", await conn.copy_from_table("c", output=out, format="binary"), len(out.getvalue()))
    await refused(conn.copy_records_to_table("c", records=[(1, "again", None)]))
    await refused(conn.copy_to_table("c", source=io.BytesIO(b"nonsense\n")))
    show("count", await conn.fetchval("SELECT count(*) FROM c"))
    await conn.execute("DROP TABLE c")


@topic
async def notify(conn):
    other = await asyncpg.connect()
    heard = []
    last = asyncio.Event()

    def hear(_, pid, channel, payload):
        heard.append((channel, payload))
        if payload == "last":
            last.set()

    await conn.add_listener("here", hear)
    await conn.execute("NOTIFY here, 'mine'")
    async with conn.transaction():
        await conn.execute("SELECT pg_notify('here', $1)", "in a transaction")
    await other.execute("NOTIFY here, 'theirs'; NOTIFY elsewhere, 'not heard'; NOTIFY here, 'last'")
    await asyncio.wait_for(last.wait(), 20)
    show("heard", heard)
    await conn.remove_listener("here", hear)
    show("deaf", await conn.fetch("SELECT pg_listening_channels()"))
    await other.close()


@topic
async def temporary(conn):
    await conn.execute("CREATE TEMP TABLE t0 AS SELECT g AS id FROM generate_series(1, 5) g")
    for i in range(5):
        show("rows", await conn.fetchval("SELECT sum(id) FROM t0 WHERE id > $1", i))
    async with conn.transaction():
        await conn.execute("CREATE TEMP TABLE t1 ON COMMIT DROP AS SELECT 1 AS id")
        show("kept for a while", await conn.fetchval("SELECT id FROM t1"))
    await refused(conn.fetch("SELECT * FROM t1"))
    await conn.execute("DROP TABLE t0")
    await refused(conn.fetch("SELECT * FROM t0"))


@topic
async def advisory(conn):
    other = await asyncpg.connect()
    show("locked", await conn.fetchval("SELECT pg_try_advisory_lock(97)"))
    show("by others", await other.fetchval("SELECT pg_try_advisory_lock(97)"))
    show("unlocked", await conn.fetchval("SELECT pg_advisory_unlock(97)"))
    show("by others", await other.fetchval("SELECT pg_try_advisory_lock(97)"))
    await other.reset()
    show("by reset", await conn.fetchval("SELECT pg_try_advisory_lock(97)"))
    await other.close()


@topic
async def types(conn):
    """Of those that asyncpg does not know it asks the catalogue, with a statement that it keeps."""
    await conn.execute("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b mood[])")
    await conn.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    await conn.execute("SET TIME ZONE 'Asia/Kolkata'")
    wanted = [
        ("jsonb", {"a": [1, None, "ü"]}), ("int[]", [1, 2, 3]), ("text[]", [["a", "b"], ["c", None]]),
        ("numeric", Decimal("1234567890.000123")), ("bytea", b"\x00\xff\\'"), ("date", datetime.date(2020, 2, 29)),
        ("interval", datetime.timedelta(days=3, seconds=5)), ("bool", True), ("float8", 1.5e300), ("text", "text'\\"),
        ("timestamptz", datetime.datetime(2021, 3, 4, 5, 6, 7, 89, datetime.timezone.utc)), ("int", None),
        ("mood", "ok"), ("mood[]", ["ok", "sad"]), ("pair", (1, ["sad"])), ("int4range", asyncpg.Range(1, 5)),
    ]
    for kind, value in wanted:
        found = await conn.fetchval(f"SELECT $1::{kind}", value)
        show("value", kind, tuple(found) if kind == "pair" else found)
    show("text", await conn.fetchval("SELECT '2021-03-04 05:06:07+00'::timestamptz::text"))
    await conn.execute("DROP TYPE pair; DROP TYPE mood")


@topic
async def cancel(conn):
    await conn.execute("SET work_mem = '9MB'")
    await refused(conn.fetch("SELECT pg_sleep(30)", timeout=0.5))
    show("after it", await conn.fetchval("SHOW work_mem"))
    await conn.execute("SET statement_timeout = 300")
    await refused(conn.fetch("SELECT pg_sleep(30)"))
    show("after it", await conn.fetchval("SHOW statement_timeout"))


@topic
async def pool(_):
    async def with_one(number):
        async with made.acquire() as conn:
            show_to.append((number, await conn.fetchval("SHOW work_mem"), await conn.fetchval("SHOW app.pool")))
            await conn.execute(f"SET work_mem = '{number}MB'")
            show_to.append((number, await conn.fetchval("SHOW work_mem")))

    show_to = []
    async with asyncpg.create_pool(min_size=1, max_size=4, server_settings={"app.pool": "mine"}) as made:
        await asyncio.gather(*(with_one(number) for number in range(11, 31)))
        show("size", made.get_max_size())
    show("seen", sorted(show_to))


if __name__ == "__main__":
    run([settings, start_up, custom, prepared, prepared_again, cursors, batches, errors, savepoints, copy, notify,
         temporary, advisory, types, cancel, pool])
