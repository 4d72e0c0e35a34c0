# SPDX-License-Identifier: PostgreSQL
"""What sessions set is kept in memory, and not without bounds."""

import pytest

from lib.wire import query

pytestmark = pytest.mark.pgweir_only

LARGE = 200_000


def set_large(number, size=LARGE):
    """No two clients have the same."""
    return f"SELECT set_config('app.large', repeat('{number}', {size}), false) IS NULL"


def length(conn):
    return int(conn.query("SELECT length(current_setting('app.large'))").value())


def test_all_sessions_together(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, worker_threads=2,
                         session_state="track", session_state_bytes_total=5 * LARGE)
    kept = [pooler.raw() for _ in range(2)]
    for number, conn in enumerate(kept):
        assert conn.query(set_large(number)).error is None
    refused = 0
    for number in range(2, 9):
        conn = pooler.raw()
        assert conn.query(set_large(number)).error is None
        conn.send(query("SELECT 1"))
        last = conn.recv_until("EZ")[-1]
        if last.kind == "Z":
            kept.append(conn)
            continue
        error = last.error()
        assert error.code == "53200" and "session_state_bytes_total" in error.fields["D"]
        refused += 1
    assert refused >= 3
    small = pooler.raw()
    assert small.query("SET work_mem = '3MB'").error is None
    assert small.query("SHOW work_mem").value() == "3MB"
    for conn in kept:
        assert length(conn) == LARGE
    assert kept[0].query(set_large(0, 10)).error is None
    assert length(kept[0]) == 10
    for conn in [*kept, small]:
        conn.close()
    pooler.wait_pool(cl_active=0, sv_active=0)
    assert pooler.raw().query(set_large(1)).error is None
