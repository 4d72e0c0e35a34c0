# SPDX-License-Identifier: PostgreSQL
"""Drivers and their pools that look for a primary before they use a connection: whoever may write,
reads split off or not, is told that it is one, whichever node has answered before."""

import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from lib.nodes import settle
from lib.routed import REPLICAS, Routed
from lib.wait import TIME_FACTOR, wait_for
from lib.wire import bind, execute, parse, sync

pytestmark = pytest.mark.pgweir_only

ECJ, JAVA = "/usr/bin/ecj", "/usr/bin/java"
JDBC = "/usr/share/java/postgresql.jar"
PROGRAM = Path(__file__).parent.parent / "drivers" / "WhichServer.java"
# What a server says of its role at each login.
ROLE = {"in_hot_standby": "off", "default_transaction_read_only": "off"}


@pytest.fixture(params=["split", "primary"])
def pooler(request, make_shop, cluster):
    """Where reads are split off, replicas have served by now."""
    if request.param == "split":
        shop = Routed.begin(cluster, make_shop)
        conns = [shop.pooler.raw(dbname="shop") for _ in range(6)]
        for conn in conns:
            wait_for(lambda c=conn: shop.query(c, "SELECT 1")[1] in REPLICAS)
        return shop.pooler
    made = make_shop(routing="primary", session_state="track")
    settle(made)
    return made


def test_login(pooler):
    for _ in range(3):
        conn = pooler.raw(dbname="shop")
        assert {name: conn.params[name] for name in ROLE} == ROLE
        for _ in range(3):
            conn.query("SELECT count(*) FROM t")
        assert all(m.kind != "S" for m in conn.query("SELECT 1").messages)


QUESTIONS = {"SELECT pg_is_in_recovery()": "f", "SELECT NOT pg_catalog.pg_is_in_recovery() AS is_primary": "t",
             "SHOW transaction_read_only": "off", "SHOW in_hot_standby": "off",
             "show  Default_Transaction_Read_Only;": "off",
             "SELECT current_setting('transaction_read_only')": "off",
             "SELECT setting FROM pg_settings WHERE name = 'in_hot_standby'": "off",
             "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END": "primary"}


def test_health_checks(pooler):
    for question, answer in QUESTIONS.items():
        conn = pooler.raw(dbname="shop")
        for name in ("", "s"):
            assert conn.query("SELECT count(*) FROM t").error is None
            assert conn.query(question).value() == answer
            assert conn.run(parse(name, question), sync()).error is None
            for _ in range(2):
                assert conn.run(bind("", name), execute(), sync()).value() == answer
        conn.close()


def test_libpq(pooler):
    for wanted in ("any", "read-write", "primary", "prefer-standby"):
        conn = pooler.connect(dbname="shop", target_session_attrs=wanted)
        assert conn.info.parameter_status("in_hot_standby") == "off"
        assert conn.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
        conn.execute("INSERT INTO t VALUES (1)")
        conn.close()
    for wanted in ("standby", "read-only"):
        with pytest.raises(psycopg.OperationalError, match="hot standby|not read-only"):
            pooler.connect(dbname="shop", target_session_attrs=wanted)


def test_jdbc(pooler, tmp_path):
    for tool in (ECJ, JAVA):
        assert shutil.which(tool), f"{tool} is missing: contrib/check installs what tests need"
    subprocess.run([ECJ, "-11", "-proc:none", "-cp", JDBC, "-d", tmp_path, PROGRAM], check=True)
    url = f"jdbc:postgresql://127.0.0.1:{pooler.port}/shop?user=alice&sslmode=disable&password=x"
    types = ["any", "primary", "master", "preferPrimary", "preferSecondary", "secondary"]
    done = subprocess.run(
        [JAVA, "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "-cp", f"{JDBC}:{tmp_path}", "WhichServer",
         url, *types], text=True, check=True, timeout=60 * TIME_FACTOR, stdout=subprocess.PIPE)
    assert done.stdout.split("\n")[:-1] == [*(f"{name} f false" for name in types[:-1]), "secondary 08001"]
