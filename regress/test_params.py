# SPDX-License-Identifier: PostgreSQL
"""Settings that the server reports follow the client from link to link."""

import struct

import pytest

from lib.check import assert_refused
from lib.wire import PgError, bind, execute, message, parse, query, sync

@pytest.fixture
def one_link(make_pooler):
    """Everybody shares one server: whatever leaks is seen by the next client."""
    return make_pooler(pool_mode="transaction", default_pool_size=1)


def show(conn, name):
    return conn.query(f"SHOW {name}").value()


@pytest.mark.parametrize("name, mine, theirs", [
    ("DateStyle", "German, DMY", "ISO, MDY"),
    ("TimeZone", "Asia/Tokyo", "Europe/Berlin"),
    ("client_encoding", "LATIN1", "UTF8"),
    ("application_name", "mine", "theirs"),
    ("standard_conforming_strings", "off", "on"),
])
def test_startup_parameters_follow_the_client(one_link, name, mine, theirs):
    a = one_link.raw(**{name: mine})
    b = one_link.raw(**{name: theirs})
    for _ in range(3):
        assert show(a, name) == mine
        assert show(b, name) == theirs


@pytest.mark.parametrize("name, mine", [
    ("DateStyle", "German, DMY"), ("TimeZone", "Asia/Tokyo"), ("client_encoding", "LATIN1"),
    pytest.param("application_name", "mine", marks=pytest.mark.pgweir_only),
    ("standard_conforming_strings", "off"),
])
def test_set_follows_the_client(one_link, name, mine):
    a, b = one_link.raw(), one_link.raw()
    before = show(b, name)
    result = a.query(f"SET {name} TO {mine}" if name == "DateStyle" else f"SET {name} TO '{mine}'")
    assert (name, mine) in [m.parameter() for m in result.messages if m.kind == "S"]
    for _ in range(3):
        assert show(b, name) == before
        assert show(a, name) == mine


@pytest.mark.pgweir_only
def test_interval_style_follows_the_client(one_link):
    a, b = one_link.raw(), one_link.raw(IntervalStyle="iso_8601")
    assert show(a, "IntervalStyle") == "postgres"
    assert show(b, "IntervalStyle") == "iso_8601"
    assert show(a, "IntervalStyle") == "postgres"


def test_rolled_back_set_is_undone(one_link):
    a, b = one_link.raw(), one_link.raw(TimeZone="Europe/Berlin")
    before = show(a, "TimeZone")
    a.query("BEGIN")
    a.query("SET TimeZone TO 'Asia/Tokyo'")
    a.query("ROLLBACK")
    assert show(b, "TimeZone") == "Europe/Berlin"
    assert show(a, "TimeZone") == before


def test_set_local_ends_with_the_transaction(one_link):
    a, b = one_link.raw(), one_link.raw()
    before = show(a, "TimeZone")
    a.query("BEGIN")
    a.query("SET LOCAL TimeZone TO 'Asia/Tokyo'")
    assert show(a, "TimeZone") == "Asia/Tokyo"
    a.query("COMMIT")
    assert show(b, "TimeZone") == before
    assert show(a, "TimeZone") == before


def test_set_in_a_pipeline_of_one_query(one_link):
    a, b = one_link.raw(), one_link.raw()
    a.query("SET DateStyle TO German; SET TimeZone TO 'Asia/Tokyo'; SELECT 1")
    assert show(b, "DateStyle") == "ISO, MDY"
    assert show(a, "DateStyle") == "German, DMY"
    assert show(a, "TimeZone") == "Asia/Tokyo"


def test_client_encoding_of_the_bytes(one_link):
    latin = one_link.raw(client_encoding="LATIN1")
    utf8 = one_link.raw(client_encoding="UTF8")
    for _ in range(2):
        for conn, data in ((latin, b"\xe9"), (utf8, b"\xc3\xa9")):
            conn.send(query("SELECT chr(233)"))
            row = conn.recv_until("D")[-1].body
            conn.recv_until("Z")
            assert row == b"\0\1" + struct.pack("!i", len(data)) + data


@pytest.mark.parametrize("value", ["it's", 'two "quotes"', "back\\slash", "a,b", "x=y", "'';--",
                                   " blanks "])
def test_values_that_need_quoting(one_link, value):
    a, b = one_link.raw(application_name=value), one_link.raw(application_name="plain")
    for _ in range(2):
        assert show(a, "application_name") == value
        assert show(b, "application_name") == "plain"


@pytest.mark.pgweir_only
def test_long_value(one_link):
    """PostgreSQL keeps 63 bytes of it."""
    a, b = one_link.raw(application_name="n" * 150), one_link.raw(application_name="short")
    assert show(b, "application_name") == "short"
    assert show(a, "application_name") == "n" * 63


