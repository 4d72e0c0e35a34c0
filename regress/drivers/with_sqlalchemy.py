# SPDX-License-Identifier: PostgreSQL
"""SQLAlchemy as test suites use it: each test in a transaction that is rolled back, where what the
code under test commits are savepoints; a pool of connections; reflection; streams of rows."""

import asyncio
import datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, declarative_base, relationship
from transcript import run, show

Base = declarative_base()


class Author(Base):
    __tablename__ = "author"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.Text, unique=True, nullable=False)
    data = sa.Column(pg.JSONB)
    tags = sa.Column(pg.ARRAY(sa.Text))
    born = sa.Column(sa.DateTime(timezone=True))
    fee = sa.Column(sa.Numeric(10, 3))
    picture = sa.Column(sa.LargeBinary)
    books = relationship("Book", back_populates="author", order_by="Book.title")


class Book(Base):
    __tablename__ = "book"
    id = sa.Column(sa.Integer, primary_key=True)
    title = sa.Column(sa.Text)
    author_id = sa.Column(sa.ForeignKey("author.id"))
    author = relationship(Author, back_populates="books")


def engine(**kw):
    return sa.create_engine("postgresql://", **kw)


def value(conn, text, **args):
    return conn.execute(sa.text(text), args).scalar()


def author(number):
    return Author(name=f"author {number}", data={"n": [number, None]}, tags=["a", f"t{number}"],
                  born=datetime.datetime(2000, 1, number + 1, tzinfo=datetime.timezone.utc),
                  fee=Decimal("1.125") * number, picture=bytes([0, 255, number]),
                  books=[Book(title=f"book {number}.{i}") for i in range(number)])


def fixture(test):
    """A test in a transaction of the connection, whatever its session does."""
    e = engine()
    Base.metadata.drop_all(e)
    Base.metadata.create_all(e)
    with e.connect() as conn:
        outer = conn.begin()
        session = Session(bind=conn)
        conn.begin_nested()

        @sa.event.listens_for(session, "after_transaction_end")
        def begin_again(_, __):
            if conn.in_transaction() and not conn.in_nested_transaction():
                conn.begin_nested()

        test(session)
        session.close()
        outer.rollback()
    with e.connect() as conn:
        show("left", value(conn, "SELECT count(*) FROM author"), value(conn, "SHOW TimeZone"))
    Base.metadata.drop_all(e)
    e.dispose()


def commits(session):
    session.add_all(author(i) for i in range(5))
    session.commit()
    session.execute(sa.text("SET TIME ZONE 'Asia/Kolkata'"))
    for found in session.query(Author).order_by(Author.id):
        show("author", found.name, found.data, found.tags, found.born.isoformat(), found.fee, found.picture,
             [book.title for book in found.books])
    session.query(Book).filter(Book.title.like("%.1")).delete(synchronize_session=False)
    session.commit()
    show("books", session.query(sa.func.count(Book.id)).scalar())


def fails(session):
    session.add(author(1))
    session.commit()
    session.add(author(1))
    try:
        session.commit()
    except sa.exc.IntegrityError as e:
        show("refused", e.orig.pgcode)
        session.rollback()
    show("kept", session.query(Author.name).all())
    with session.begin_nested():
        session.add(author(2))
    session.rollback()
    session.add(author(3))
    session.flush()
    show("within", sorted(name for name, in session.query(Author.name)))


def work_in_tests():
    fixture(commits)
    fixture(fails)


def isolation():
    e = engine()
    for level in ("SERIALIZABLE", "REPEATABLE READ", "AUTOCOMMIT"):
        with e.connect().execution_options(isolation_level=level) as conn:
            show(level, value(conn, "SHOW transaction_isolation"), conn.get_isolation_level())
            show("again", value(conn, "SHOW transaction_isolation"))
    with e.connect() as conn:
        show("default", conn.get_isolation_level())
    with e.connect().execution_options(postgresql_readonly=True) as conn:
        show("read only", value(conn, "SHOW transaction_read_only"))
    e.dispose()


