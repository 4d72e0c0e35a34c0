# SPDX-License-Identifier: PostgreSQL
"""Where each statement of a long table runs with routing = split, by what the servers have logged, and
that it gives what the same gives on the primary. Each runs as a simple query, as an unnamed and twice
as a named statement, and by SQL's EXECUTE of that; all that is not as it should be is told at once."""

from collections import defaultdict

import pytest

from lib import route_table as table
from lib.routed import Routed
from lib.wait import wait_for
from lib.wire import Closed, bind, describe, execute, message, parse, query, sync

pytestmark = pytest.mark.pgweir_only

# A setting of the nodes that pgweir takes for one of the session.
NODE = "SELECT current_setting('app.node')"
PRIMARY = {"primary"}
# Once more, where a round of the monitor or a look at the catalogue came between.
ROUNDS = 3
COPIED = message("d", b"1\n") + message("c")


def data_of(text):
    """What follows a COPY FROM STDIN."""
    return COPIED if "FROM STDIN" in text else b""


def said(result):
    """What a client learns, but for what differs from one time to the next."""
    copied = [m.body for m in result.messages if m.kind == "d"]
    return ([(c.name, c.oid) for c in result.columns], result.rows, copied, result.tags, result.status,
            [error.code for error in result.errors])


def simple(conn, text):
    return [conn.run(query(text), data_of(text))]


def unnamed(conn, text, args=()):
    return [conn.run(parse("", text), bind("", "", args), describe("P"), execute(), data_of(text),
                     sync())]


def named(conn, text, args=()):
    first = conn.run(parse("s", text), sync())
    if first.error:
        return [first]
    return [conn.run(bind("", "s", args), describe("P"), execute(), data_of(text), sync())
            for _ in range(2)]


def literal(arg):
    return "NULL" if arg is None else f"'{str(arg).replace(chr(39), chr(39) * 2)}'"


def executed(conn, text, args=()):
    """The statement's text, too, is logged where it runs."""
    first = conn.run(parse("s", text), sync())
    if first.error:
        return [first]
    return [conn.run(query(f"EXECUTE s({', '.join(map(literal, args))})" if args else "EXECUTE s"), data_of(text))]


def pipeline(conn, texts):
    return [conn.run(*[parse("", text) + bind() + describe("P") + execute() for text in texts], sync())]


class Table:
    """Runs statements on both sides and remembers what is wrong."""

    def __init__(self, routed):
        self.routed, self.direct = routed, routed.cluster.nodes[0].raw()
        self.wanted = {}  # by the number of a mark: where, and what is told if it was elsewhere
        self.wrong = defaultdict(list)

    def connect(self):
        """A session whose reads go to replicas just now."""
        conn = self.routed.pooler.raw(dbname="shop")
        wait_for(lambda: conn.query(NODE).value() != "primary")
        return conn

    def marked(self, where, text, row):
        mark, marked = self.routed.mark(text)
        self.wanted[int(mark.split()[2])] = (where, row)
        return marked

    def compare(self, row, ways, run, is_compared=True):
        """run(conn, mark) on a session of the pooler's and on one of the primary's."""
        conn = self.connect()
        try:
            got = run(conn, lambda where, text: self.marked(where, text, row))
        except (TimeoutError, Closed) as e:
            self.wrong[row].append(f"{ways}: {e!r}")
            return
        finally:
            conn.close()
        # What it has left ends with it.
        self.direct.query("ROLLBACK")
        self.direct.query("DISCARD ALL")
        wanted = run(self.direct, lambda where, text: text)
        for mine, theirs in zip(got, wanted):
            if is_compared and said(mine) != said(theirs):
                self.wrong[row].append(f"{ways} gives {said(mine)}, not {said(theirs)}")
            elif [e.code for e in mine.errors] != [e.code for e in theirs.errors]:
                self.wrong[row].append(f"{ways} fails: {mine.error}, {theirs.error}")

    def try_statement(self, row, ways=(simple, unnamed, named, executed)):
        where, text, is_compared = row
        for way in ways:
            # What the grammar refuses is logged by nobody.
            if way is not simple and is_several(text):
                continue
            if way is executed and text in table.FATAL_BY_EXECUTE:
                continue
            self.compare(row, way.__name__, lambda conn, mark, w=way: w(conn, mark(where, text)),
                         is_compared)

    def try_script(self, row, ways=(simple, unnamed)):
        for way in ways:
            def run(conn, mark, way=way):
                return [(simple if is_begin(text) else way)(conn, mark(where, text))[0]
                        for where, text in row]
            self.compare(row, way.__name__, run)

    def try_parameters(self, row):
        where, text, args = row
        for way in (unnamed, named, executed):
            self.compare(row, way.__name__, lambda conn, mark, w=way: w(conn, mark(where, text), args))

    def try_pipeline(self, row):
        where, texts = row
        self.compare(row, "pipeline",
                     lambda conn, mark: pipeline(conn, [mark(where, text) for text in texts]))

    def elsewhere(self):
        """{row: where it has run} of those that have not run where they must; those that may do better
        next time are told apart."""
        ran, found, again = self.routed.all_marks(), defaultdict(list), []
        for number, (where, row) in self.wanted.items():
            nodes = {name for name in ran if number in ran[name]}
            if is_right(where, nodes):
                continue
            found[row].append(f"ran on {sorted(nodes)}, not {where}")
            if where == "r" and nodes == PRIMARY:
                again.append(row)
        self.wanted.clear()
        return found, again

    def run(self, rows, attempt):
        """What is wrong with them, each as a line."""
        self.wrong.clear()
        for _ in range(ROUNDS):
            for row in rows:
                self.wrong.pop(row, None)
                attempt(row)
            found, again = self.elsewhere()
            rows = [row for row in dict.fromkeys(again) if not self.wrong[row]]
            for row, reasons in found.items():
                self.wrong[row] += reasons
        return [f"{short(row)}: {'; '.join(dict.fromkeys(reasons))}"
                for row, reasons in self.wrong.items() if reasons]


