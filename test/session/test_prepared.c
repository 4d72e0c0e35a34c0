/* SPDX-License-Identifier: PostgreSQL
 *
 * Statements: what makes two of them one, who keeps which alive, and the bytes they are counted
 * with.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/session/prepared.h"

static const struct pw_hash_key hash_key = {7, 8};

struct fixture {
	_Atomic uint64_t bytes;
	struct pw_statements statements;
	struct pw_prepared *client;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	pw_statements_init(&f->statements, &hash_key, &f->bytes);
	f->client = pw_prepared_create(&f->statements);
	*state = f;
	return f->client ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	uint64_t left;

	pw_prepared_destroy(f->client);
	left = atomic_load(&f->bytes);
	pw_statements_fini(&f->statements);
	free(f);
	return left == 0 ? 0 : -1; /* what was counted is counted off again */
}

static struct pw_statement_key key_of(const char *text, const char *types, size_t types_len,
				      uint64_t params)
{
	return (struct pw_statement_key){
	    .text = text,
	    .text_len = strlen(text),
	    .types = (const uint8_t *)types,
	    .types_len = types_len,
	    .parse_state = {.params = {params, params}},
	};
}

static struct pw_prepared_name *add_key(struct fixture *f, const char *name,
					struct pw_statement_key key)
{
	struct pw_prepared_name *out = NULL;

	assert_int_equal(pw_prepared_add(f->client, name, &key, 0, 0, &out), PW_OK);
	assert_non_null(out);
	assert_ptr_equal(pw_prepared_find(f->client, name), out);
	return out;
}

static struct pw_prepared_name *add(struct fixture *f, const char *name, const char *text)
{
	return add_key(f, name, key_of(text, "\0\0", 2, 0));
}

/* ---- moving to other settings ---- */

static void test_move(void **state)
{
	struct fixture *f = *state;
	struct pw_prepared_name *a = add(f, "a", "select 1"), *b = add(f, "b", "select 1");
	struct pw_statement *before = a->statement;
	const struct pw_parse_state other = {.params = {7, 7}}, none = {.params = {0, 0}};
	uint64_t bytes = atomic_load(&f->bytes);
	size_t counted = f->client->bytes;

	assert_ptr_equal(b->statement, before);
	assert_int_equal(pw_prepared_move(a, other), PW_OK);
	assert_false(pw_id_equal(a->statement->id, before->id));
	assert_string_equal((const char *)a->statement->body, "select 1");
	assert_ptr_equal(b->statement, before);
	assert_int_equal(atomic_load(&f->bytes), 2 * bytes);
	assert_int_equal(pw_prepared_move(b, other), PW_OK);
	assert_ptr_equal(b->statement, a->statement);
	assert_int_equal(atomic_load(&f->bytes), bytes);
	assert_int_equal(pw_prepared_move(a, none), PW_OK);
	assert_int_equal(pw_prepared_move(a, none), PW_OK);
	assert_int_equal(f->client->bytes, counted);
}

/* ---- identity ---- */

static void test_identity(void **state)
{
	struct fixture *f = *state;
	const struct pw_statement_key keys[] = {
	    key_of("select 1", "\0\0", 2, 0),
	    key_of("select 2", "\0\0", 2, 0),
	    key_of("select 1 ", "\0\0", 2, 0),
	    key_of("select 1", "\0\1\0\0\0\x17", 6, 0),
	    key_of("select 1", "\0\1\0\0\0\x19", 6, 0),
	    key_of("select 1", "\0\0", 2, 1),
	    key_of("", "\0\0", 2, 0),
	    key_of("", "\0\0", 2, 1),
	};
	struct pw_statement *seen[PW_COUNTOF(keys)];

	for (size_t i = 0; i < PW_COUNTOF(keys); i++) {
		const char name[] = {(char)('a' + i), '\0'};

		seen[i] = add_key(f, name, keys[i])->statement;
		for (size_t k = 0; k < i; k++) {
			assert_ptr_not_equal(seen[i], seen[k]);
			assert_false(pw_id_equal(seen[i]->id, seen[k]->id));
		}
	}
	assert_int_equal(pw_prepared_count(f->client), PW_COUNTOF(keys));
	/* The same under another name is the same. */
	assert_ptr_equal(add_key(f, "again", keys[3])->statement, seen[3]);
	assert_int_equal(f->statements.map.count, PW_COUNTOF(keys));
}

