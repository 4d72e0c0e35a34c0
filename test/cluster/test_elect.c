/* SPDX-License-Identifier: PostgreSQL
 *
 * Which node is the primary, case by case.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pgweir/base/status.h"
#include "pgweir/cluster/elect.h"

struct case_row {
	const char *nodes; /* w writable, s standby, - no answer; each with its timeline */
	int incumbent, chosen;
	int primary;
	bool is_torn;
	const char *contenders; /* where it is torn */
	uint32_t seen;
};

static const struct case_row rows[] = {
    {"", PW_NO_NODE, PW_NO_NODE, PW_NO_NODE, false, NULL},
    {"s1 s1", PW_NO_NODE, PW_NO_NODE, PW_NO_NODE, false, NULL},
    {"s1 w1 s1", PW_NO_NODE, PW_NO_NODE, 1, false, NULL},
    /* It does not answer: it stays. */
    {"-1 s1 s1", 0, PW_NO_NODE, 0, false, NULL},
    /* A node that was never the primary is not made one for not answering. */
    {"-1 s1 s1", PW_NO_NODE, PW_NO_NODE, PW_NO_NODE, false, NULL},
    /* A promotion. */
    {"-1 w2 s1", 0, PW_NO_NODE, 1, false, NULL},
    {"w1 w2 s2", 0, PW_NO_NODE, 1, false, NULL},
    /* The old one is back, writable, then a standby. */
    {"w1 w2 s2", 1, PW_NO_NODE, 1, false, NULL},
    {"s2 w2 s2", 1, PW_NO_NODE, 1, false, NULL},
    /* Another of the same timeline: no change, but an alarm. */
    {"w2 w2", 1, PW_NO_NODE, 1, true, "01"},
    {"w2 w2", 0, PW_NO_NODE, 0, true, "01"},
    {"w2 -2", 1, PW_NO_NODE, 1, true, "01"},
    /* Nobody knows which; an operator does. */
    {"w2 w2", PW_NO_NODE, PW_NO_NODE, PW_NO_NODE, true, "01"},
    {"w2 w2", PW_NO_NODE, 1, 1, true, "01"},
    {"w2 w2", 0, 1, 1, true, "01"},
    {"w1 w2 w2", 0, PW_NO_NODE, PW_NO_NODE, true, "12"},
    {"w1 w2 w2", 0, 2, 2, true, "12"},
    /* Whom he chose is down, of a lower timeline, or a standby. */
    {"-1 w2 w2", 2, 0, 2, true, "12"},
    {"w1 w2", PW_NO_NODE, 0, 1, false, NULL},
    {"s2 w2", PW_NO_NODE, 0, 1, false, NULL},
    {"w2 -2", 0, 1, 0, false, NULL},
    /* It has become a standby: the only other one follows. */
    {"s1 w1", 0, PW_NO_NODE, 1, false, NULL},
    {"s1 w1 w1", 0, PW_NO_NODE, PW_NO_NODE, true, "12"},
    {"s2 s2", 0, PW_NO_NODE, PW_NO_NODE, false, NULL},
    /* A lower timeline than there has been: its history was left behind. */
    {"s2 w1", 0, PW_NO_NODE, PW_NO_NODE, false, NULL, 2},
    {"w1 s2", PW_NO_NODE, PW_NO_NODE, PW_NO_NODE, false, NULL, 2},
    {"w1 w1", PW_NO_NODE, PW_NO_NODE, PW_NO_NODE, false, NULL, 2},
    {"w1 w2", PW_NO_NODE, PW_NO_NODE, 1, false, NULL, 2},
    {"w1 w3", PW_NO_NODE, PW_NO_NODE, 1, false, NULL, 2},
    {"w1 -2", 1, PW_NO_NODE, 1, false, NULL, 2},
    /* But for an operator's word, while there is no better one. */
    {"s2 w1", 0, 1, 1, false, NULL, 2},
    {"s2 w1 w1", 0, 2, 2, false, NULL, 2},
    {"s2 w1", PW_NO_NODE, 0, PW_NO_NODE, false, NULL, 2},
    {"w1 w2", PW_NO_NODE, 0, 1, false, NULL, 2},
    /* Nor does one count that does not answer: maybe it never will. */
    {"w1 -2", 1, 0, 0, false, NULL, 2},
    {"w1 w1 -2", 2, 1, 1, false, NULL, 2},
    {"s1 w1 -2", 2, 0, 2, false, NULL, 2},
    {"w1 w2 -3", 2, 0, 2, false, NULL, 3},
    {"w1 w2 -3", 2, 1, 1, false, NULL, 3},
    {"w1 w2 s1", PW_NO_NODE, 0, PW_NO_NODE, false, NULL, 3},
    {"w1 w2 s1", PW_NO_NODE, 1, 1, false, NULL, 3},
    {"w1 w2 -2", 2, 0, 2, true, "12", 2},
};

static void test_rows(void **state PW_UNUSED)
{
	for (size_t i = 0; i < PW_COUNTOF(rows); i++) {
		struct pw_candidate nodes[4] = {{0}};
		struct pw_election election;
		size_t n = 0;

		for (const char *at = rows[i].nodes; *at; at += at[2] ? 3 : 2) {
			nodes[n].is_writable = at[0] == 'w';
			nodes[n].is_standby = at[0] == 's';
			nodes[n++].timeline = (uint32_t)(at[1] - '0');
		}
		election = pw_elect(nodes, n, rows[i].seen, rows[i].incumbent, rows[i].chosen);
		if (election.primary != rows[i].primary || election.is_torn != rows[i].is_torn)
			print_message("row %zu: \"%s\"\n", i, rows[i].nodes);
		assert_int_equal(election.primary, rows[i].primary);
		assert_int_equal(election.is_torn, rows[i].is_torn);
		for (size_t k = 0; k < n && election.is_torn; k++)
			assert_int_equal(election.contenders >> k & 1,
					 strchr(rows[i].contenders, (int)('0' + k)) != NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
