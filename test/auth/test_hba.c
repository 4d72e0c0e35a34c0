/* SPDX-License-Identifier: PostgreSQL
 *
 * HBA rules from memory: tokens, columns, address forms, what is refused and how it is said, and
 * which rule matches whom. Files and ident maps are in test_hba_files.c.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hba_fixture.h"
#include "pgweir/auth/hba.h"
#include "pgweir/base/rng.h"

/* Is there a rule for bob in the text? */
static bool lets_bob(const char *text, const char *peer)
{
	struct fixture fixture;
	int line;

	parse(&fixture, text, NULL);
	line = line_for(&fixture, peer, 0, "db", "bob");
	drop(&fixture);
	return line != 0;
}

static void test_types(void **state)
{
	struct fixture fixture;

	(void)state;
	parse(&fixture,
	      "# a comment\n"
	      "hostssl   all all all md5\n"
	      "hostnossl tls all all md5\n"
	      "local     all all     md5\r\n"
	      "host      all all all md5",
	      NULL);
	assert_string_equal(fixture.warnings.data, "");
	assert_int_equal(line_for(&fixture, "10.0.0.1", TLS, "db", "bob"), 2);
	assert_int_equal(line_for(&fixture, "10.0.0.1", 0, "tls", "bob"), 3);
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "bob"), 4);
	assert_int_equal(line_for(&fixture, "::1", 0, "db", "bob"), 5);
	drop(&fixture);
}

static void test_unknown_family_matches_nothing(void **state)
{
	struct fixture fixture;
	struct pw_addr addr = {.family = 0};
	struct pw_hba_request req = {.addr = &addr, .database = "db", .user = "bob"};
	struct pw_hba_match match;

	(void)state;
	parse(&fixture, "host all all all trust\nlocal all all trust\n", NULL);
	assert_false(pw_hba_find(fixture.hba, &req, &match));
	drop(&fixture);
}

static void test_methods(void **state)
{
	static const struct {
		const char *word;
		enum pw_auth_type method;
	} cases[] = {
	    {"trust", PW_AUTH_TRUST},    {"reject", PW_AUTH_REJECT},       {"md5", PW_AUTH_MD5},
	    {"password", PW_AUTH_PLAIN}, {"scram-sha-256", PW_AUTH_SCRAM}, {"peer", PW_AUTH_PEER},
	};
	static const char *const refused[] = {
	    "pam",   "gss", "ident", "radius",  "oauth",     "any",
	    "plain", "hba", "MD5",   "\"md5\"", "md5,trust",
	};
	char text[100];

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		struct fixture fixture;
		struct pw_hba_match match;

		snprintf(text, sizeof(text), "local all all %s\n", cases[i].word);
		parse(&fixture, text, NULL);
		assert_string_equal(fixture.warnings.data, "");
		assert_int_equal(ask(fixture.hba, NULL, 0, "db", "bob", &match), 1);
		assert_int_equal(match.method, cases[i].method);
		assert_null(match.map);
		assert_null(match.map_name);
		drop(&fixture);
	}
	for (size_t i = 0; i < PW_COUNTOF(refused); i++) {
		snprintf(text, sizeof(text), "local all all %s\n", refused[i]);
		assert_false(lets_bob(text, NULL));
	}
}

static void test_database_column(void **state)
{
	struct fixture fixture;

	(void)state;
	parse(&fixture,
	      "local sameuser            all md5\n"
	      "local db1,db2, db3        all md5\n"
	      "local \"all\"             all md5\n"
	      "local \"with blank, comma\" all md5\n"
	      "local q\"uo\"\"t\"ed      all md5\n"
	      "local \"\"                all md5\n"
	      "local other,sameuser      all md5\n",
	      NULL);
	assert_string_equal(fixture.warnings.data, "");
	assert_int_equal(line_for(&fixture, NULL, 0, "bob", "bob"), 1);
	assert_int_equal(line_for(&fixture, NULL, 0, "db1", "bob"), 2);
	assert_int_equal(line_for(&fixture, NULL, 0, "db3", "bob"), 2);
	assert_int_equal(line_for(&fixture, NULL, 0, "all", "bob"), 3);
	assert_int_equal(line_for(&fixture, NULL, 0, "with blank, comma", "bob"), 4);
	assert_int_equal(line_for(&fixture, NULL, 0, "quo\"ted", "bob"), 5);
	assert_int_equal(line_for(&fixture, NULL, 0, "", "bob"), 6);
	assert_int_equal(line_for(&fixture, NULL, 0, "other", "bob"), 7);
	assert_int_equal(line_for(&fixture, NULL, 0, "DB1", "bob"), 0);
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "bob"), 0);
	drop(&fixture);
}

