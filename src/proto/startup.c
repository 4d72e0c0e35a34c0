/* SPDX-License-Identifier: PostgreSQL
 *
 * Strings are only taken when their end lies in the packet; lengths are checked before use.
 */
#include "config.h"

#include "pgweir/proto/startup.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pgweir/proto/reader.h"

enum {
	CODE_CANCEL = 1234 << 16 | 5678,
	CODE_SSL = 1234 << 16 | 5679,
	CODE_GSSENC = 1234 << 16 | 5680,
	CANCEL_KEY_MIN = 8,
	CANCEL_KEY_MAX = 4 + 256,
};

size_t pw_startup_length(const uint8_t head[4])
{
	uint32_t len = pw_load_u32(head);

	return len < PW_STARTUP_MIN || len > PW_STARTUP_MAX ? 0 : len;
}

static enum pw_status parse_params(struct pw_cursor *c, struct pw_startup *out,
				   struct pw_error *err)
{
	/* The list ends with an empty name, which must be the last byte of the packet. */
	while (pw_cursor_left(c) > 1 && *c->at != 0) {
		struct pw_startup_param *param = &out->params[out->n_params];

		if (out->n_params == PW_STARTUP_PARAMS_MAX) {
			pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION,
				     "too many startup parameters");
			pw_error_detail(err, "At most %d are allowed.", PW_STARTUP_PARAMS_MAX);
			return PW_EPROTO;
		}
		param->name = pw_cursor_string(c);
		param->value = pw_cursor_string(c);
		if (c->has_failed)
			break;
		out->n_params++;
	}
	if (!c->has_failed && pw_cursor_left(c) == 1 && *c->at == 0)
		return PW_OK;
	pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION,
		     "invalid startup packet layout: expected terminator as last byte");
	return PW_EPROTO;
}

static enum pw_status refuse_code(const uint8_t *packet, uint32_t code, struct pw_error *err)
{
	if (code >> 16 == 2)
		pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION, "old V2 protocol not supported");
	else
		pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION,
			     "bad packet header: '%02x%02x%02x%02x%02x%02x%02x%02x'", packet[0],
			     packet[1], packet[2], packet[3], packet[4], packet[5], packet[6],
			     packet[7]);
	return PW_EPROTO;
}

enum pw_status pw_startup_parse(const uint8_t *packet, size_t len, struct pw_startup *out,
				struct pw_error *err)
{
	struct pw_cursor c = pw_cursor(packet, len);
	uint32_t code;

	out->n_params = 0;
	out->cancel_key = NULL;
	out->cancel_key_len = 0;
	if (len < PW_STARTUP_MIN) {
		pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION, "startup packet is too short");
		return PW_EPROTO;
	}
	(void)pw_cursor_u32(&c);
	code = out->version = pw_cursor_u32(&c);
	if ((code == CODE_SSL || code == CODE_GSSENC) && len == PW_STARTUP_MIN) {
		out->kind = code == CODE_SSL ? PW_STARTUP_SSL : PW_STARTUP_GSSENC;
		return PW_OK;
	}
	if (code == CODE_CANCEL) {
		out->kind = PW_STARTUP_CANCEL;
		out->cancel_key_len = pw_cursor_left(&c);
		out->cancel_key = c.at;
		if (out->cancel_key_len >= CANCEL_KEY_MIN && out->cancel_key_len <= CANCEL_KEY_MAX)
			return PW_OK;
		return refuse_code(packet, code, err);
	}
	if (code >> 16 != 3)
		return refuse_code(packet, code, err);
	out->kind = PW_STARTUP_MESSAGE;
	return parse_params(&c, out, err);
}

const char *pw_startup_get(const struct pw_startup *startup, const char *name)
{
	for (size_t i = startup->n_params; i > 0; i--) {
		if (strcmp(startup->params[i - 1].name, name) == 0)
			return startup->params[i - 1].value;
	}
	return NULL;
}

/* Splits off the next word, removing backslashes, as PostgreSQL's pg_split_opts. */
static bool next_word(const char **at, char *out)
{
	const char *p = *at;

	while (isspace((unsigned char)*p))
		p++;
	if (*p == '\0')
		return false;
	for (; *p && !isspace((unsigned char)*p); p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		*out++ = *p;
	}
	*out = '\0';
	*at = p;
	return true;
}

static enum pw_status refuse_option(struct pw_error *err)
{
	pw_error_set(err, PW_SQLSTATE_PROTOCOL_VIOLATION,
		     "unsupported options startup parameter: only '-c config=val' and "
		     "'--config=val' are allowed");
	return PW_EPROTO;
}

/* "--my-setting" means my_setting, as in PostgreSQL. */
static enum pw_status take_assignment(char *word, pw_startup_option *take, void *arg,
				      struct pw_error *err)
{
	char *equals = strchr(word, '=');

	if (!equals || equals == word)
		return refuse_option(err);
	*equals = '\0';
	for (char *p = word; *p; p++) {
		if (*p == '-')
			*p = '_';
	}
	return take(word, equals + 1, arg, err);
}

enum pw_status pw_startup_walk_options(const char *options, pw_startup_option *take, void *arg,
				       struct pw_error *err)
{
	char *word = malloc(strlen(options) + 1);
	enum pw_status status = PW_OK;

	if (!word) {
		pw_error_set(err, PW_SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return PW_ENOMEM;
	}
	while (status == PW_OK && next_word(&options, word)) {
		char *assignment = word + 2;

		if (strcmp(word, "-c") == 0) {
			if (!next_word(&options, word)) {
				status = refuse_option(err);
				break;
			}
			assignment = word;
		} else if (strncmp(word, "-c", 2) != 0 && strncmp(word, "--", 2) != 0) {
			status = refuse_option(err);
			break;
		}
		status = take_assignment(assignment, take, arg, err);
	}
	free(word);
	return status;
}

int pw_parse_bool(const char *value)
{
	static const struct {
		const char *word;
		size_t min;
		int meaning;
	} words[] = {{"true", 1, 1}, {"false", 1, 0}, {"yes", 1, 1}, {"no", 1, 0},
		     {"on", 2, 1},   {"off", 2, 0},   {"1", 1, 1},   {"0", 1, 0}};
	size_t len = strlen(value);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (len >= words[i].min && len <= strlen(words[i].word) &&
		    strncasecmp(value, words[i].word, len) == 0)
			return words[i].meaning;
	}
	return -1;
}

bool pw_parse_replication(const char *value, enum pw_replication *out)
{
	int is_on = pw_parse_bool(value);

	if (strcmp(value, "database") == 0)
		*out = PW_REPLICATION_LOGICAL;
	else
		*out = is_on == 1 ? PW_REPLICATION_PHYSICAL : PW_REPLICATION_NONE;
	return *out != PW_REPLICATION_NONE || is_on == 0;
}

const char *pw_replication_value(enum pw_replication replication)
{
	static const char *const values[] = {
	    [PW_REPLICATION_NONE] = "no",
	    [PW_REPLICATION_LOGICAL] = "database",
	    [PW_REPLICATION_PHYSICAL] = "yes",
	};

	return values[replication];
}