/* The boundary between the parts is part of the identity. */
static void test_parts_do_not_run_together(void **state)
{
	struct fixture *f = *state;
	const struct pw_statement_key a = key_of("bc", "a", 1, 0), b = key_of("c", "ab", 2, 0);

	assert_ptr_not_equal(add_key(f, "a", a)->statement, add_key(f, "b", b)->statement);
}

static void test_one_of_a_single_parse(void **state)
{
	struct fixture *f = *state;
	struct pw_statement_key key = key_of("fetch c", "\0\0", 2, 0);
	const struct pw_parse_state other = {.params = {7, 7}};
	struct pw_prepared_name *first, *second;
	struct pw_id id;

	assert_false(pw_statement_is_own(add_key(f, "shared", key)->statement));
	key.own = (struct pw_id){5, 1};
	first = add_key(f, "first", key);
	key.own.lo = 2;
	second = add_key(f, "second", key);
	assert_true(pw_statement_is_own(first->statement));
	assert_ptr_not_equal(first->statement, second->statement);
	assert_int_equal(f->statements.map.count, 3);
	id = first->statement->id;
	assert_int_equal(pw_prepared_move(first, other), PW_OK);
	assert_int_equal(pw_prepared_move(second, other), PW_OK);
	assert_ptr_not_equal(first->statement, second->statement);
	assert_false(pw_id_equal(first->statement->id, id));
}

static void test_ids_agree_between_workers(void **state)
{
	struct fixture *f = *state;
	struct fixture other = {.bytes = 0};
	struct pw_id id = add(f, "a", "select 1")->statement->id;

	pw_statements_init(&other.statements, &hash_key, &other.bytes);
	other.client = pw_prepared_create(&other.statements);
	assert_true(pw_id_equal(add(&other, "x", "select 1")->statement->id, id));
	pw_prepared_destroy(other.client);
	pw_statements_fini(&other.statements);
}

static void test_body_is_the_tail_of_a_parse(void **state)
{
	struct fixture *f = *state;
	char text[] = "select $1";
	struct pw_statement *s = add_key(f, "a", key_of(text, "\0\1\0\0\0\x17", 6, 0))->statement;

	text[0] = 'X'; /* it is a copy */
	assert_int_equal(s->text_len, 9);
	assert_int_equal(s->types_len, 6);
	assert_memory_equal(s->body, "select $1\0\0\1\0\0\0\x17", 16);
}

/* ---- names ---- */

static void test_names(void **state)
{
	struct fixture *f = *state;
	struct pw_prepared_name *a = add(f, "a", "select 1"), *unnamed = add(f, "", "select 2");

	assert_null(pw_prepared_find(f->client, "b"));
	assert_null(pw_prepared_find(f->client, "A"));
	assert_ptr_equal(pw_prepared_find(f->client, ""), unnamed);
	pw_prepared_unlist(a);
	assert_null(pw_prepared_find(f->client, "a"));
	assert_int_equal(pw_prepared_count(f->client), 1);
	pw_prepared_clear(f->client);
	assert_int_equal(pw_prepared_count(f->client), 0);
	assert_int_equal(f->client->bytes, 0);
	assert_int_equal(f->statements.map.count, 0);
	/* Somebody without a list at all. */
	assert_int_equal(pw_prepared_count(NULL), 0);
	assert_null(pw_prepared_find(NULL, "a"));
	pw_prepared_clear(NULL);
	pw_prepared_destroy(NULL);
}

static void test_unlist_and_relist(void **state)
{
	struct fixture *f = *state;
	struct pw_prepared_name *a = pw_prepared_name_ref(add(f, "a", "select 1")), *other;
	size_t bytes = f->client->bytes;

	pw_prepared_unlist(a);
	pw_prepared_unlist(a);
	/* The statement lives on with the name, and counts. */
	assert_int_equal(f->client->bytes, bytes);
	assert_int_equal(f->statements.map.count, 1);
	pw_prepared_relist(a);
	pw_prepared_relist(a);
	assert_ptr_equal(pw_prepared_find(f->client, "a"), a);
	assert_int_equal(f->client->bytes, bytes);
	assert_int_equal(pw_prepared_count(f->client), 1);
	/* The name was taken meanwhile: it stays with who took it. */
	pw_prepared_unlist(a);
	other = add(f, "a", "select 2");
	pw_prepared_relist(a);
	assert_ptr_equal(pw_prepared_find(f->client, "a"), other);
	assert_false(a->is_listed);
	assert_int_equal(f->client->bytes, 2 * bytes);
	pw_prepared_name_unref(a);
	assert_int_equal(f->client->bytes, bytes);
	assert_int_equal(f->statements.map.count, 1);
}