/* Keywords of the database column are plain names in the user column. */
static void test_user_column(void **state)
{
	struct fixture fixture;

	(void)state;
	parse(&fixture,
	      "local all alice,bob md5\n"
	      "local all replication,sameuser,samerole md5\n"
	      "local all \"+group\",\"/name\",\"@file\" md5\n"
	      "local all \"all\" md5\n",
	      NULL);
	assert_string_equal(fixture.warnings.data, "");
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "alice"), 1);
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "bob"), 1);
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "replication"), 2);
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "sameuser"), 2);
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "samerole"), 2);
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "+group"), 3);
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "/name"), 3);
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "@file"), 3);
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "all"), 4);
	assert_int_equal(line_for(&fixture, NULL, 0, "sameuser", "eve"), 0);
	drop(&fixture);
}

static void test_replication(void **state)
{
	struct fixture fixture;

	(void)state;
	parse(&fixture,
	      "local all           all md5\n"
	      "local \"replication\" all md5\n"
	      "local replication   rep md5\n"
	      "local x,replication all reject\n",
	      NULL);
	/* The keyword stands for physical replication only, and nothing else stands for that. */
	assert_int_equal(line_for(&fixture, NULL, REPLICATION, "db", "rep"), 3);
	assert_int_equal(line_for(&fixture, NULL, REPLICATION, "replication", "bob"), 4);
	assert_int_equal(line_for(&fixture, NULL, 0, "replication", "rep"), 1);
	drop(&fixture);
	parse(&fixture, "local replication all md5\n", NULL);
	assert_int_equal(line_for(&fixture, NULL, 0, "replication", "rep"), 0);
	drop(&fixture);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *address;
		const char *peer;
		bool expected;
	} cases[] = {
	    {"all", "10.0.0.1", true},
	    {"all", "::1", true},
	    {"10.0.0.0/8", "10.255.0.1", true},
	    {"10.0.0.0/8", "11.0.0.1", false},
	    {"10.0.0.0/9", "10.127.255.255", true},
	    {"10.0.0.0/9", "10.128.0.0", false},
	    {"10.0.0.1/32", "10.0.0.1", true},
	    {"10.0.0.1/32", "10.0.0.2", false},
	    {"0.0.0.0/0", "10.0.0.1", true},
	    {"0.0.0.0/0", "::1", false},
	    {"::/0", "::1", true},
	    {"::/0", "10.0.0.1", false},
	    {"fe80::/10", "febf::1", true},
	    {"fe80::/10", "fec0::1", false},
	    {"::1/128", "::1", true},
	    {"::1/128", "::2", false},
	    {"10.1.0.0 255.255.0.0", "10.1.2.3", true},
	    {"10.1.0.0 255.255.0.0", "10.2.2.3", false},
	    {"10.0.0.1 255.0.0.255", "10.9.9.1", true},
	    {"10.0.0.1 255.0.0.255", "10.9.9.2", false},
	    {"fe80:: ffff::", "fe80::1", true},
	    {"fe80:: ffff::", "fe81::1", false},
	    /* a peer on a dual-stack socket */
	    {"10.0.0.0/8", "::ffff:10.1.2.3", true},
	    {"10.0.0.0/8", "::ffff:11.1.2.3", false},
	    {"::/0", "::ffff:10.1.2.3", false},
	    {"all", "::ffff:10.1.2.3", true},
	};

	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(cases); i++) {
		char text[100];

		snprintf(text, sizeof(text), "host all all %s trust\n", cases[i].address);
		if (lets_bob(text, cases[i].peer) != cases[i].expected)
			fail_msg("%s and %s", cases[i].address, cases[i].peer);
	}
}

/* Such a rule warns, stays, and matches nobody. */
static void test_host_bits(void **state)
{
	struct fixture fixture;

	(void)state;
	parse(&fixture, "host all all 10.1.2.3/8 trust\nhost all all 10.1.2.3 255.0.0.0 trust\n",
	      NULL);
	assert_string_equal(
	    fixture.warnings.data,
	    "hba.conf:1: address has bits outside its mask: the rule never matches\n"
	    "hba.conf:2: address has bits outside its mask: the rule never matches\n");
	assert_int_equal(line_for(&fixture, "10.1.2.3", 0, "db", "bob"), 0);
	assert_int_equal(line_for(&fixture, "10.0.0.0", 0, "db", "bob"), 0);
	drop(&fixture);
}

