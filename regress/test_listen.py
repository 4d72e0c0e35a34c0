# SPDX-License-Identifier: PostgreSQL
"""LISTEN holds no server connection: one for each database hears for all clients. What a client is
told, and when, is what PostgreSQL itself would tell it."""

import asyncio
import random
import select
import struct
import threading
import time
from collections import namedtuple

import asyncpg
import pytest

from lib.netproxy import NetProxy
from lib.wait import TIME_FACTOR, stays_true, wait_for
from lib.wire import Closed, bind, execute, parse, query, sync

pytestmark = pytest.mark.pgweir_only

Heard = namedtuple("Heard", "pid channel payload")


def heard(messages):
    """The notifications among them."""
    found = []
    for m in messages:
        if m.kind == "A":
            channel, payload = m.body[4:].split(b"\0")[:2]
            found.append(Heard(struct.unpack_from("!I", m.body)[0], channel.decode(),
                               payload.decode()))
    return found


def texts(messages):
    return [(n.channel, n.payload) for n in heard(messages)]


def hear(conn, count=1):
    """Waits for that many, as (channel, payload)."""
    found = []
    while len(found) < count:
        found += texts([conn.recv()])
    return found


def own_pid(conn):
    return struct.unpack_from("!I", conn.key)[0]


def is_silent(conn):
    """Nothing has come, nor does in what it takes to ask and to be answered."""
    return conn.query("SELECT 1").kinds == "TDCZ"


def quoted(channel):
    return '"' + channel.replace('"', '""') + '"'


def hubs(pooler):
    return pooler.log_count("listens for all clients")


def listening(pg, db):
    """Backends of the database that have said LISTEN or NOTIFY last; the hub is the one that stays."""
    return [pid for pid, in pg.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = %s AND query LIKE '%%LISTEN%%'"
        " AND query NOT LIKE '%%pg_stat_activity%%' AND query NOT LIKE 'UNLISTEN *%%'", (db,))]


def hub_pid(pg, db):
    return wait_for(lambda: listening(pg, db))[0]


def is_held(pooler):
    """Do clients hold server connections? The hub is nobody's."""
    return any(row["state"] == "active" and row["link"] for row in pooler.console("SHOW SERVERS"))


@pytest.fixture
def pooler(make_pooler):
    return make_pooler(pool_mode="transaction", default_pool_size=4, server_round_robin=1,
                       session_state="track")


@pytest.fixture
def notifier(pg, db):
    with pg.connect(db) as conn:
        yield lambda channel, payload="": conn.execute("SELECT pg_notify(%s, %s)",
                                                       (channel, payload))


# ---- what it costs ----

def test_the_hub_is_shown_as_a_server_of_nobody(pooler, pg, db):
    conn = pooler.raw()
    assert conn.query("LISTEN x").error is None
    hub = str(hub_pid(pg, db))
    wait_for(lambda: not is_held(pooler))
    rows = [row for row in pooler.console("SHOW SERVERS") if row["remote_pid"] == hub]
    assert [(row["state"], row["link"]) for row in rows] == [("active", "")]


def many_listeners(make_pooler, pg, db, notifier, clients, channels):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=4, session_state="track",
                         max_client_conn=clients + 10, worker_threads=2)
    conns = [pooler.raw() for _ in range(clients)]
    for i, conn in enumerate(conns):
        assert conn.query(f"LISTEN c{i % channels}").error is None
    wait_for(lambda: not is_held(pooler))
    assert hubs(pooler) == 1
    assert pooler.console("SHOW PINS") == []
    for i in range(channels):
        notifier(f"c{i}", f"for {i}")
    for i, conn in enumerate(conns):
        assert hear(conn) == [(f"c{i % channels}", f"for {i % channels}")]
    wait_for(lambda: len(listening(pg, db)) == 1)
    assert all(is_silent(conn) for conn in conns[:20])
    return pooler, conns


def test_many_listeners_one_connection(make_pooler, pg, db, notifier):
    many_listeners(make_pooler, pg, db, notifier, 500, 20)


@pytest.mark.full
def test_ten_thousand_listeners_one_connection(make_pooler, pg, db, notifier, many_files):
    many_listeners(make_pooler, pg, db, notifier, 10000, 100)