def short(row):
    return str(row)[:400]


def is_several(text):
    return text.rstrip("; ").find(";") > 0 and "$$" not in text and "'" not in text.split(";")[0]


def is_begin(text):
    """Drivers send these as simple queries."""
    return text.startswith(("BEGIN", "SET TRANSACTION"))


def is_right(where, nodes):
    if where == "-":
        return True
    if where == "p":
        return nodes == PRIMARY
    if where == "both":
        return PRIMARY < nodes
    return bool(nodes) and not nodes & PRIMARY


@pytest.fixture
def statements(make_shop, cluster):
    cluster.nodes[0].execute(table.GIVEN)
    with cluster.nodes[0].connect(user="alice", password="alice's secret") as conn:
        for part in (table.TABLES, table.FUNCTIONS, table.OBJECTS):
            conn.execute(part)
    cluster.nodes[0].execute("ANALYZE item, sale, tree")
    for node in cluster.nodes:
        with open(node.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
            conf.write(f"app.node = '{node.name}'\n")
    cluster.catch_up()
    # What is not written to is the same everywhere, so nobody need wait for anybody.
    return Table(Routed.begin(cluster, make_shop, consistency="eventual",
                              of_cluster={"max_lag": "1min"}))


def rows_of(where, texts, is_compared=True):
    return [(where, text, is_compared) for text in texts]


def test_table(statements):
    rows = (rows_of("r", table.READS) + rows_of("r", table.VARYING, False) +
            rows_of("p", table.CAUTIOUS) + rows_of("p", table.MUST_WRITE) +
            rows_of("p", table.MUST_WRITE_VARYING, False))
    texts = [text for _, text, _ in rows]
    assert len(texts) == len(set(texts)) >= 250
    parts = [(rows, statements.try_statement),
             ([(where, text, tuple(args)) for where, text, args in table.PARAMETERS],
              statements.try_parameters),
             ([(where, tuple(texts)) for where, texts in table.PIPELINES], statements.try_pipeline),
             ([tuple(script) for script in table.SCRIPTS], statements.try_script),
             ([tuple(script) for script in table.LEFT_OPEN],
              lambda row: statements.try_script(row, [simple]))]
    wrong = [line for part, attempt in parts for line in statements.run(part, attempt)]
    assert wrong == [], "\n".join([f"{len(wrong)} of {len(rows)}:", *wrong])
    # No replica was asked what it would not do, and nothing was mended behind the client's back.
    assert "refused" not in statements.routed.routes()
    wrong = statements.run(rows_of("both", table.TWICE), statements.try_statement)
    assert wrong == []
