# SPDX-License-Identifier: PostgreSQL
"""Clients that take turns, with PostgreSQL itself and with a pool whose links change with each
transaction: both must tell them the same."""

import contextlib

from lib.pg import PASSWORDS
from lib.wire import query


def heard(message):
    if message.kind == "E":
        fields = message.fields()
        return "E", fields["C"], fields["M"]
    if message.kind == "D":
        return ("D", *message.values())
    if message.kind == "T":
        return ("T", *((c.name, c.oid) for c in message.columns()))
    if message.kind in "CZt":
        return message.kind, message.body
    return (message.kind,)


def say(conn, data):
    """What is heard up to the end of all that was said; an empty query marks it."""
    conn.send(data + query(""))
    messages = conn.recv_until("I") + conn.recv_until("Z")
    return [heard(m) for m in messages if m.kind not in "SN"][:-2]


def user_of(who):
    return who if who in PASSWORDS else "alice"


def take_turns(connect, turns):
    """`turns`: who speaks, and all the messages it sends at once."""
    with contextlib.ExitStack() as stack:
        conns = {who: stack.enter_context(contextlib.closing(connect(who)))
                 for who in sorted({turn[0] for turn in turns})}
        return [say(conns[who], b"".join(messages)) for who, *messages in turns]


def warm_up(pooler, links):
    """All links are there, and each transaction gets another one than the one before."""
    holders = [pooler.raw() for _ in range(links)]
    for order in ("BEGIN", "COMMIT"):
        for holder in holders:
            holder.query(order)


def compare(make_pooler, pg, dbs, turns, links=3):
    """`dbs`: two that are alike, for the pool and for PostgreSQL alone."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=links, session_state="track",
                         server_round_robin=1, max_pinned_share=100, worker_threads=1)
    warm_up(pooler, links)
    wanted = take_turns(lambda who: pg.raw(user_of(who), dbs[1]), turns)
    got = take_turns(lambda who: pooler.raw(user_of(who)), turns)
    for i, (one, other) in enumerate(zip(wanted, got)):
        assert other == one, f"turn {i}: {turns[i]}"