static const struct {
	const char *line;
	const char *message;
} refused_lines[] = {
    {"local", "line ends before the database"},
    {"local all", "line ends before the user"},
    {"local all all", "line ends before the method"},
    {"host all all", "line ends before the address"},
    {"host all all 10.0.0.1", "line ends before the mask"},
    {"host all all 10.0.0.0/8", "line ends before the method"},
    {"host all all 10.0.0.1 trust", "is not a mask"},
    {"host all all 10.0.0.1 ffff:: trust", "is not a mask"},
    {"host all all ::1 255.0.0.0 trust", "is not a mask"},
    {"host all all 10.0.0.0/33 trust", "address \"10.0.0.0/33\" is not supported"},
    {"host all all ::/129 trust", "is not supported"},
    {"host all all 10.0.0.0/ trust", "is not supported"},
    {"host all all 10.0.0.0/-1 trust", "is not supported"},
    {"host all all 10.0.0.0/8x trust", "is not supported"},
    {"host all all 10.0.0.0/4294967304 trust", "is not supported"},
    {"host all all 10.0.0/8 trust", "is not supported"},
    {"host all all /8 trust", "is not supported"},
    {"host all all localhost trust", "is not supported"},
    {"host all all .example.org trust", "is not supported"},
    {"host all all samehost trust", "is not supported"},
    {"host all all samenet trust", "is not supported"},
    {"host all all \"all\" trust", "is not supported"},
    {"host all all 10.0.0.0/8,11.0.0.0/8 trust", "only one address"},
    {"local samerole all trust", "\"samerole\" is not supported"},
    {"local samegroup all trust", "is not supported"},
    {"local db,samerole all trust", "is not supported"},
    {"local /^db all trust", "is not supported"},
    {"local +db all trust", "is not supported"},
    {"local all +group trust", "is not supported"},
    {"local all bob,+group trust", "is not supported"},
    {"local all /^b trust", "is not supported"},
    {"hostgssenc all all all trust", "type \"hostgssenc\" is not supported"},
    {"include other.conf", "type \"include\" is not supported"},
    {"\"local\" all all trust", "is not supported"},
    {"LOCAL all all trust", "is not supported"},
    {"local,host all all trust", "only one type"},
    {"local all all pam", "method \"pam\" is not supported (trust, reject"},
    {"local all all peer clientcert=1", "unsupported parameters"},
    {"local all all peer map=unknown", "ident map \"unknown\" is not known"},
    {"local all all peer map=m map=m", "unsupported parameters"},
    {"local all all trust \\", "unsupported parameters"},
    {"local all \"all trust", "quoted name is not closed"},
};

/* Each is skipped with a message, and the line behind it counts. */
static void test_refused_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < PW_COUNTOF(refused_lines); i++) {
		struct fixture fixture;
		char text[200];

		snprintf(text, sizeof(text), "\n%s\nhost good all all md5\n",
			 refused_lines[i].line);
		parse(&fixture, text, "m a b\n");
		if (strncmp(fixture.warnings.data, "hba.conf:2: ", 12) != 0 ||
		    !strstr(fixture.warnings.data, refused_lines[i].message))
			fail_msg("%s: said \"%s\"", refused_lines[i].line, fixture.warnings.data);
		assert_int_equal(line_for(&fixture, NULL, 0, "db", "bob"), 0);
		assert_int_equal(line_for(&fixture, "10.0.0.1", 0, "db", "bob"), 0);
		assert_int_equal(line_for(&fixture, "10.0.0.1", 0, "good", "bob"), 3);
		drop(&fixture);
	}
}

static void test_zero_byte(void **state)
{
	static const char text[] = "local all all\0trust trust\nlocal db all md5\n";
	struct fixture fixture;

	(void)state;
	parse_sized(&fixture, text, sizeof(text) - 1, NULL);
	assert_string_equal(fixture.warnings.data, "hba.conf:1: zero byte in line\n");
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "bob"), 2);
	drop(&fixture);
}

/* They warn but stay: to drop them would let the next line decide. */
static void test_rules_nobody_passes(void **state)
{
	struct fixture fixture;
	struct pw_hba_match match;

	(void)state;
	parse(&fixture, "host all all all peer\nlocal all all cert\n", NULL);
	assert_non_null(strstr(fixture.warnings.data, "hba.conf:1: nobody passes"));
	assert_non_null(strstr(fixture.warnings.data, "hba.conf:2: nobody passes"));
	assert_int_equal(ask(fixture.hba, "10.0.0.1", 0, "db", "bob", &match), 1);
	assert_int_equal(match.method, PW_AUTH_PEER);
	assert_int_equal(ask(fixture.hba, NULL, 0, "db", "bob", &match), 2);
	assert_int_equal(match.method, PW_AUTH_CERT);
	drop(&fixture);
}