/* Portals of several statements, in any order; the oldest gives way when there are too many. */
static void test_portals(void **state)
{
	struct fixture *f = *state;
	struct pw_prepared_name *a = add(f, "a", "select 1"), *b = add(f, "b", "select 2");
	char portal[16];

	pw_prepared_note_bind(f->client, "p1", a, NULL);
	pw_prepared_note_bind(f->client, "", b, NULL);
	pw_prepared_note_bind(f->client, "p3", NULL, NULL);
	assert_ptr_equal(pw_prepared_bound(f->client, "p1"), a);
	assert_ptr_equal(pw_prepared_bound(f->client, ""), b);
	assert_null(pw_prepared_bound(f->client, "p3"));
	/* Bound anew, to something that is not shared. */
	pw_prepared_note_bind(f->client, "", NULL, NULL);
	assert_null(pw_prepared_bound(f->client, ""));
	/* What is run drops another. */
	pw_prepared_note_bind(f->client, "", NULL, a);
	pw_prepared_note_bind(f->client, "p4", b, a);
	assert_null(pw_prepared_bound(f->client, ""));
	assert_ptr_equal(pw_prepared_dropped(f->client, ""), a);
	assert_ptr_equal(pw_prepared_bound(f->client, "p4"), b);
	assert_ptr_equal(pw_prepared_dropped(f->client, "p4"), a);
	assert_null(pw_prepared_dropped(f->client, "p1"));
	assert_null(pw_prepared_dropped(f->client, "p5"));
	pw_prepared_note_bind(f->client, "", NULL, NULL);
	assert_null(pw_prepared_dropped(f->client, ""));
	for (int i = 0; i < PW_PREPARED_PORTALS; i++) {
		snprintf(portal, sizeof(portal), "q%d", i);
		pw_prepared_note_bind(f->client, portal, b, NULL);
	}
	assert_null(pw_prepared_bound(f->client, "p1"));
	assert_ptr_equal(pw_prepared_bound(f->client, "q0"), b);
	pw_prepared_unlist(b);
	assert_int_equal(f->statements.map.count, 2);
	pw_prepared_forget_portals(f->client);
	assert_null(pw_prepared_bound(f->client, "q0"));
	assert_int_equal(f->statements.map.count, 1);
}

/* Taken from the list, a name lives as long as an expected answer holds it; so does its text. */
static void test_statement_goes_with_its_last_name(void **state)
{
	struct fixture *f = *state;
	struct pw_prepared_name *listed = pw_prepared_name_ref(add(f, "a", "select 1"));
	struct pw_prepared_name *unlisted = pw_prepared_name_ref(add(f, "b", "select 2"));

	pw_prepared_unlist(unlisted);
	assert_int_equal(f->statements.map.count, 2);
	pw_prepared_name_unref(unlisted);
	pw_prepared_name_unref(listed);
	assert_ptr_equal(pw_prepared_find(f->client, "a"), listed);
	assert_int_equal(f->statements.map.count, 1);
}

/* ---- bytes ---- */

static void test_bytes_of_the_process_count_a_text_once(void **state)
{
	struct fixture *f = *state;
	struct pw_prepared *second = pw_prepared_create(&f->statements);
	struct pw_statement_key key = key_of("select 1", "\0\0", 2, 0);
	struct pw_prepared_name *out;
	uint64_t one;

	(void)add_key(f, "a", key);
	one = atomic_load(&f->bytes);
	assert_true(one > key.text_len + key.types_len);
	(void)add_key(f, "b", key);
	assert_int_equal(pw_prepared_add(second, "a", &key, 0, 0, &out), PW_OK);
	assert_int_equal(atomic_load(&f->bytes), one);
	/* But each client bears the whole for itself. */
	assert_int_equal(second->bytes * 2, f->client->bytes);
	assert_true(second->bytes > one);
	pw_prepared_destroy(second);
	assert_int_equal(atomic_load(&f->bytes), one);
	pw_prepared_clear(f->client);
	assert_int_equal(atomic_load(&f->bytes), 0);
}