def test_more_listeners_than_the_pool_at_once(make_pooler, notifier):
    """Nobody waits for anybody, though all servers are taken by those who begin to listen."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track")
    conns = [pooler.raw() for _ in range(30)]
    for conn in conns:
        conn.send(query("LISTEN x"))
    for conn in conns:
        assert conn.result().error is None
    notifier("x", "to all")
    assert all(hear(conn) == [("x", "to all")] for conn in conns)


def test_nobody_listens_any_more(pooler, pg, db):
    with pooler.raw() as conn:
        conn.query("LISTEN x")
        wait_for(lambda: hubs(pooler) == 1)
    wait_for(lambda: "nobody listens any more" in pooler.log_text(), timeout=20)
    wait_for(lambda: not is_held(pooler))
    with pooler.raw() as conn:
        conn.query("LISTEN x")
        wait_for(lambda: hubs(pooler) == 2)
        assert texts(conn.query("NOTIFY x, 'again'").messages) == [("x", "again")]


# ---- what PostgreSQL would do ----

def run_both(pooler, pg, db, *batches):
    """What came for each batch, directly and through the pooler; a list is one pipeline."""
    sessions = [pg.raw("alice", db), pooler.raw()]
    for batch in batches:
        answers = []
        for conn in sessions:
            if isinstance(batch, list):
                result = conn.run(*batch)
            else:
                result = conn.query(batch)
            me = own_pid(conn)
            answers.append((result.kinds, [(n.channel, n.payload, n.pid == me)
                                           for n in heard(result.messages)],
                            result.rows, result.status, result.error and result.error.code))
        assert answers[0] == answers[1], batch
    for conn in sessions:
        conn.close()


def prepared(text):
    return [parse("", text), bind(), execute(), sync()]


SCRIPTS = {
    "own": ["LISTEN x", "NOTIFY x", "NOTIFY x, 'payload'", "SELECT pg_notify('x', 'by function')",
            "NOTIFY y, 'not mine'", "UNLISTEN x", "NOTIFY x"],
    "in a transaction": ["LISTEN x", "BEGIN", "NOTIFY x, '1'", "SELECT 1", "NOTIFY x, '2'",
                         "COMMIT", "SELECT 1"],
    "rolled back": ["BEGIN", "LISTEN x", "ROLLBACK", "NOTIFY x", "LISTEN x", "BEGIN", "UNLISTEN x",
                    "ROLLBACK", "NOTIFY x", "BEGIN", "NOTIFY x, 'no'", "ROLLBACK", "SELECT 1"],
    "savepoints": ["LISTEN a", "BEGIN", "SAVEPOINT s", "LISTEN b", "UNLISTEN a", "ROLLBACK TO s",
                   "LISTEN c", "RELEASE s", "COMMIT", "NOTIFY a", "NOTIFY b", "NOTIFY c",
                   "SELECT pg_listening_channels()"],
    "failed": ["LISTEN a", "BEGIN", "LISTEN b", "SELECT 1/0", "COMMIT", "NOTIFY b", "NOTIFY a",
               "LISTEN c; SELECT 1/0", "SELECT pg_listening_channels()"],
    "all at once": ["LISTEN a; LISTEN b; NOTIFY b, 'x'; SELECT 1", "NOTIFY a; NOTIFY b",
                    "UNLISTEN *; LISTEN c", "SELECT pg_listening_channels()",
                    "NOTIFY a; NOTIFY c"],
    "discard": ["LISTEN a", "SELECT pg_listening_channels()", "DISCARD ALL",
                "SELECT pg_listening_channels()", "NOTIFY a", "LISTEN a", "UNLISTEN *", "NOTIFY a"],
    "code": ["LISTEN a", "DO $$ BEGIN LISTEN b; UNLISTEN a; PERFORM pg_notify('b', 'x'); END $$",
             "SELECT pg_listening_channels()", "NOTIFY a; NOTIFY b",
             "DO $$ BEGIN EXECUTE 'UNLISTEN *'; END $$", "NOTIFY b",
             "SELECT pg_listening_channels()"],
    "order of channels": ["LISTEN z", "LISTEN b", "LISTEN m", "LISTEN b",
                          "SELECT pg_listening_channels()", "UNLISTEN b", "LISTEN b",
                          "SELECT pg_listening_channels()"],
    "extended": [prepared("LISTEN x"), prepared("SELECT pg_notify('x', '1')"),
                 prepared("NOTIFY x, '2'"), prepared("BEGIN"), prepared("NOTIFY x, '3'"),
                 prepared("SELECT 1"), prepared("COMMIT"), prepared("UNLISTEN x"),
                 prepared("NOTIFY x, '4'")],
    "pipeline": [[parse("", "LISTEN x"), bind(), execute(), parse("", "NOTIFY x, '1'"), bind(),
                  execute(), sync()],
                 [parse("", "SELECT 1"), bind(), execute(), parse("", "UNLISTEN x"), bind(),
                  execute(), parse("", "LISTEN y"), bind(), execute(), sync()],
                 "SELECT pg_listening_channels()", "NOTIFY x; NOTIFY y"],
    "temporary table": ["LISTEN a", "CREATE TEMP TABLE t (v int)", "NOTIFY a, '1'", "LISTEN b",
                        "NOTIFY b, '2'", "DROP TABLE t", "NOTIFY b, '3'; NOTIFY a, '4'",
                        "SELECT pg_listening_channels()"],
    "settings": ["SET app.x = 'mine'", "LISTEN a", "SET work_mem = '3MB'", "NOTIFY a",
                 "SHOW work_mem", "SHOW app.x", "RESET ALL", "NOTIFY a"],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_as_directly(pooler, pg, db, second_db, name):
    with pooler.raw("bob") as other:
        other.query("LISTEN other")
        run_both(pooler, pg, second_db, *SCRIPTS[name])
        wait_for(lambda: pooler.console("SHOW PINS") == [])
        assert texts(other.query("NOTIFY other, 'x'").messages) == [("other", "x")]


@pytest.fixture
def second_db(pg):
    """What one listens to directly must not be what the other hears."""
    name = pg.create_database()
    yield name
    pg.drop_database(name)


CHANNELS = ["x", "UPPER", 'with "quotes"', "a'b", "back\\slash", "käse ☃", "x" * 63, "ä" * 31,
            "a.b", " ", "$1", "--", "select"]


@pytest.mark.parametrize("channel", CHANNELS)
def test_names_of_channels(pooler, notifier, channel):
    conn, other = pooler.raw(), pooler.raw()
    assert conn.query(f"LISTEN {quoted(channel)}").error is None
    wait_for(lambda: not is_held(pooler))
    other.query(f"LISTEN {quoted(channel)}")
    notifier(channel, "hello")
    assert hear(conn) == [(channel, "hello")]
    assert conn.query("SELECT pg_listening_channels()").rows == [[channel]]
    assert conn.query(f"UNLISTEN {quoted(channel)}").error is None
    notifier(channel, "again")
    assert hear(other, 2) == [(channel, "hello"), (channel, "again")]
    assert is_silent(conn)


def test_a_name_that_is_too_long(pooler, notifier):
    conn = pooler.raw()
    assert conn.query("LISTEN " + "y" * 70).notices[0].code == "42622"
    notifier("y" * 63, "cut")
    assert hear(conn) == [("y" * 63, "cut")]


def test_payloads(pooler, notifier):
    conn = pooler.raw()
    conn.query("LISTEN x")
    wait_for(lambda: not is_held(pooler))
    for payload in ("", "z" * 7999, "käse ☃", "'\"\\", "a\nb"):
        notifier("x", payload)
        assert hear(conn) == [("x", payload)]
    assert texts(conn.query(f"NOTIFY x, '{'z' * 7999}'").messages) == [("x", "z" * 7999)]


def test_numbers_of_processes(pooler, pg, db):
    """One's own is what one was told at login, whichever server it was; others' are the servers'."""
    conn = pooler.raw()
    conn.query("LISTEN x")
    for _ in range(5):
        assert heard(conn.query("NOTIFY x").messages) == [Heard(own_pid(conn), "x", "")]
    with pg.connect(db) as other:
        other.execute("NOTIFY x, 'other'")
        assert heard([conn.recv()]) == [Heard(other.info.backend_pid, "x", "other")]


