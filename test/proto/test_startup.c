/* SPDX-License-Identifier: PostgreSQL
 *
 * Start-up packets, good and hostile, and the walker of the `options` parameter. Each packet lies
 * in memory of exactly its size.
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

#include "pgweir/base/strbuf.h"
#include "pgweir/proto/startup.h"
#include "pgweir/proto/writer.h"

enum {
	CODE_CANCEL = 1234 << 16 | 5678,
	CODE_SSL = 1234 << 16 | 5679,
	CODE_GSSENC = 1234 << 16 | 5680,
};

struct parsed {
	uint8_t *packet;
	size_t len;
	struct pw_startup startup;
	struct pw_error err;
	enum pw_status status;
};

static struct parsed parse(uint32_t code, const void *body, size_t len)
{
	struct pw_strbuf out = PW_STRBUF_INIT;
	size_t begin = pw_writer_begin(&out, 0);
	struct parsed p = {.len = 0};

	pw_strbuf_add_u32(&out, code);
	pw_strbuf_add(&out, body, len);
	pw_writer_end(&out, begin);
	p.len = out.len;
	p.packet = malloc(out.len);
	assert_non_null(p.packet);
	memcpy(p.packet, out.data, out.len);
	pw_strbuf_fini(&out);
	p.status = pw_startup_parse(p.packet, p.len, &p.startup, &p.err);
	if (p.status != PW_OK)
		assert_string_equal(p.err.sqlstate, PW_SQLSTATE_PROTOCOL_VIOLATION);
	return p;
}

/* sizeof a literal counts one zero byte more than is written. */
#define PARSE(code, literal) parse(code, literal, sizeof(literal) - 1)

static void assert_refused(struct parsed p, const char *message)
{
	assert_int_equal(p.status, PW_EPROTO);
	if (message)
		assert_non_null(strstr(p.err.message, message));
	free(p.packet);
}

/* ---- kinds ---- */

static void test_length_word(void **state)
{
	static const struct {
		uint8_t head[4];
		size_t len;
	} rows[] = {
	    {{0, 0, 0, 0}, 0},         {{0, 0, 0, 7}, 0},
	    {{0, 0, 0, 8}, 8},         {{0, 0, 0x27, 0x10}, 10000},
	    {{0, 0, 0x27, 0x11}, 0},   {{0x7f, 0xff, 0xff, 0xff}, 0},
	    {{0x80, 0, 0, 8}, 0},      {{0xff, 0xff, 0xff, 0xff}, 0},
	    {{'G', 'E', 'T', ' '}, 0}, {{0x16, 0x03, 0x01, 0x02}, 0}, /* a TLS ClientHello */
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(rows); i++)
		assert_int_equal(pw_startup_length(rows[i].head), rows[i].len);
}

static void test_encryption_requests(void **state)
{
	struct parsed p = parse(CODE_SSL, NULL, 0);

	(void)state;
	assert_int_equal(p.status, PW_OK);
	assert_int_equal(p.startup.kind, PW_STARTUP_SSL);
	free(p.packet);
	p = parse(CODE_GSSENC, NULL, 0);
	assert_int_equal(p.status, PW_OK);
	assert_int_equal(p.startup.kind, PW_STARTUP_GSSENC);
	free(p.packet);
	/* Something behind the code, within the packet: nobody sends that in good faith. */
	assert_refused(PARSE(CODE_SSL, "\0"), "bad packet header");
	assert_refused(PARSE(CODE_GSSENC, "user\0x\0"), "bad packet header");
}

static void test_cancel_keys(void **state)
{
	uint8_t key[300];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 7);
	for (size_t len = 0; len <= sizeof(key); len++) {
		struct parsed p = parse(CODE_CANCEL, key, len);

		if (len < 8 || len > 260) {
			assert_refused(p, "bad packet header");
			continue;
		}
		assert_int_equal(p.status, PW_OK);
		assert_int_equal(p.startup.kind, PW_STARTUP_CANCEL);
		assert_int_equal(p.startup.cancel_key_len, len);
		assert_memory_equal(p.startup.cancel_key, key, len);
		free(p.packet);
	}
}

static void test_versions(void **state)
{
	static const char body[] = "user\0u\0";
	struct parsed p;

	(void)state;
	for (uint32_t minor = 0; minor < 4; minor++) {
		p = parse(PW_PROTOCOL(3, minor), body, sizeof(body));
		assert_int_equal(p.status, PW_OK);
		assert_int_equal(p.startup.version, PW_PROTOCOL(3, minor));
		free(p.packet);
	}
	/* A client may ask for minor versions and protocol extensions that do not exist. */
	p = parse(PW_PROTOCOL(3, 9999), body, sizeof(body));
	assert_int_equal(p.status, PW_OK);
	free(p.packet);
	assert_refused(parse(PW_PROTOCOL(2, 0), body, sizeof(body)), "old V2 protocol");
	assert_refused(parse(PW_PROTOCOL(4, 0), body, sizeof(body)), "bad packet header");
	assert_refused(parse(0, body, sizeof(body)), "bad packet header: '000000");
	assert_refused(parse(0xffffffff, body, sizeof(body)), "bad packet header");
	assert_refused(parse(1234 << 16 | 5681, body, sizeof(body)), "bad packet header");
}

