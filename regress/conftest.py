# SPDX-License-Identifier: PostgreSQL
"""Fixtures of the regress tests. Run them with contrib/regress, or contrib/check for everything."""

import os
import resource
import tempfile
from pathlib import Path

import pytest

from lib import certs as certificates
from lib.fakepg import FakePG
from lib.netproxy import NetProxy
from lib.pg import ENV, FOR_TESTS, Postgres, pgcluster, start_cluster
from lib.pooler import Pooler, is_pgweir
from lib.wait import TIME_FACTOR

CERTS = "PW_CERTS"
# Seconds for one test with its fixtures.
LIMIT = 300


def is_worker(config):
    return hasattr(config, "workerinput")


def pytest_configure(config):
    if is_worker(config) or config.option.collectonly or config.option.help:
        return
    config.pluginmanager.register(TellAtOnce(config))
    if os.geteuid() == 0:
        pytest.exit("PostgreSQL and the pooler do not run as root: use contrib/regress", 4)
    config.private = Path(tempfile.mkdtemp(prefix="pw_regress."))
    config.own_cluster = None
    if ENV not in os.environ:
        config.own_cluster = config.private / "pg"
        start_cluster(config.own_cluster)
    os.environ[CERTS] = str(certificates.make_all(config.private / "certs"))
    Postgres(os.environ[ENV]).prepare(Path(os.environ[CERTS]))


def pytest_unconfigure(config):
    if getattr(config, "own_cluster", None):
        pgcluster("stop", str(config.own_cluster))


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item):
    """pytest-timeout breaks off what hangs, and shows where; long tests bound themselves."""
    if not item.get_closest_marker("full"):
        item.add_marker(pytest.mark.timeout(LIMIT * TIME_FACTOR))


class TellAtOnce:
    """A run that is broken off has said by then what failed."""

    def __init__(self, config):
        self.config = config

    def pytest_runtest_logreport(self, report):
        if report.failed:
            reporter = self.config.pluginmanager.get_plugin("terminalreporter")
            reporter.ensure_newline()
            reporter.write_line(f"{report.nodeid} ({report.when}): {last_line(report)}")


def last_line(report):
    return (report.longreprtext.strip() or "no reason given").splitlines()[-1]


def pytest_collection_modifyitems(items):
    if os.geteuid() == 0 or is_pgweir():
        return
    skip = pytest.mark.skip(reason="not so in this pooler")
    for item in items:
        if item.get_closest_marker("pgweir_only"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def pg():
    return Postgres(os.environ[ENV])


@pytest.fixture(scope="session")
def certs():
    return Path(os.environ[CERTS])


@pytest.fixture
def many_files():
    """As many descriptors as may be, for tests with thousands of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def own_pg(tmp_path, certs):
    """A PostgreSQL of the test's own: what is done to it must not reach other tests."""
    directory = tmp_path / "pg"
    pgcluster("start", str(directory), "--replicas", "0", *FOR_TESTS)
    pg = Postgres(directory / "cluster.env")
    pg.prepare(certs)
    yield pg
    pgcluster("drop", str(directory))


@pytest.fixture
def db(pg):
    """A database of the test's own."""
    name = pg.create_database()
    yield name
    pg.drop_database(name)


@pytest.fixture
def second_db(pg):
    """Another one, for the same on PostgreSQL itself."""
    name = pg.create_database()
    yield name
    pg.drop_database(name)


@pytest.fixture
def make_pooler(tmp_path, pg, db):
    """make_pooler(setting=value, databases={...}, users={...}, auth={...}) -> a started Pooler."""
    made = []

    def make(start=True, args=(), **kw):
        pooler = Pooler(tmp_path / f"p{len(made)}", db, pg, **kw)
        if start:
            made.append(pooler)
            pooler.start(*args)
        return pooler

    yield make
    for pooler in made:
        pooler.stop()


@pytest.fixture
def pooler(make_pooler):
    """A pooler in session mode with trust logins."""
    return make_pooler()


@pytest.fixture
def tx_pooler(make_pooler):
    """A pooler in transaction mode with two servers."""
    return make_pooler(pool_mode="transaction", default_pool_size=2)


@pytest.fixture
def make_fake():
    made = []

    def make(**kw):
        fake = FakePG(**kw).start()
        made.append(fake)
        return fake

    yield make
    for fake in made:
        fake.stop()


@pytest.fixture
def make_proxy():
    made = []

    def make(port):
        proxy = NetProxy(port).start()
        made.append(proxy)
        return proxy

    yield make
    for proxy in made:
        proxy.stop()