static void test_limit_of_a_client(void **state)
{
	struct fixture *f = *state;
	struct pw_statement_key key = key_of("select 1", "\0\0", 2, 0);
	struct pw_prepared_name *out = NULL;
	uint64_t each, n = 0;

	(void)add_key(f, "a", key);
	each = f->client->bytes;
	pw_prepared_clear(f->client);
	for (char name[2] = "a"; name[0] <= 'z'; name[0]++) {
		enum pw_status status = pw_prepared_add(f->client, name, &key, 5 * each, 0, &out);

		assert_int_equal(status, n < 5 ? PW_OK : PW_ELIMIT);
		n += status == PW_OK;
		assert_true(f->client->bytes <= 5 * each);
	}
	assert_int_equal(pw_prepared_count(f->client), 5);
	/* Room again after a Close. */
	pw_prepared_unlist(pw_prepared_find(f->client, "c"));
	assert_int_equal(pw_prepared_add(f->client, "z", &key, 5 * each, 0, &out), PW_OK);
	assert_int_equal(pw_prepared_add(f->client, "y", &key, 5 * each - 1, 0, &out), PW_ELIMIT);
}

static void test_limit_of_the_process(void **state)
{
	struct fixture *f = *state;
	struct pw_statement_key one = key_of("select 1", "\0\0", 2, 0);
	struct pw_statement_key two = key_of("select 2", "\0\0", 2, 0);
	struct pw_prepared_name *out = NULL;
	uint64_t each;

	(void)add_key(f, "a", one);
	each = atomic_load(&f->bytes);
	assert_int_equal(pw_prepared_add(f->client, "b", &two, 0, 2 * each - 1, &out), PW_ELIMIT);
	assert_null(pw_prepared_find(f->client, "b"));
	assert_int_equal(atomic_load(&f->bytes), each);
	/* What is there already costs nothing. */
	assert_int_equal(pw_prepared_add(f->client, "b", &one, 0, each, &out), PW_OK);
	assert_int_equal(pw_prepared_add(f->client, "c", &two, 0, 2 * each, &out), PW_OK);
	assert_int_equal(atomic_load(&f->bytes), 2 * each);
}

static void test_many(void **state)
{
	struct fixture *f = *state;
	char name[32];

	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		(void)add(f, name, i % 2 ? name : "shared");
	}
	assert_int_equal(pw_prepared_count(f->client), 500);
	assert_int_equal(f->statements.map.count, 251);
	for (int i = 0; i < 500; i += 2) {
		snprintf(name, sizeof(name), "s%d", i);
		pw_prepared_unlist(pw_prepared_find(f->client, name));
	}
	assert_int_equal(pw_prepared_count(f->client), 250);
	assert_int_equal(f->statements.map.count, 250);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void test_portals_that_end(void **state)
{
	struct fixture *f = *state;
	struct pw_prepared_name *a = add(f, "a", "select 1"), *b = add(f, "b", "deallocate a");

	assert_false(pw_prepared_has_bound(NULL));
	assert_false(pw_prepared_has_bound(f->client));
	pw_prepared_note_bind(f->client, "p1", a, NULL);
	pw_prepared_note_bind(f->client, "p2", b, a);
	pw_prepared_unbind(f->client, "p1");
	pw_prepared_unbind(f->client, "p3");
	pw_prepared_unbind(NULL, "p1");
	assert_null(pw_prepared_bound(f->client, "p1"));
	assert_ptr_equal(pw_prepared_bound(f->client, "p2"), b);
	assert_true(pw_prepared_has_bound(f->client));
	pw_prepared_unbind_all(f->client);
	assert_null(pw_prepared_bound(f->client, "p2"));
	assert_ptr_equal(pw_prepared_dropped(f->client, "p2"), a);
	assert_false(pw_prepared_has_bound(f->client));
}

static void test_epoch_of_what_is_provisional(void **state)
{
	struct fixture *f = *state;
	struct pw_prepared_name *a = add(f, "a", "select 1"), *b = add(f, "b", "select 1");

	a->epoch = b->epoch = 3;
	pw_prepared_settle(f->client, 4);
	assert_int_equal(a->epoch, 3);
	pw_prepared_set_provisional(b);
	pw_prepared_settle(f->client, 5);
	pw_prepared_settle(f->client, 6);
	assert_int_equal(a->epoch, 3);
	assert_int_equal(b->epoch, 5);
}

