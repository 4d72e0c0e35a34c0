# SPDX-License-Identifier: PostgreSQL
"""The name of a portal becomes another's, by SQL: what is said of that is not about the statement
that the name had belonged to."""

import pytest

from lib.turns import compare
from lib.wire import bind, close, describe, execute, parse, query, run_named, sync

pytestmark = pytest.mark.pgweir_only

BEGIN, COMMIT = query("BEGIN"), query("COMMIT")
DECLARE = "DECLARE p CURSOR FOR SELECT 'x'::text AS t, 2 AS n"
PREPARE = ("a", parse("a", "SELECT 1 AS i"), sync())
BOUND = ("a", bind("p", "a"), sync())
LOOK = ("a", describe("P", "p"), sync())
RUNS = [("a", run_named("a"))] * 5

# Who speaks, and what it says at once.
TURNS = {
    "closed": [
        PREPARE, ("a", BEGIN), ("a", bind("p", "a"), close("P", "p"), sync()),
        ("a", query(DECLARE)), LOOK, ("a", COMMIT), *RUNS,
    ],
    "closed in a batch of its own": [
        PREPARE, ("a", BEGIN), ("a", bind("p", "a"), describe("P", "p"), execute("p"), sync()),
        ("a", close("P", "p"), sync()), ("a", query(DECLARE)), LOOK, ("a", COMMIT), *RUNS,
    ],
    "closed by SQL": [
        PREPARE, ("a", BEGIN), BOUND, ("a", query("CLOSE p")), ("a", query(DECLARE)), LOOK,
        ("a", COMMIT), *RUNS,
    ],
    "closed by SQL, by messages": [
        PREPARE, ("a", parse("c", "CLOSE p"), parse("d", DECLARE), sync()), ("a", BEGIN), BOUND,
        ("a", run_named("c")), ("a", run_named("d")), LOOK, ("a", COMMIT), *RUNS,
    ],
    "another transaction in one query": [
        PREPARE, ("a", BEGIN), BOUND, ("a", query(f"COMMIT; BEGIN; {DECLARE}")), LOOK,
        ("a", COMMIT), *RUNS,
    ],
    "another transaction in one batch": [
        PREPARE, ("a", BEGIN), BOUND,
        ("a", *(m for sql in ("COMMIT", "BEGIN", DECLARE)
                for m in (parse("", sql), bind(), execute())), describe("P", "p"), sync()),
        ("a", COMMIT), *RUNS,
    ],
    "opened by code": [
        PREPARE, ("a", BEGIN), ("a", bind("p", "a"), execute("p"), close("P", "p"), sync()),
        ("a", query("DO $$DECLARE c refcursor := 'p'; BEGIN OPEN c FOR SELECT 'x'::text, 2; "
                    "END$$")),
        LOOK, ("a", COMMIT), *RUNS,
    ],
    "close that is skipped": [
        PREPARE, ("a", BEGIN), ("a", bind("p", "a"), sync()), ("a", query("SAVEPOINT s")),
        ("a", bind("", "nobody"), close("P", "p"), sync()), ("a", query("ROLLBACK TO s")),
        LOOK, ("a", COMMIT), *RUNS,
    ],
    "still there": [
        PREPARE, ("a", BEGIN), BOUND, ("a", query("SELECT 1")), LOOK,
        ("a", execute("p"), sync()), ("a", COMMIT), *RUNS,
    ],
}


@pytest.mark.parametrize("name", TURNS)
def test_turns(make_pooler, pg, db, second_db, name):
    compare(make_pooler, pg, (db, second_db), TURNS[name])