def test_none_within_a_transaction(pooler, notifier):
    conn, other = pooler.raw(), pooler.raw()
    conn.query("LISTEN x")
    other.query("LISTEN x")
    assert conn.query("BEGIN").kinds == "CZ"
    notifier("x", "now")
    assert hear(other) == [("x", "now")]
    assert conn.query("SELECT 1").kinds == "TDCZ"
    result = conn.query("COMMIT")
    assert result.kinds == "CAZ"
    assert texts(result.messages) == [("x", "now")]


def test_nothing_is_left_behind(pooler):
    """Whoever gets the server next listens to nothing."""
    conn = pooler.raw()
    conn.query("LISTEN x")
    for _ in range(3):
        assert conn.query("SELECT 1").error is None
    wait_for(lambda: not is_held(pooler))
    others = [pooler.raw() for _ in range(3)]
    for other in others:
        assert other.query("BEGIN; SELECT pg_listening_channels()").rows == []


def test_one_that_dies_in_the_middle(pooler, notifier):
    for text in ("LISTEN x", "BEGIN; LISTEN x", "LISTEN x; SELECT pg_sleep(100)"):
        conn = pooler.raw()
        conn.query("LISTEN a")
        conn.send(query(text))
        conn.reset()
    conn = pooler.raw()
    conn.query("LISTEN x")
    notifier("x", "alive")
    assert hear(conn) == [("x", "alive")]
    wait_for(lambda: not is_held(pooler))