static void test_too_short(void **state)
{
	static const uint8_t packet[] = {0, 0, 0, 8, 0, 3, 0, 0};
	struct pw_startup startup;
	struct pw_error err;

	(void)state;
	for (size_t len = 0; len <= sizeof(packet); len++) {
		uint8_t *copy = malloc(len ? len : 1);

		memcpy(copy, packet, len);
		assert_int_equal(pw_startup_parse(copy, len, &startup, &err), PW_EPROTO);
		free(copy);
	}
}

/* ---- parameters ---- */

static void test_parameters(void **state)
{
	struct parsed p =
	    PARSE(PW_PROTOCOL(3, 0),
		  "user\0bob\0database\0app\0User\0other\0options\0\0user\0last\0empty\0\0\0");

	(void)state;
	assert_int_equal(p.status, PW_OK);
	assert_int_equal(p.startup.n_params, 6);
	assert_string_equal(p.startup.params[0].name, "user");
	assert_string_equal(p.startup.params[0].value, "bob");
	assert_string_equal(pw_startup_get(&p.startup, "user"), "last");
	assert_string_equal(pw_startup_get(&p.startup, "User"), "other");
	assert_string_equal(pw_startup_get(&p.startup, "database"), "app");
	assert_string_equal(pw_startup_get(&p.startup, "options"), "");
	assert_null(pw_startup_get(&p.startup, "USER"));
	assert_null(pw_startup_get(&p.startup, ""));
	free(p.packet);
	p = PARSE(PW_PROTOCOL(3, 0), "\0");
	assert_int_equal(p.status, PW_OK);
	assert_int_equal(p.startup.n_params, 0);
	free(p.packet);
}

static void test_hostile_layouts(void **state)
{
	static const char terminator[] = "expected terminator";

	(void)state;
	assert_refused(PARSE(PW_PROTOCOL(3, 0), ""), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "u"), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "user"), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "user\0"), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "user\0bob"), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "user\0bob\0"), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "user\0bob\0x"), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "user\0bob\0database\0\0"), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "user\0bob\0database\0app"), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "\0\0"), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "\0x\0\0"), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "user\0bob\0\0\0"), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "user\0bob\0\0database\0app\0\0"), terminator);
	assert_refused(PARSE(PW_PROTOCOL(3, 0), "\xff\xff\xff\xff"), terminator);
}

static void test_number_of_parameters(void **state)
{
	struct pw_strbuf body = PW_STRBUF_INIT;
	struct parsed p;

	(void)state;
	for (int i = 0; i < PW_STARTUP_PARAMS_MAX; i++) {
		pw_strbuf_printf(&body, "n%d", i);
		pw_strbuf_add(&body, "\0v", 3);
	}
	pw_strbuf_add_char(&body, '\0');
	p = parse(PW_PROTOCOL(3, 0), body.data, body.len);
	assert_int_equal(p.status, PW_OK);
	assert_int_equal(p.startup.n_params, PW_STARTUP_PARAMS_MAX);
	free(p.packet);
	body.len--;
	pw_strbuf_add(&body, "one\0more\0", 10);
	assert_refused(parse(PW_PROTOCOL(3, 0), body.data, body.len), "too many");
	pw_strbuf_fini(&body);
}

/* Nothing of an earlier packet stays behind in the caller's struct. */
static void test_struct_is_reused(void **state)
{
	static const uint8_t ssl[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};
	struct parsed p = PARSE(PW_PROTOCOL(3, 0), "user\0bob\0\0");

	(void)state;
	assert_int_equal(p.startup.n_params, 1);
	assert_int_equal(pw_startup_parse(ssl, sizeof(ssl), &p.startup, &p.err), PW_OK);
	assert_int_equal(p.startup.n_params, 0);
	assert_null(pw_startup_get(&p.startup, "user"));
	assert_null(p.startup.cancel_key);
	free(p.packet);
}

/* ---- options ---- */

static enum pw_status take_option(const char *name, const char *value, void *arg,
				  struct pw_error *err)
{
	struct pw_strbuf *seen = arg;

	if (strcmp(name, "refused") == 0) {
		pw_error_set(err, PW_SQLSTATE_INSUFFICIENT_PRIVILEGE, "no %s", name);
		return PW_EDENIED;
	}
	pw_strbuf_printf(seen, "%s=%s;", name, value);
	return PW_OK;
}

static void assert_options(const char *options, enum pw_status wanted, const char *settings)
{
	struct pw_strbuf seen = PW_STRBUF_INIT;
	struct pw_error err = {.message = ""};

	pw_strbuf_add_string(&seen, "");
	assert_int_equal(pw_startup_walk_options(options, take_option, &seen, &err), wanted);
	assert_string_equal(seen.data, settings);
	assert_int_equal(err.message[0] != '\0', wanted != PW_OK);
	pw_strbuf_fini(&seen);
}

