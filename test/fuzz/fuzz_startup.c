/* SPDX-License-Identifier: PostgreSQL
 *
 * A start-up packet, its parameters, and the walker of `options`. Whatever is found must lie in
 * the packet, terminated.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/proto/startup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool claim)
{
	if (!claim)
		abort();
}

static enum pw_status take_option(const char *name, const char *value, void *arg,
				  struct pw_error *err)
{
	size_t *n = arg;

	must(name[0] != '\0' && !strchr(name, '-') && !strchr(name, '='));
	(void)pw_parse_bool(value);
	if (++*n < 100)
		return PW_OK;
	pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION, "too many");
	return PW_EDENIED;
}

static void walk(const char *options)
{
	struct pw_error err = {.message = ""};
	size_t n = 0;
	enum pw_status status = pw_startup_walk_options(options, take_option, &n, &err);

	must(status == PW_OK || status == PW_EPROTO || status == PW_EDENIED);
	must((err.message[0] != '\0') == (status != PW_OK));
}

/* Does the string lie in the packet, with its zero byte? */
static void must_lie_inside(const uint8_t *data, size_t size, const char *s)
{
	const uint8_t *at = (const uint8_t *)s;

	must(at >= data && at < data + size);
	must(memchr(at, 0, (size_t)(data + size - at)) != NULL);
}

static void check_message(const uint8_t *data, size_t size, const struct pw_startup *startup)
{
	const char *options = pw_startup_get(startup, "options");

	must(startup->version >> 16 == 3 && startup->n_params <= PW_STARTUP_PARAMS_MAX);
	for (size_t i = 0; i < startup->n_params; i++) {
		must_lie_inside(data, size, startup->params[i].name);
		must_lie_inside(data, size, startup->params[i].value);
		must(startup->params[i].name[0] != '\0');
		must(pw_startup_get(startup, startup->params[i].name) != NULL);
	}
	if (options)
		walk(options);
}

static void walk_as_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	must(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	walk(text);
	(void)pw_parse_bool(text);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pw_startup startup;
	struct pw_error err = {.message = ""};
	enum pw_status status = pw_startup_parse(data, size, &startup, &err);

	if (size >= 4) {
		size_t len = pw_startup_length(data);

		must(len == 0 || (len >= PW_STARTUP_MIN && len <= PW_STARTUP_MAX));
	}
	must(status == PW_OK || status == PW_EPROTO);
	must((err.message[0] != '\0') == (status != PW_OK));
	if (status == PW_OK && startup.kind == PW_STARTUP_MESSAGE)
		check_message(data, size, &startup);
	if (status == PW_OK && startup.kind == PW_STARTUP_CANCEL)
		must(startup.cancel_key + startup.cancel_key_len == data + size);
	walk_as_text(data, size);
	return 0;
}
