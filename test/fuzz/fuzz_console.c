/* SPDX-License-Identifier: PostgreSQL
 *
 * The console. Plain input is one command, parsed with each right; input that begins with # is a
 * stream of messages behind it, in reads of the length that the next byte gives, all of which main
 * answers.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../admin/console_fixture.h"
#include "admin/admin_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool claim)
{
	if (!claim)
		abort();
}

static void parse(const uint8_t *data, size_t size)
{
	static const enum pw_console_right rights[] = {PW_RIGHT_NONE, PW_RIGHT_STATS,
						       PW_RIGHT_ADMIN};
	char *text = strndup((const char *)data, size);

	check(text != NULL);
	for (size_t i = 0; i < PW_COUNTOF(rights); i++) {
		struct pw_request request;
		struct pw_error err;

		if (!pw_request_parse(text, rights[i], &request, &err)) {
			check(err.severity == PW_SEVERITY_ERROR && err.message[0]);
			continue;
		}
		check(request.kind == PW_REQUEST_EMPTY || request.tag);
		check(request.kind != PW_REQUEST_COMMAND || rights[i] == PW_RIGHT_ADMIN);
		check(request.kind != PW_REQUEST_SHOW ||
		      (request.view && rights[i] != PW_RIGHT_NONE));
	}
	free(text);
}

/* Until nothing is asked any more; sometimes with an error. */
static void answer_all(struct fixture *f)
{
	unsigned asked = 0;

	while (!f->is_closed && asked != f->n_runs + f->n_collects) {
		struct pw_error err;

		asked = f->n_runs + f->n_collects;
		pw_error_set(&err, PW_SQLSTATE_PROTOCOL_VIOLATION, "no such thing");
		if (f->n_collects > 0)
			answer_rows(f, asked % 5, asked % 7 == 0 ? &err : NULL);
		if (!f->is_closed && f->n_runs > 0)
			pw_console_done(&f->clients, f->client.id, f->command,
					asked % 3 == 0 ? &err : NULL);
	}
}

static void talk(const uint8_t *data, size_t size)
{
	struct fixture f;
	size_t step;

	check(fixture_init(&f, PW_RIGHT_ADMIN));
	step = size > 0 ? (size_t)data[0] + 1 : 1;
	for (size_t at = 1; at < size && !f.is_closed; at += step) {
		feed(&f, data + at, size - at < step ? size - at : step);
		answer_all(&f);
	}
	check(f.is_closed || f.client.console != NULL);
	fixture_fini(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] == '#')
		talk(data + 1, size - 1);
	else
		parse(data, size);
	return 0;
}