static void test_options(void **state)
{
	(void)state;
	assert_options("", PW_OK, "");
	assert_options("  \t\n ", PW_OK, "");
	assert_options("-c a=b", PW_OK, "a=b;");
	assert_options("-ca=b", PW_OK, "a=b;");
	assert_options("--a=b", PW_OK, "a=b;");
	assert_options("  -c  a=b   -cc=d --e-f-g=h-i  ", PW_OK, "a=b;c=d;e_f_g=h-i;");
	assert_options("-c a=", PW_OK, "a=;");
	assert_options("-c a=b=c", PW_OK, "a=b=c;");
	assert_options("-c a=b\\ c\\\\d", PW_OK, "a=b c\\d;");
	assert_options("-c a=x\\", PW_OK, "a=x\\;");
	assert_options("-c search_path=a,\\ \"B\\ c\"", PW_OK, "search_path=a, \"B c\";");
	assert_options("--c=d", PW_OK, "c=d;");
}

static void test_options_of_other_syntax(void **state)
{
	(void)state;
	assert_options("-c", PW_EPROTO, "");
	assert_options("-c ", PW_EPROTO, "");
	assert_options("-c a", PW_EPROTO, "");
	assert_options("-c =b", PW_EPROTO, "");
	assert_options("-c=b", PW_EPROTO, "");
	assert_options("--", PW_EPROTO, "");
	assert_options("--=b", PW_EPROTO, "");
	assert_options("--a b", PW_EPROTO, "");
	assert_options("-d 5", PW_EPROTO, "");
	assert_options("a=b", PW_EPROTO, "");
	assert_options("-", PW_EPROTO, "");
	assert_options("-c a=b -F", PW_EPROTO, "a=b;");
	assert_options("-c a=b -c refused=1 -c c=d", PW_EDENIED, "a=b;");
}

static void test_bool(void **state)
{
	static const struct {
		const char *text;
		int meaning;
	} rows[] = {
	    {"true", 1}, {"t", 1},     {"TR", 1},    {"yes", 1},    {"y", 1},         {"on", 1},
	    {"ON", 1},   {"1", 1},     {"false", 0}, {"f", 0},      {"no", 0},        {"n", 0},
	    {"off", 0},  {"of", 0},    {"0", 0},     {"o", -1},     {"", -1},         {"truex", -1},
	    {"10", -1},  {"offf", -1}, {"2", -1},    {" true", -1}, {"database", -1},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(rows); i++)
		assert_int_equal(pw_parse_bool(rows[i].text), rows[i].meaning);
}

static void test_replication(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
		enum pw_replication meaning;
	} rows[] = {
	    {"database", true, PW_REPLICATION_LOGICAL}, {"true", true, PW_REPLICATION_PHYSICAL},
	    {"T", true, PW_REPLICATION_PHYSICAL},       {"ye", true, PW_REPLICATION_PHYSICAL},
	    {"on", true, PW_REPLICATION_PHYSICAL},      {"1", true, PW_REPLICATION_PHYSICAL},
	    {"false", true, PW_REPLICATION_NONE},       {"n", true, PW_REPLICATION_NONE},
	    {"of", true, PW_REPLICATION_NONE},          {"0", true, PW_REPLICATION_NONE},
	    {"", false, PW_REPLICATION_NONE},           {"Database", false, PW_REPLICATION_NONE},
	    {"data", false, PW_REPLICATION_NONE},       {"databases", false, PW_REPLICATION_NONE},
	    {"o", false, PW_REPLICATION_NONE},          {"2", false, PW_REPLICATION_NONE},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		enum pw_replication meaning;

		assert_int_equal(pw_parse_replication(rows[i].text, &meaning), rows[i].is_good);
		assert_int_equal(meaning, rows[i].meaning);
	}
}

/* What we say to a server means what a client has said to us. */
static void test_replication_value(void **state)
{
	(void)state;
	for (int i = PW_REPLICATION_NONE; i <= PW_REPLICATION_PHYSICAL; i++) {
		enum pw_replication meaning;

		assert_true(
		    pw_parse_replication(pw_replication_value((enum pw_replication)i), &meaning));
		assert_int_equal(meaning, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_length_word),
	    cmocka_unit_test(test_encryption_requests),
	    cmocka_unit_test(test_cancel_keys),
	    cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_too_short),
	    cmocka_unit_test(test_parameters),
	    cmocka_unit_test(test_hostile_layouts),
	    cmocka_unit_test(test_number_of_parameters),
	    cmocka_unit_test(test_struct_is_reused),
	    cmocka_unit_test(test_options),
	    cmocka_unit_test(test_options_of_other_syntax),
	    cmocka_unit_test(test_bool),
	    cmocka_unit_test(test_replication),
	    cmocka_unit_test(test_replication_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