def test_behind_a_cancelled_statement(pooler, pg, db, notifier):
    conn = pooler.raw()
    conn.query("LISTEN x")
    conn.send(query("SELECT pg_sleep(100)"))
    pg.wait_running(db, "pg_sleep")
    conn.cancel()
    assert conn.result().error.code == "57014"
    notifier("x", "after")
    assert hear(conn) == [("x", "after")]


# ---- drivers ----

def test_psycopg(pooler, notifier):
    """What comes with an answer goes to handlers, what comes by itself to who waits for it."""
    conn, found = pooler.connect(), []
    conn.add_notify_handler(lambda n: found.append((n.channel, n.payload)))
    conn.execute("LISTEN x")
    conn.execute("LISTEN y")
    conn.execute("NOTIFY x, '1'")
    assert found == [("x", "1")]
    waiting = conn.notifies()
    for channel, payload in (("y", "2"), ("x", "3")):
        notifier(channel, payload)
        n = next(waiting)
        assert (n.channel, n.payload) == (channel, payload)
    waiting.close()


def test_psycopg_in_transactions(pooler, notifier):
    conn = pooler.connect(autocommit=False)
    conn.execute("LISTEN x")
    conn.commit()
    conn.execute("UNLISTEN x")
    conn.rollback()
    notifier("x", "1")
    assert next(conn.notifies()).payload == "1"
    conn.execute("UNLISTEN x")
    conn.commit()
    notifier("x", "2")
    assert conn.execute("SELECT pg_listening_channels()").fetchall() == []


def test_asyncpg(pooler, notifier):
    async def run():
        conn = await asyncpg.connect(**{k: v for k, v in pooler.dsn().items() if k in (
            "host", "port", "user", "password")}, database=pooler.db, statement_cache_size=10)
        found = asyncio.Queue()
        await conn.add_listener("x", lambda *args: found.put_nowait(args[1:]))
        notifier("x", "from outside")
        first = await asyncio.wait_for(found.get(), 10)
        async with conn.transaction():
            await conn.execute("SELECT pg_notify($1, $2)", "x", "from within")
        second = await asyncio.wait_for(found.get(), 10)
        assert first[1:] == ("x", "from outside")
        assert second == (conn.get_server_pid(), "x", "from within")
        await conn.remove_listener("x", lambda *args: None)
        await conn.close()
    asyncio.run(run())


# ---- everything at once ----

class Notifier(threading.Thread):
    """Numbers what it says on each channel."""

    def __init__(self, login, name, channels, seed, over):
        super().__init__()
        self.conn, self.name, self.channels = login(), name, channels
        self.rng, self.over = random.Random(seed), over
        self.said = dict.fromkeys(channels, 0)

    def say(self, channels):
        for channel in channels:
            self.said[channel] += 1
        self.conn.query("BEGIN;" + "".join(
            f"NOTIFY {c}, '{self.name} {self.said[c]}';" for c in channels) + "COMMIT")

    def run(self):
        while not self.over.is_set():
            self.say(self.rng.sample(self.channels, self.rng.randint(1, 3)))
        self.say(self.channels)