def pool():
    """What a connection of the pool is told once it keeps, and what a checkout sets it does, too."""
    e = engine(pool_size=2, max_overflow=0, pool_pre_ping=True, connect_args={"options": "-c app.pool=mine"})

    @sa.event.listens_for(e, "connect")
    def at_connect(dbapi, _):
        with dbapi.cursor() as cur:
            cur.execute("SET statement_timeout = '41s'")
        dbapi.commit()

    for number in range(6):
        with e.begin() as one, e.begin() as two:
            one.execute(sa.text("SELECT set_config('app.tenant', :t, true)"), {"t": f"one {number}"})
            two.execute(sa.text("SELECT set_config('app.tenant', :t, true)"), {"t": f"two {number}"})
            for conn in (one, two):
                show("seen", value(conn, "SHOW app.tenant"), value(conn, "SHOW app.pool"),
                     value(conn, "SHOW statement_timeout"))
        with e.connect() as conn:
            show("between", value(conn, "SELECT current_setting('app.tenant', true)"))
    e.dispose()


def reflection():
    e = engine()
    Base.metadata.drop_all(e)
    Base.metadata.create_all(e)
    found = sa.MetaData()
    found.reflect(e)
    for table in found.sorted_tables:
        show(table.name, [(column.name, str(column.type)) for column in table.columns],
             [key.target_fullname for key in table.foreign_keys])
    inspector = sa.inspect(e)
    show("unique", inspector.get_unique_constraints("author"), inspector.get_pk_constraint("book"))
    Base.metadata.drop_all(e)
    show("gone", sa.inspect(e).get_table_names())
    e.dispose()


def streams():
    e = engine()
    with e.connect() as conn:
        rows = conn.execution_options(stream_results=True, max_row_buffer=50).execute(
            sa.text("SELECT g FROM generate_series(1, 300) g"))
        show("sum", sum(row.g for row in rows))
        parts = conn.execution_options(yield_per=40).execute(sa.text("SELECT g FROM generate_series(1, 100) g"))
        show("parts", [len(part) for part in parts.partitions(40)])
    e.dispose()


def core():
    """Statements that get their rows in many values, temporary tables, two phases."""
    e = engine()
    meta = sa.MetaData()
    table = sa.Table("thing", meta, sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Text),
                     prefixes=["TEMPORARY"])
    with e.begin() as conn:
        meta.create_all(conn)
        conn.execute(table.insert(), [{"v": f"v{i}"} for i in range(200)])
        again = pg.insert(table).values(id=7, v="again")
        conn.execute(again.on_conflict_do_update(index_elements=["id"], set_={"v": again.excluded.v}))
        show("row", tuple(conn.execute(sa.select(table).where(table.c.id == 7)).one()))
        show("made", conn.execute(table.insert().returning(table.c.id), {"v": "x"}).scalar())
    e.dispose()


def with_asyncpg():
    """The same classes over asyncpg, which prepares everything."""
    async def work():
        e = create_async_engine("postgresql+asyncpg://", pool_size=2,
                                connect_args={"server_settings": {"app.pool": "asyncpg"}})
        async with e.begin() as conn:
            await conn.run_sync(Base.metadata.drop_all)
            await conn.run_sync(Base.metadata.create_all)
        async with AsyncSession(e) as session:
            for round_ in range(3):
                async with session.begin():
                    session.add_all(author(4 * round_ + i) for i in range(4))
                    await session.execute(sa.text("SET LOCAL TIME ZONE 'Asia/Tokyo'"))
                found = await session.execute(sa.select(Author.name, Author.data, Author.tags, Author.fee)
                                              .where(Author.id > 2 * round_).order_by(Author.id))
                show("rows", [tuple(row) for row in found])
                show("shown", (await session.execute(sa.text("SHOW TimeZone"))).scalar(),
                     (await session.execute(sa.text("SHOW app.pool"))).scalar())
                await session.commit()
        async with e.connect() as conn:
            rows = await conn.stream(sa.text("SELECT g FROM generate_series(1, 200) g"))
            show("sum", sum([row.g async for row in rows]))
        async with e.begin() as conn:
            await conn.run_sync(Base.metadata.drop_all)
        await e.dispose()
    asyncio.run(work())


if __name__ == "__main__":
    run([work_in_tests, isolation, pool, reflection, streams, core, with_asyncpg])