@pytest.mark.pgweir_only
def test_welcome_carries_the_clients_own_values(one_link):
    one_link.raw().query("SELECT 1")
    conn = one_link.raw(TimeZone="Asia/Tokyo", application_name="me")
    assert conn.params["TimeZone"] == "Asia/Tokyo"
    assert conn.params["application_name"] == "me"
    names = [m.parameter()[0] for m in conn.login_messages if m.kind == "S"]
    assert len(names) == len(set(names))


@pytest.mark.pgweir_only
@pytest.mark.parametrize("name, value", [
    ("DateStyle", "ISO"), ("DateStyle", "iso"), ("DateStyle", "sql,dmy"), ("DateStyle", "German"),
    ("DateStyle", "German, MDY"), ("DateStyle", "postgresql , european"), ("DateStyle", "US"),
    ("DateStyle", "YMD,ISO"), ("DateStyle", "default"), ("DateStyle", "SQL, default"),
    ("DateStyle", "noneuropean"), ("DateStyle", "ISO, ISO"),
    ("client_encoding", "utf8"), ("client_encoding", "'utf-8'"), ("client_encoding", "Unicode"),
    ("client_encoding", "latin-1"), ("client_encoding", "ISO_8859-15"), ("client_encoding", "win1252"),
    ("client_encoding", "windows-1251"), ("client_encoding", "shift_jis"), ("client_encoding", "sql_ascii"),
    ("standard_conforming_strings", "TRUE"), ("standard_conforming_strings", "n"),
    ("standard_conforming_strings", "0"), ("standard_conforming_strings", "of"),
])
def test_startup_values_are_spelled_as_by_the_server(one_link, pg, db, name, value):
    one_link.raw(DateStyle="German").query("SELECT 1")
    with pg.raw("alice", db, **{name: value}) as direct:
        wanted = direct.params
    conn = one_link.raw(**{name: value})
    assert conn.params[name] == wanted[name]
    assert show(conn, name) == wanted[name]


@pytest.mark.pgweir_only
def test_client_is_told_how_the_server_spells_its_values(one_link):
    conn = one_link.raw(TimeZone="asia/tokyo")
    told = [m.parameter() for m in conn.query("SELECT 1").messages if m.kind == "S"]
    assert told == [("TimeZone", "Asia/Tokyo")]
    assert "S" not in conn.query("SELECT 1").kinds


def run_simply(conn, text):
    return conn.query(text)


def run_extended(conn, text):
    return conn.run(parse("", text), bind(), execute(), sync())


@pytest.mark.pgweir_only
@pytest.mark.parametrize("run", [run_simply, run_extended])
@pytest.mark.parametrize("reset", ["RESET ALL", "DISCARD ALL", "RESET client_encoding", "SET NAMES DEFAULT",
                                   "SET client_encoding TO DEFAULT"])
def test_client_knows_what_it_went_back_to_before_it_goes_on(make_pooler, run, reset):
    """A driver takes the encoding of its next query from what it has been told by then."""
    pooler = make_pooler(pool_mode="transaction", session_state="track")
    conn = pooler.raw(client_encoding="LATIN1", application_name="mine")
    for text in ("SET client_encoding = 'UTF8'", reset, reset):
        for m in run(conn, text).messages:
            if m.kind == "S":
                name, value = m.parameter()
                conn.params[name] = value
        if text == reset:
            assert conn.params["client_encoding"] == "LATIN1"
            assert conn.params["application_name"] == "mine"
            assert "S" not in conn.query("SELECT 1").kinds


@pytest.mark.pgweir_only
@pytest.mark.parametrize("run", [run_simply, run_extended])
def test_answers_to_resets_end_once(make_pooler, run):
    pooler = make_pooler(pool_mode="transaction", session_state="track")
    conn = pooler.raw(TimeZone="Asia/Tokyo")
    for text, status in (("BEGIN", "T"), ("RESET TimeZone", "T"), ("SELECT 1/0", "E"), ("RESET TimeZone", "E"),
                         ("ROLLBACK", "I"), ("RESET nothing", "I"), ("DISCARD ALL", "I"), ("SHOW TimeZone", "I")):
        result = run(conn, text)
        assert result.status == status
    assert result.rows == [["Asia/Tokyo"]]
    conn.send(query("RESET ALL") + query("SELECT 1/0") + query("RESET ALL; SELECT 1/0") + query("SELECT 'end'"))
    assert [conn.result().kinds[-1] for _ in range(3)] == ["Z"] * 3
    assert conn.result().rows == [["end"]]