class Listener(threading.Thread):
    """Listens now to these channels, now to those, and always to the first one."""

    def __init__(self, conn, channels, seed, over):
        super().__init__()
        self.conn, self.channels, self.over = conn, channels, over
        self.rng = random.Random(seed)
        self.wanted = set()
        self.last = {}  # (channel, notifier) -> number; None: it has just begun to listen
        self.count = 0
        self.status = "I"
        self.wrong = []

    def note(self, message):
        assert self.status != "T", "a notification within a transaction"
        for n in heard([message]):
            who, number = n.payload.split()
            before = self.last.get((n.channel, who))
            if n.channel in self.wanted and before is not None and int(number) != before + 1:
                self.wrong.append((n, before))
            if n.channel not in self.wanted and before is not None and int(number) <= before:
                self.wrong.append((n, before))
            self.last[n.channel, who] = int(number)
            self.count += 1

    def ask(self, text):
        self.conn.send(query(text))
        while True:
            m = self.conn.recv()
            assert m.kind not in "EN", (text, m.fields())
            if m.kind == "C" and text in ("COMMIT", "ROLLBACK"):
                self.status = "I"
            elif m.kind == "A":
                self.note(m)
            elif m.kind == "Z":
                self.status = m.body.decode()
                return

    def begin(self, channel):
        """From now on none may be missing; the first may have any number."""
        self.ask(f"LISTEN {channel}")
        self.wanted.add(channel)

    def end(self, channel):
        self.wanted.discard(channel)
        self.ask(f"UNLISTEN {channel}")
        self.last = {k: v for k, v in self.last.items() if k[0] != channel}

    def turn(self):
        channel = self.rng.choice(self.channels[1:])
        what = self.rng.random()
        if what < 0.3:
            (self.end if channel in self.wanted else self.begin)(channel)
        elif what < 0.5:
            self.ask("BEGIN")
            self.ask("SELECT 1")
            self.ask("ROLLBACK" if what < 0.4 else "COMMIT")
        elif what < 0.6:
            self.ask("SELECT 1")
        else:
            self.idle(self.rng.random() * 0.05)

    def idle(self, seconds):
        """Hears what comes, however much that is, for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.conn.buffer or select.select([self.conn.sock], [], [], left)[0]:
                self.note(self.conn.recv())

    def run(self):
        self.begin(self.channels[0])
        while not self.over.is_set():
            self.turn()

    def finish(self, said):
        """Waits until all that was said is heard."""
        for (channel, who), number in said.items():
            while channel in self.wanted and self.last.get((channel, who), 0) < number:
                self.note(self.conn.recv())


def storm(pooler, pg, db, seconds, clients, seed):
    channels = [f"c{i}" for i in range(6)]
    notifiers_over, listeners_over = threading.Event(), threading.Event()
    listeners = [Listener(pooler.raw(), channels, seed + i, listeners_over)
                 for i in range(clients)]
    notifiers = [Notifier(login, f"n{i}", channels, seed - i, notifiers_over) for i, login in
                 enumerate([pooler.raw, pooler.raw, lambda: pg.raw("alice", db)])]
    for thread in listeners + notifiers:
        thread.start()
    stays_true(lambda: all(thread.is_alive() for thread in listeners), seconds)
    listeners_over.set()
    for thread in listeners:
        thread.join()
    notifiers_over.set()
    for thread in notifiers:
        thread.join()
    said = {(c, n.name): n.said[c] for n in notifiers for c in channels}
    for listener in listeners:
        listener.finish(said)
        assert listener.wrong == [], listener.wrong[:5]
    return listeners


@pytest.mark.parametrize("workers", [1, 2])
def test_storm(make_pooler, pg, db, workers):
    """None is lost, none comes twice, none before another that was sent first."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    pooler = make_pooler(pool_mode="transaction", default_pool_size=5, session_state="track",
                         worker_threads=workers)
    listeners = storm(pooler, pg, db, 4, 8, seed)
    assert sum(listener.count for listener in listeners) > 100
    wait_for(lambda: not is_held(pooler))
    assert hubs(pooler) == 1


@pytest.mark.full
def test_long_storm(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=5, session_state="track",
                         worker_threads=2)
    storm(pooler, pg, db, 60, 30, random.randrange(1 << 32))
    assert hubs(pooler) == 1


# ---- when it fails ----

def told(conn):
    """Waits for the notice that something may be missing; what came before it is returned."""
    messages = conn.recv_until("N")
    assert messages[-1].fields()["C"] == "01000"
    assert messages[-1].fields()["S"] == "NOTICE"
    return texts(messages)


@pytest.mark.parametrize("workers", [1, 2])
def test_loss_of_the_hub(make_pooler, pg, db, notifier, workers):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3, session_state="track",
                         worker_threads=workers)
    conns = [pooler.raw() for _ in range(10)]
    idle = pooler.raw()
    for i, conn in enumerate(conns):
        conn.query(f"LISTEN x; LISTEN c{i}")
    wait_for(lambda: not is_held(pooler))
    for _ in range(2):
        pg.execute("SELECT pg_terminate_backend(%s)", (hub_pid(pg, db),))
        assert [told(conn) for conn in conns] == [[]] * 10
        notifier("x", "again")
        notifier("c3", "as well")
        assert all(hear(conn) == [("x", "again")] for conn in conns)
        assert hear(conns[3]) == [("c3", "as well")]
        assert texts(conns[4].query("NOTIFY c4").messages) == [("c4", "")]
    assert hubs(pooler) == 3
    assert is_silent(idle) and idle.notices == []


