# SPDX-License-Identifier: PostgreSQL
"""What connections leave behind when they are gone: nothing. Under the asan build the end of the
process checks for memory that nobody points to any more."""

import random

import pytest

from lib.certs import client_tls
from lib.comers import Comers
from lib.proc import is_sanitized, open_files, resident_kb, settled
from lib.wait import wait_for

pytestmark = pytest.mark.pgweir_only


def only_we_are_left(pooler):
    """The console's own client, and no other."""
    lists = {r["list"]: int(r["items"]) for r in pooler.console("SHOW LISTS")}
    return lists["used_clients"] == 1 and lists["login_clients"] == 0


def servers(pooler):
    """One may have been closed for what it was left with, and none is opened while nobody asks."""
    return len(pooler.console("SHOW SERVERS"))


def run(make_pooler, certs, warm_up, count, growth_kb):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2, worker_threads=2,
                         max_client_conn=1000, hba=Comers.HBA, log_connections=0,
                         log_disconnections=0, server_lifetime=100000, server_idle_timeout=0,
                         log_pooler_errors=0, **client_tls(certs, "allow"))
    comers = Comers(pooler, certs, seed)
    comers.come(warm_up)
    wait_for(lambda: only_we_are_left(pooler))
    memory = settled(resident_kb, pooler.pid)
    files = settled(open_files, pooler.pid) - servers(pooler)
    comers.come(count)
    wait_for(lambda: only_we_are_left(pooler))
    wait_for(lambda: files + servers(pooler) == open_files(pooler.pid),
             what=f"{files} files open again, and the servers")
    grown = settled(resident_kb, pooler.pid) - memory
    print(f"{comers.visits} connections, {memory} kB, and {grown} kB more")
    if not is_sanitized(pooler.pid):
        assert grown < growth_kb


def test_connections_leave_nothing_behind(make_pooler, certs):
    run(make_pooler, certs, 2000, 2000, 400)


@pytest.mark.full
def test_two_hundred_thousand_connections_leave_nothing_behind(make_pooler, certs):
    run(make_pooler, certs, 20000, 200000, 2000)