@pytest.mark.pgweir_only
@pytest.mark.parametrize("name, value", [
    ("DateStyle", "ISO, SQL"), ("DateStyle", "MDY, DMY"), ("DateStyle", "ISO,"), ("DateStyle", "some"),
    ("client_encoding", "utf9"), ("standard_conforming_strings", "o"),
    ("standard_conforming_strings", ""),
])
def test_startup_values_that_mean_nothing(one_link, name, value):
    bad = one_link.raw(**{name: value})
    bad.send(query("SELECT 1"))
    assert_refused(bad.expect_fatal(), "invalid server parameter")


def test_invalid_value(one_link):
    conn = one_link.raw()
    bad = one_link.raw(TimeZone="Nowhere/At_All")
    bad.send(query("SELECT 1"))
    assert bad.expect_fatal().code == "08P01"
    assert conn.query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
def test_invalid_value_has_its_own_text(one_link):
    conn = one_link.raw(TimeZone="Nowhere/At_All")
    conn.send(query("SELECT 1"))
    assert_refused(conn.expect_fatal(), "invalid server parameter")


@pytest.mark.pgweir_only
@pytest.mark.parametrize("params", [
    {"work_mem": "abc"}, {"options": "-c work_mem=abc"}, {"options": "-c statement_timeout=-5"},
    {"no_such": "1"}, {"options": "-c log_statement=all"}, {"options": "-c port=1"}, {"1bad.x": "1"},
    {"role": "nobody_x"}, {"search_path": "1,,"}, {"datestyle": "ISO", "work_mem": "1"},
])
def test_values_of_other_settings_are_refused_as_by_postgresql(make_pooler, pg, db, params):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")
    with pytest.raises(PgError) as direct:
        pg.raw("alice", db, **params)
    conn = pooler.raw(**params)
    conn.send(query("SELECT 1"))
    error = conn.expect_fatal()
    assert (error.code, error.message) == (direct.value.code, direct.value.message)
    assert "start-up packet" in error.fields["D"]
    assert pooler.raw().query("SELECT 1").value() == "1"


def test_parameters_survive_the_loss_of_the_server(one_link, pg, db):
    conn = one_link.raw(TimeZone="Asia/Tokyo")
    assert show(conn, "TimeZone") == "Asia/Tokyo"
    pg.execute("SELECT pg_terminate_backend(%s)", (pg.backends(db)[0],))
    pg.wait_backends(db, 0)
    one_link.wait_pool(sv_idle=0, sv_used=0)
    assert show(conn, "TimeZone") == "Asia/Tokyo"


def test_parameters_of_a_database_entry(make_pooler, pg, db):
    pooler = make_pooler(pool_mode="transaction", databases={db: {
        "host": pg.host, "port": pg.port, "dbname": db, "timezone": "Asia/Tokyo",
        "datestyle": "German, DMY", "client_encoding": "LATIN1"}})
    conn = pooler.raw()
    assert show(conn, "TimeZone") == "Asia/Tokyo"
    assert show(conn, "DateStyle") == "German, DMY"
    assert show(conn, "client_encoding") == "LATIN1"


def test_application_name_add_host(make_pooler):
    pooler = make_pooler(pool_mode="transaction", application_name_add_host=1)
    named, unnamed = pooler.raw(application_name="web"), pooler.raw()
    for conn, name in ((named, "web"), (unnamed, "app")):
        host, port = conn.sock.getsockname()
        assert show(conn, "application_name") == f"{name} - {host}:{port}"


@pytest.mark.pgweir_only
def test_application_name_is_cut_between_characters(make_pooler):
    pooler = make_pooler(pool_mode="transaction", application_name_add_host=1)
    conn = pooler.raw(application_name="a" + 64 * "é")
    host, port = conn.sock.getsockname()
    assert conn.params["application_name"] == "a" + 63 * "é" + f" - {host}:{port}"
    assert conn.query("SELECT 1").value() == "1"


@pytest.mark.pgweir_only
def test_statement_never_runs_without_its_parameters(make_pooler):
    """A parameter that the server refuses ends the client before its first statement runs."""
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    good = pooler.raw()
    good.query("CREATE TABLE t (v int)")
    bad = pooler.raw(TimeZone="Nowhere/Land")
    bad.send(query("INSERT INTO t VALUES (1)"))
    assert bad.expect_fatal().message == "invalid server parameter"
    assert good.query("SELECT count(*) FROM t").value() == "0"


@pytest.mark.pgweir_only
def test_values_that_differ_by_case_alone(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1)
    upper, lower = pooler.raw(application_name="APP"), pooler.raw(application_name="app")
    for _ in range(2):
        assert upper.query("SHOW application_name").value() == "APP"
        assert lower.query("SHOW application_name").value() == "app"