def test_loss_while_a_client_has_a_link(make_pooler, pg, db, notifier):
    """It has missed nothing: its own server has heard it all."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3, session_state="track")
    conn, other = pooler.raw(), pooler.raw()
    other.query("LISTEN x")
    conn.query("LISTEN x")
    wait_for(lambda: not is_held(pooler))
    hub = hub_pid(pg, db)
    conn.query("BEGIN")
    pg.execute("SELECT pg_terminate_backend(%s)", (hub,))
    assert told(other) == []
    notifier("x", "meanwhile")
    result = conn.query("COMMIT")
    assert result.kinds == "CAZ" and texts(result.messages) == [("x", "meanwhile")]
    assert hear(other) == [("x", "meanwhile")]
    notifier("x", "later")
    assert hear(conn) == [("x", "later")]


def test_pool_of_one(make_pooler, notifier):
    """There would be none left: the client keeps its server, as other things make it do."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    conn = pooler.raw()
    conn.query("LISTEN x")
    wait_for(lambda: [row["reasons"] for row in pooler.console("SHOW PINS")] == ["listen"])
    notifier("x", "1")
    assert hear(conn) == [("x", "1")]
    assert heard(conn.query("NOTIFY x").messages) == [Heard(own_pid(conn), "x", "")]
    conn.query("UNLISTEN x")
    wait_for(lambda: pooler.console("SHOW PINS") == [])


def test_hub_and_pinned_leave_something(make_pooler):
    """Together they never have the whole pool."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track")
    conn, greedy, other = pooler.raw(), pooler.raw(), pooler.raw()
    conn.query("LISTEN x")
    wait_for(lambda: hubs(pooler) == 1)
    greedy.send(query("CREATE TEMP TABLE t (v int)"))
    error = greedy.expect_fatal()
    assert error.code == "53400" and "listens for all clients" in error.fields["D"]
    assert other.query("SELECT 1").value() == "1"
    assert texts(conn.query("NOTIFY x, 'on'").messages) == [("x", "on")]


def test_pinned_then_hub(make_pooler):
    """Whoever listens and is pinned becomes the hub when only that keeps it; others do not before."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track")
    conn, greedy, other = pooler.raw(), pooler.raw(), pooler.raw()
    conn.query("CREATE TEMP TABLE t (v int)")
    conn.query("LISTEN x")
    wait_for(lambda: len(pooler.console("SHOW PINS")) == 1)
    greedy.send(query("LISTEN y"))
    assert greedy.expect_fatal().code == "53400"
    assert other.query("SELECT 1").value() == "1"
    assert conn.query("DROP TABLE t").error is None
    wait_for(lambda: pooler.console("SHOW PINS") == [])
    assert hubs(pooler) == 1
    assert texts(conn.query("NOTIFY x, 'on'").messages) == [("x", "on")]


@pytest.mark.parametrize("share", [0, 100])
def test_hub_and_pinned_may_have_all(make_pooler, share):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, session_state="track",
                         max_pinned_share=share)
    conn, greedy = pooler.raw(), pooler.raw()
    conn.query("LISTEN x")
    wait_for(lambda: hubs(pooler) == 1)
    greedy.query("CREATE TEMP TABLE t (v int)")
    wait_for(lambda: len(pooler.console("SHOW PINS")) == 1)
    assert greedy.query("SELECT count(*) FROM t").value() == "0"


def test_hub_of_another_encoding_later(pooler, pg, db, notifier):
    """Its encoding is that of those who hear on it, and nobody's once they have gone."""
    with pooler.raw() as conn:
        conn.query("LISTEN x")
        wait_for(lambda: hubs(pooler) == 1 and not is_held(pooler))
        notifier("x", "by the hub")
        assert hear(conn) == [("x", "by the hub")]
        hub = hub_pid(pg, db)
    wait_for(lambda: pg.execute("SELECT query FROM pg_stat_activity WHERE pid = %s",
                                (hub,)) == [('UNLISTEN "x";',)])
    pg.execute("SELECT pg_terminate_backend(%s)", (hub,))
    wait_for(lambda: pooler.console("SHOW SERVERS") == [])
    conn = pooler.raw(client_encoding="LATIN1")
    conn.query("LISTEN x")
    wait_for(lambda: hubs(pooler) == 2)
    assert pooler.console("SHOW PINS") == []
    notifier("x", "käse")
    assert b"k\xe4se" in conn.recv_until("A")[-1].body


