# SPDX-License-Identifier: PostgreSQL
"""Ordinary SQL as psql sends it, through a small transaction pool: sql/*.sql, checked by pgTAP."""

import os
import subprocess
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parent / "sql").glob("*.sql"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_sql(make_pooler, pg, db, file):
    with pg.connect(db) as c:
        c.execute("CREATE EXTENSION pgtap")
        c.execute(f"GRANT ALL ON DATABASE {db} TO alice")
    pooler = make_pooler(pool_mode="transaction", default_pool_size=2)
    other = pooler.raw()
    other.query("SELECT 1")
    env = dict(os.environ, PGPASSWORD=pooler.auth["alice"], PGSSLMODE="disable")
    done = subprocess.run(
        ["/usr/bin/pg_prove", "--verbose", "--psql-bin", pg.bin / "psql", "-h", "127.0.0.1",
         "-p", str(pooler.port), "-U", "alice", "-d", db, file],
        env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        timeout=120)
    assert done.returncode == 0, done.stdout
    assert "Result: PASS" in done.stdout
    assert other.query("SELECT 1").value() == "1"