@pytest.fixture
def followed(make_pooler):
    return make_pooler(pool_mode="transaction", default_pool_size=1, session_state="track")


@pytest.mark.parametrize("reset", ["RESET ALL", "RESET work_mem"])
def test_second_reset_of_one_transaction(followed, reset):
    conn = followed.raw(options="-c work_mem=5MB")
    for text in ("BEGIN", reset, "SET work_mem = '9MB'", reset):
        assert conn.query(text).error is None
    assert show(conn, "work_mem") == "5MB"


def test_second_reset_of_one_pipeline(followed):
    conn = followed.raw(options="-c work_mem=5MB")
    texts = ("SET work_mem = '6MB'", "DISCARD ALL", "SHOW work_mem", "RESET ALL", "SHOW work_mem")
    conn.send(b"".join(query(text) for text in texts))
    results = [conn.result() for _ in texts]
    assert (results[2].value(), results[4].value()) == ("5MB", "5MB")


def test_reset_before_a_copy_in_one_batch(followed, pg, db):
    """It is refused, and the data that come without having been asked for do no harm."""
    with pg.connect(db) as c:
        c.execute("CREATE TABLE copied (v int); GRANT ALL ON copied TO public")
    conn = followed.raw(options="-c work_mem=5MB")
    conn.query("SET work_mem = '6MB'")
    result = conn.run(parse("", "RESET ALL"), bind(), execute(),
                      parse("", "COPY copied FROM STDIN"), bind(), execute(), sync(),
                      message("d", b"1\n"), message("c"), sync())
    assert result.error.code == "0A000"
    assert conn.result().error is None
    assert conn.query("SELECT * FROM copied").rows == []
    assert show(conn, "work_mem") == "6MB"


UNREPORTED = "IntervalStyle, search_path, work_mem, app.x"


@pytest.fixture
def with_unreported(make_pooler):
    return make_pooler(pool_mode="transaction", default_pool_size=1, worker_threads=1,
                       session_state="track", track_extra_parameters=UNREPORTED)


@pytest.mark.pgweir_only
@pytest.mark.parametrize("name, mine", [
    ("search_path", "pg_catalog"), ("work_mem", "77MB"), ("app.x", "secret"),
    ("IntervalStyle", "iso_8601"),
])
def test_tracked_but_not_reported_is_a_setting_like_any_other(with_unreported, name, mine):
    a, b = with_unreported.raw(), with_unreported.raw()
    ask = f"SELECT current_setting('{name}', true)"
    before = b.query(ask).value() or ""
    assert a.query(f"SET {name} TO '{mine}'").error is None
    for _ in range(2):
        assert (b.query(ask).value() or "") == before
        assert a.query(ask).value() == mine
    a.query(f"SELECT set_config('{name}', '{mine}', false)")
    a.query(f"BEGIN; SET {name} TO DEFAULT; ROLLBACK")
    assert (b.query(ask).value() or "") == before
    assert a.query(ask).value() == mine
    a.query(f"RESET {name}")
    assert (b.query(ask).value() or "") == before
    assert (a.query(ask).value() or "") == before
    a.query(f"SET {name} TO '{mine}'")
    a.leave()
    assert (with_unreported.raw().query(ask).value() or "") == before


@pytest.mark.pgweir_only
@pytest.mark.parametrize("how", ["by its name", "in options"])
def test_tracked_but_not_reported_at_the_start(with_unreported, pg, db, how):
    values = {"search_path": "pg_catalog", "work_mem": "77MB", "IntervalStyle": "iso_8601"}
    if how == "in options":
        values = {"options": " ".join(f"-c {name}={value}" for name, value in values.items())}
    ask = ("SELECT current_setting('search_path'), current_setting('work_mem'),"
           " current_setting('IntervalStyle')")
    a, b = with_unreported.raw(**values), with_unreported.raw()
    direct, plain = pg.raw("alice", db, **values), pg.raw("alice", db)
    for text in (ask, ask, "SET search_path = public", ask, "RESET search_path", ask,
                 "SET work_mem = '1MB'", "RESET ALL", ask):
        assert a.query(text).rows == direct.query(text).rows
        assert b.query(ask).rows == plain.query(ask).rows
    assert "search_path" not in a.params or "search_path" in direct.params


@pytest.mark.pgweir_only
def test_tracked_but_not_reported_is_as_in_pgbouncer_without_tracking(make_pooler):
    pooler = make_pooler(pool_mode="transaction", default_pool_size=1, session_state="off",
                         track_extra_parameters=UNREPORTED)
    assert show(pooler.raw(search_path="pg_catalog"), "search_path") == "pg_catalog"