static void test_types_that_are_found(void **state)
{
	struct fixture *f = *state;
	struct pw_prepared_name *a = add(f, "a", "select $1"), *b = add(f, "b", "select $1");
	struct pw_prepared_name *none = add(f, "none", "select 1");
	struct pw_prepared_name *given =
	    add_key(f, "given", key_of("select $1", "\0\1\0\0\0\x17", 6, 0));
	size_t counted = f->client->bytes;

	assert_true(a->statement->is_open);
	assert_false(none->statement->is_open);
	assert_false(given->statement->is_open);
	pw_prepared_tell_types(none, "\0\0", 2, 7);
	pw_prepared_tell_types(given, "\0\1\0\0\0\x19", 6, 7);
	pw_prepared_tell_types(a, "", 0, 7);
	assert_null(none->types);
	assert_null(given->types);
	assert_null(a->types);
	assert_int_equal(f->client->bytes, counted);
	pw_prepared_tell_types(a, "\0\1\0\0\0\x17", 6, 7);
	pw_prepared_tell_types(a, "\0\1\0\0\0\x19", 6, 8); /* those of before stay */
	assert_int_equal(a->parameters, 7);
	assert_int_equal(f->client->bytes, counted + 6);
	assert_int_equal(pw_prepared_close_types(a), PW_OK);
	assert_ptr_equal(a->statement, given->statement);
	assert_ptr_not_equal(a->statement, b->statement);
	pw_prepared_forget_types(a);
	pw_prepared_forget_types(b);
	assert_int_equal(f->client->bytes, counted + 4); /* of its statement */
}

static void test_what_is_open(void **state)
{
	static const struct {
		const char *text, *types;
		size_t types_len;
		bool is_open;
	} rows[] = {
	    {"select $1, $2", "\0\1\0\0\0\x17", 6, true},
	    {"select $1, $2", "\0\2\0\0\0\x17\0\0\0\0", 10, true},
	    {"select $1, $2", "\0\2\0\0\0\x17\0\0\2\xc1", 10, true}, /* "unknown" */
	    {"select $1, $2", "\0\2\0\0\0\x17\0\0\0\x17", 10, false},
	    {"select $2, $1", "\0\2\0\0\0\x17\0\0\0\x17", 10, false},
	    {"select $99999999999999999999", "\0\1\0\0\0\x17", 6, true},
	    {"select $$a$$, $b$ c $b$, '$'", "\0\0", 2, false},
	    {"$", "\0\0", 2, false},
	};
	struct fixture *f = *state;
	char name[8];

	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		snprintf(name, sizeof(name), "%zu", i);
		assert_int_equal(
		    add_key(f, name, key_of(rows[i].text, rows[i].types, rows[i].types_len, 0))
			->statement->is_open,
		    rows[i].is_open);
	}
}

static void test_what_may_unbind(void **state)
{
	static const char *const texts[] = {"COMMIT",        "select 1; End",
					    "rollback to s", "ABORT",
					    "close p",       "Declare p cursor for select 1",
					    "DISCARD ALL",   "prepare transaction 'x'"};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(texts); i++)
		assert_true(pw_statement_may_unbind(texts[i], strlen(texts[i])));
	assert_false(pw_statement_may_unbind("select 1", 8));
	assert_false(pw_statement_may_unbind("commit", 5));
	assert_false(pw_statement_may_unbind("", 0));
}

static bool is_of_session(const char *text)
{
	return pw_statement_is_of_session(text, strlen(text));
}

static void test_what_is_of_a_session(void **state)
{
	(void)state;
	assert_true(is_of_session("FETCH ALL FROM c"));
	assert_true(is_of_session(" \n fetch c"));
	assert_true(is_of_session("Execute a(1)"));
	assert_true(is_of_session(";; -- fetch\n/* a /* b */ /*/ c */ */EXECUTE a"));
	assert_true(is_of_session("--\rfetch c"));
	assert_false(is_of_session("MOVE c"));
	assert_false(is_of_session("SELECT 1 FETCH FIRST ROW ONLY"));
	assert_false(is_of_session("EXPLAIN EXECUTE a"));
	assert_false(is_of_session("/* fetch"));
	assert_false(is_of_session("/*"));
	assert_false(is_of_session("/"));
	assert_false(is_of_session("-- fetch"));
	assert_false(is_of_session("/* /* */ fetch"));
	assert_false(is_of_session(""));
}