def test_other_encodings(pooler, notifier):
    """The hub has one; whoever has another keeps a server."""
    conn, other = pooler.raw(), pooler.raw(client_encoding="LATIN1")
    conn.query("LISTEN x")
    wait_for(lambda: not is_held(pooler))
    other.query("LISTEN x")
    wait_for(lambda: len(pooler.console("SHOW PINS")) == 1)
    notifier("x", "käse")
    assert hear(conn) == [("x", "käse")]
    assert b"k\xe4se" in other.recv_until("A")[-1].body
    other.query("SET client_encoding = 'UTF8'")
    wait_for(lambda: pooler.console("SHOW PINS") == [])
    notifier("x", "käse")
    assert hear(other) == [("x", "käse")]
    conn.query("SET client_encoding = 'LATIN1'")
    wait_for(lambda: len(pooler.console("SHOW PINS")) == 1)


def test_a_client_that_does_not_read(make_pooler, notifier):
    """It is closed, and nobody else waits for it."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3, session_state="track",
                         tcp_socket_buffer=4096)
    slow, quick = pooler.raw(), pooler.raw()
    slow.query("LISTEN x")
    quick.query("LISTEN x")
    wait_for(lambda: not is_held(pooler))
    payload = "y" * 7900
    for i in range(20000):
        notifier("x", payload)
        assert hear(quick) == [("x", payload)]
        if i % 50 == 0 and "too many notifications" in pooler.log_text():
            break
    with pytest.raises(Closed):
        slow.recv_until("Z")
    notifier("x", "still")
    assert hear(quick) == [("x", "still")]


class Trap(NetProxy):
    """Once it is set nothing passes any more from when those bytes come from the client."""

    bait = None

    def pump(self, source, sink, way):
        super().pump(Watched(source, self), sink, way)


class Watched:
    def __init__(self, sock, trap):
        self.sock, self.trap, self.shutdown = sock, trap, sock.shutdown

    def recv(self, size):
        data = self.sock.recv(size)
        if self.trap.bait and self.trap.bait in data:
            self.trap.stall()
        return data


@pytest.mark.parametrize("settings, why", [({"query_timeout": 1}, "query timeout"),
                                           ({}, "server does not answer")])
def test_a_server_that_hangs_when_it_is_left(make_pooler, pg, db, settings, why):
    """The client has its answer and would never know: neither it nor its server stay for ever."""
    trap = Trap(pg.port).start()
    try:
        pooler = make_pooler(databases={db: {"host": trap.host, "port": trap.port}},
                             pool_mode="transaction", default_pool_size=3, session_state="track",
                             server_tls_sslmode="disable", **settings)
        conn, other = pooler.raw(), pooler.raw()
        conn.query("LISTEN x")
        wait_for(lambda: not is_held(pooler))
        trap.bait = b"UNLISTEN *"
        other.query("LISTEN x")
        assert other.expect_fatal().message == why
        wait_for(lambda: not is_held(pooler))
    finally:
        trap.stop()


def test_many_channels(make_pooler):
    """Whose set does not change pays for what is sent; each compared with each was 4 ms."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3, session_state="track",
                         worker_threads=1)
    conn, costs = pooler.raw(), []
    conn.query(";".join(f'LISTEN "c{i:04}"' for i in range(1000)))
    wait_for(lambda: not is_held(pooler))
    for _ in range(5):
        before = pooler.cpu_seconds()
        for _ in range(10):
            conn.query("SELECT 1")
        costs.append((pooler.cpu_seconds() - before) / 10)
    assert min(costs) < 0.0025 * TIME_FACTOR, costs


# ---- the console, and reloads ----

def test_pause_and_resume(pooler, notifier):
    conn = pooler.raw()
    conn.query("LISTEN x")
    wait_for(lambda: not is_held(pooler))
    assert pooler.console_result("PAUSE").error is None
    assert pooler.console("SHOW SERVERS") == []
    assert pooler.console_result("RESUME").error is None
    assert told(conn) == []
    notifier("x", "on")
    assert hear(conn) == [("x", "on")]


def test_reconnect(pooler, notifier):
    conn = pooler.raw()
    conn.query("LISTEN x")
    wait_for(lambda: not is_held(pooler))
    assert pooler.console_result("RECONNECT").error is None
    assert told(conn) == []
    notifier("x", "on")
    assert hear(conn) == [("x", "on")]
    assert hubs(pooler) == 2


def test_kill_and_resume(pooler, notifier, db):
    conn = pooler.raw()
    conn.query("LISTEN x")
    wait_for(lambda: not is_held(pooler))
    assert pooler.console_result(f"KILL {db}").error is None
    conn.expect_fatal()
    assert pooler.console("SHOW SERVERS") == []
    assert pooler.console_result(f"RESUME {db}").error is None
    with pooler.raw() as conn:
        conn.query("LISTEN x")
        notifier("x", "on")
        assert hear(conn) == [("x", "on")]


