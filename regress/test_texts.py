# SPDX-License-Identifier: PostgreSQL
"""Long texts are held until they are whole, but not whatever it costs."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.proc import is_sanitized, resident_kb, settled
from lib.wait import wait_for
from lib.wire import RawConn, query

pytestmark = pytest.mark.pgweir_only

SIZE = 4_000_000
TEXT = query("SELECT length('" + "x" * SIZE + "')")
# With 256 kB less of each, in 64 MB.
FIT = 17
KEPT = 3


@pytest.fixture
def pooler(make_pooler):
    return make_pooler(pool_mode="transaction", default_pool_size=40, session_state="track",
                       worker_threads=2, client_idle_timeout=0)


def begin_text(pooler):
    conn = pooler.raw()
    conn.send(TEXT[:-100])
    return conn


def end_text(conn):
    conn.send(TEXT[-100:])
    assert conn.result().value() == str(SIZE)


def is_looked_at(conn):
    """A server that ran a text which nobody has looked at goes to nobody else."""
    pid = conn.query("SELECT pg_backend_pid()").value()
    conn.send(TEXT)
    assert conn.result().value() == str(SIZE)
    return conn.query("SELECT pg_backend_pid()").value() == pid


def test_unfinished_texts(pooler):
    other = pooler.raw(user="bob")
    wait_for(lambda: is_looked_at(other))
    before = resident_kb(pooler.pid)
    held = [begin_text(pooler) for _ in range(FIT + KEPT + 20)]
    grown = settled(resident_kb, pooler.pid) - before
    assert grown < 100_000 or is_sanitized(pooler.pid)
    # The others' are passed on as they come.
    wait_for(lambda: int(pooler.pool()["sv_active"]) >= 20)
    wait_for(lambda: not is_looked_at(other))
    for conn in held[KEPT:]:
        end_text(conn)
    wait_for(lambda: is_looked_at(other))
    for conn in held[KEPT:]:
        conn.send(TEXT[:-100])
    wait_for(lambda: not is_looked_at(other))
    for conn in held:
        conn.close()
    wait_for(lambda: is_looked_at(other))


@pytest.mark.parametrize("are_served", [True, False])
def test_texts_that_wait_for_a_server(make_pooler, are_served):
    """They are whole, or would be if they were let in."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track",
                         worker_threads=2)
    other, blocker = pooler.raw(user="bob"), pooler.raw()
    blocker.query("BEGIN")
    waiting = [pooler.raw() for _ in range(FIT + 40)]
    before = resident_kb(pooler.pid)
    with ThreadPoolExecutor(len(waiting)) as threads:
        sent = [threads.submit(conn.send, TEXT) for conn in waiting]
        wait_for(lambda: int(pooler.pool()["cl_waiting"]) == len(waiting))
        grown = settled(resident_kb, pooler.pid) - before
        assert grown < 150_000 or is_sanitized(pooler.pid)
        wait_for(lambda: not is_looked_at(other))
        if are_served:
            blocker.query("COMMIT")
            answers = list(threads.map(RawConn.result, waiting))
            assert all(answer.value() == str(SIZE) for answer in answers)
        else:
            for client in pooler.console_result("SHOW CLIENTS").dicts():
                if client["state"] == "waiting":
                    pooler.console(f"KILL_CLIENT {client['id']}")
        assert all(text.exception() is None for text in sent) or not are_served
    wait_for(lambda: is_looked_at(other))