static bool may_forget(const char *text)
{
	return pw_statement_may_forget(text, strlen(text));
}

static void test_what_may_forget(void **state)
{
	(void)state;
	assert_true(may_forget("DISCARD ALL"));
	assert_true(may_forget("discard all"));
	assert_true(may_forget("  -- so\nDeAllocate/**/ALL"));
	assert_true(may_forget("SELECT 1; DEALLOCATE ALL"));
	assert_true(may_forget("SELECT 1;\n;select 2 ; /* */ discard all"));
	assert_true(may_forget(";DISCARD ALL"));
	assert_true(may_forget("/* first */ DISCARD ALL"));
	assert_true(may_forget("ddiscard"));
	assert_false(may_forget(""));
	assert_false(may_forget("SELECT d FROM discar"));
	assert_false(may_forget("deallocat"));
	assert_false(may_forget("DIS CARD"));
	assert_false(may_forget("SELECT 'discard'"));
	assert_false(may_forget("SELECT 'discard'; "));
	assert_false(may_forget(" ;"));
	/* Not beyond the end. */
	assert_false(pw_statement_may_forget("DISCARD", 6));
	assert_true(pw_statement_may_forget("DISCARD", 7));
}

static bool may_name(const char *text)
{
	return pw_statement_may_name(text, strlen(text));
}

static void test_what_may_name(void **state)
{
	(void)state;
	assert_true(may_name("EXECUTE a"));
	assert_true(may_name("explain (costs off)\nExecute a(1)"));
	assert_true(may_name("SELECT 1; PREPARE a AS SELECT 1"));
	assert_true(may_name("deAllocate a"));
	assert_true(may_name("SELECT * FROM Pg_Prepared_Statements"));
	assert_true(may_name("SELECT * FROM U&\"pg!005fprepared_statements\" UESCAPE '!'"));
	assert_true(may_name("TABLE u&\"\""));
	assert_false(may_name(""));
	assert_false(may_name("ex"));
	assert_false(may_name("SELECT exec, prep, de, u & \"u\", 'execut' FROM deallocat"));
	assert_true(pw_statement_may_name("PREPARE", 7));
	assert_false(pw_statement_may_name("PREPARE", 6));
}

static bool may_ask(const char *text)
{
	return pw_statement_may_ask(text, strlen(text));
}

static void test_what_may_ask(void **state)
{
	struct fixture *f = *state;

	assert_true(may_ask("currval"));
	assert_true(may_ask("SELECT CurrVal('s'), 1"));
	assert_true(may_ask("SELECT 1, LASTVAL()"));
	assert_true(may_ask("lastvcurrval"));
	assert_false(may_ask(""));
	assert_false(may_ask("val"));
	assert_false(may_ask("SELECT nextval('s'), curr val, lastva, astval"));
	assert_true(pw_statement_may_ask("lastval", 7));
	assert_false(pw_statement_may_ask("lastval", 6));
	/* It is known with the statement. */
	assert_true(add(f, "a", "select lastval()")->statement->may_ask);
	assert_false(add(f, "b", "select nextval('s')")->statement->may_ask);
	assert_int_equal(pw_prepared_move(pw_prepared_find(f->client, "a"),
					  (struct pw_parse_state){.params = {7, 7}}),
			 PW_OK);
	assert_true(pw_prepared_find(f->client, "a")->statement->may_ask);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_portals_that_end),
	    TEST(test_epoch_of_what_is_provisional),
	    TEST(test_types_that_are_found),
	    TEST(test_what_is_open),
	    cmocka_unit_test(test_what_may_unbind),
	    cmocka_unit_test(test_what_is_of_a_session),
	    cmocka_unit_test(test_what_may_forget),
	    cmocka_unit_test(test_what_may_name),
	    TEST(test_what_may_ask),
	    TEST(test_identity),
	    TEST(test_move),
	    TEST(test_parts_do_not_run_together),
	    TEST(test_one_of_a_single_parse),
	    TEST(test_ids_agree_between_workers),
	    TEST(test_body_is_the_tail_of_a_parse),
	    TEST(test_names),
	    TEST(test_unlist_and_relist),
	    TEST(test_portals),
	    TEST(test_statement_goes_with_its_last_name),
	    TEST(test_bytes_of_the_process_count_a_text_once),
	    TEST(test_limit_of_a_client),
	    TEST(test_limit_of_the_process),
	    TEST(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