def test_database_taken_away_and_given_back(pooler, notifier, db):
    conn = pooler.raw()
    conn.query("LISTEN x")
    wait_for(lambda: not is_held(pooler))
    before = pooler.databases
    pooler.databases = {"elsewhere": before[db]}
    pooler.write_files()
    pooler.reload()
    conn.expect_fatal()
    wait_for(lambda: pooler.console("SHOW SERVERS") == [])
    pooler.databases = before
    pooler.write_files()
    pooler.reload()
    with pooler.raw() as conn:
        conn.query("LISTEN x")
        notifier("x", "on")
        assert hear(conn) == [("x", "on")]


def test_shutdown_waits_for_no_listener(pooler):
    conn = pooler.raw()
    conn.query("LISTEN x")
    wait_for(lambda: not is_held(pooler))
    pooler.console_result("SHUTDOWN WAIT_FOR_SERVERS")
    assert pooler.wait_exit() == 0


def test_tls(make_pooler, certs, pg, notifier):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=3, session_state="track",
                         server_tls_sslmode="require", client_tls_sslmode="require",
                         client_tls_key_file=certs / "server.key",
                         client_tls_cert_file=certs / "server.crt")
    conn = pooler.connect(sslmode="require")
    conn.execute("LISTEN x")
    notifier("x", "secret")
    assert next(conn.notifies()).payload == "secret"


def test_several_databases(make_pooler, pg, db, second_db):
    pooler = make_pooler(
        databases={name: {"host": pg.host, "port": pg.port, "dbname": name}
                   for name in (db, second_db)},
        pool_mode="transaction", default_pool_size=3, session_state="track")
    conns = {name: pooler.raw(dbname=name) for name in (db, second_db)}
    for conn in conns.values():
        conn.query("LISTEN x")
    wait_for(lambda: not is_held(pooler))
    for name, conn in conns.items():
        with pg.connect(name) as c:
            c.execute("SELECT pg_notify('x', %s)", (name,))
        assert hear(conn) == [("x", name)]
        assert is_silent(conn)


def test_several_users_share_it(pooler, notifier):
    conns = [pooler.raw(user) for user in ("alice", "bob")]
    for conn in conns:
        conn.query("LISTEN x")
    wait_for(lambda: not is_held(pooler))
    notifier("x", "both")
    assert all(hear(conn) == [("x", "both")] for conn in conns)
    assert hubs(pooler) == 1


def test_batches_held_meanwhile(pooler):
    """What the client sends while its server is made ready for others runs afterwards, in order."""
    conn = pooler.raw()
    conn.send(query("LISTEN x") + query("NOTIFY x, '1'") + query("SELECT 1") +
              query("NOTIFY x, '2'") + query("UNLISTEN *"))
    results = [conn.result() for _ in range(5)]
    assert [r.error for r in results] == [None] * 5
    assert sum((texts(r.messages) for r in results), []) == [("x", "1"), ("x", "2")]


def channel_of_marks(pg, db):
    """What everybody of the same role can see: the channel that pgweir itself listens to."""
    rows = pg.execute("SELECT substring(query FROM 'pgweir_[0-9a-f]{32}') FROM pg_stat_activity"
                      " WHERE datname = %s AND query ~ 'pgweir_[0-9a-f]{32}'", (db,))
    return rows[0][0] if rows else None


def marks_seen(conn, pg, db):
    """It is the last that a server was asked for a moment only: somebody keeps asking."""
    is_seen = threading.Event()

    def ask():
        while not is_seen.is_set():
            conn.query("SELECT 1")

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        return wait_for(lambda: channel_of_marks(pg, db))
    finally:
        is_seen.set()
        asker.join()


def test_a_client_that_listens_to_the_channel_of_marks(pooler, pg, db, notifier):
    a, b = pooler.raw(), pooler.raw()
    a.query("LISTEN foo")
    hub_pid(pg, db)
    marks = marks_seen(a, pg, db)
    for i in range(3):
        for text in (f'LISTEN "{marks}"', "SELECT 1", "UNLISTEN *", "SELECT 1",
                     f'LISTEN "{marks}"; LISTEN foo', f'UNLISTEN "{marks}"', "UNLISTEN foo"):
            assert "A" not in b.query(text).kinds
            assert is_silent(a)
        notifier("foo", str(i))
        assert hear(a) == [("foo", str(i))]
    assert hubs(pooler) == 1
    assert not pooler.log_count("no longer listens for other clients")