/* The file could have named anybody. */
static void test_name_file_missing(void **state)
{
	struct fixture fixture;
	struct pw_hba_match match;

	(void)state;
	parse(&fixture, "local db @missing trust\nlocal @missing bob md5\nlocal all all trust\n",
	      NULL);
	assert_non_null(strstr(fixture.warnings.data, "hba.conf:1: a file of names is missing"));
	assert_non_null(strstr(fixture.warnings.data, "hba.conf:2: a file of names is missing"));
	assert_int_equal(fixture.unreadable.files.len, 2 * sizeof("name file missing"));
	assert_int_equal(ask(fixture.hba, NULL, 0, "db", "eve", &match), 1);
	assert_int_equal(match.method, PW_AUTH_REJECT);
	assert_int_equal(ask(fixture.hba, NULL, 0, "other", "bob", &match), 2);
	assert_int_equal(match.method, PW_AUTH_REJECT);
	assert_int_equal(line_for(&fixture, NULL, REPLICATION, "", "bob"), 2);
	assert_int_equal(line_for(&fixture, NULL, 0, "other", "eve"), 3);
	drop(&fixture);
}

/* Legal in PgBouncer, whose line would have kept them from the next one. */
static void test_ldap_rejects(void **state)
{
	struct fixture fixture;
	struct pw_hba_match match;

	(void)state;
	parse(&fixture,
	      "local all bob ldap ldapserver=\"a b\", ldaptls=1 map=x\nlocal all all trust\n",
	      NULL);
	assert_non_null(strstr(fixture.warnings.data, "hba.conf:1: nobody passes: ldap"));
	assert_int_equal(ask(fixture.hba, NULL, 0, "db", "bob", &match), 1);
	assert_int_equal(match.method, PW_AUTH_REJECT);
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "alice"), 2);
	drop(&fixture);
}

static void test_comments_and_blanks(void **state)
{
	struct fixture fixture;

	(void)state;
	parse(&fixture,
	      "\n \t \n#local all all trust\n   # x\nlocal db bob md5 # map=x\n"
	      "local \"a#b\" bob md5#trust\n,local ,db2 ,bob ,md5\n",
	      NULL);
	assert_string_equal(fixture.warnings.data, "");
	assert_int_equal(line_for(&fixture, NULL, 0, "db", "bob"), 5);
	assert_int_equal(line_for(&fixture, NULL, 0, "a#b", "bob"), 6);
	assert_int_equal(line_for(&fixture, NULL, 0, "db2", "bob"), 7);
	drop(&fixture);
}

static void test_life(void **state)
{
	struct fixture fixture;
	const struct pw_hba *second;
	struct pw_hba_match match;

	(void)state;
	parse(&fixture, "local all all peer map=m\n", "m root bob\n");
	second = pw_hba_ref(fixture.hba);
	drop(&fixture);
	assert_int_equal(ask(second, NULL, 0, "db", "bob", &match), 1);
	assert_string_equal(match.map_name, "m");
	assert_true(pw_ident_allows(match.map, "root", "bob"));
	pw_hba_unref(second);
	pw_hba_unref(NULL);
}

/* ---- anything at all ---- */

static void test_cut_and_mutated(void **state)
{
	static const char whole[] = "hostssl db,\"a b\" bob,@x 10.0.0.0/8 cert map=m # end\n"
				    "host all all fe80:: ffff:: scram-sha-256\n"
				    "local sameuser,replication all peer map=m\n";
	struct pw_rng rng;
	struct fixture fixture;

	(void)state;
	for (size_t len = 0; len < sizeof(whole); len++) {
		parse_sized(&fixture, whole, len, "m a b\n");
		drop(&fixture);
	}
	pw_rng_seed(&rng, 11);
	for (int i = 0; i < 5000; i++) {
		static const char bytes[] = " ,\"\n#\t/@+=\0:.0all";
		char text[sizeof(whole)];

		memcpy(text, whole, sizeof(whole));
		for (int n = 0; n < 4; n++)
			text[pw_rng_next(&rng) % (sizeof(whole) - 1)] =
			    bytes[pw_rng_next(&rng) % sizeof(bytes)];
		parse_sized(&fixture, text, sizeof(whole) - 1, text);
		(void)line_for(&fixture, "10.1.2.3", TLS, "db", "bob");
		(void)line_for(&fixture, NULL, REPLICATION, "db", "bob");
		drop(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_types),
	    cmocka_unit_test(test_unknown_family_matches_nothing),
	    cmocka_unit_test(test_methods),
	    cmocka_unit_test(test_database_column),
	    cmocka_unit_test(test_user_column),
	    cmocka_unit_test(test_replication),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_host_bits),
	    cmocka_unit_test(test_refused_lines),
	    cmocka_unit_test(test_zero_byte),
	    cmocka_unit_test(test_rules_nobody_passes),
	    cmocka_unit_test(test_name_file_missing),
	    cmocka_unit_test(test_ldap_rejects),
	    cmocka_unit_test(test_comments_and_blanks),
	    cmocka_unit_test(test_life),
	    cmocka_unit_test(test_cut_and_mutated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
