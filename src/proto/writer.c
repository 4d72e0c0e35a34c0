/* SPDX-License-Identifier: PostgreSQL
 *
 * A message is begun with a length of zero, which is filled in when its end is known. Failure is
 * the buffer's (has_failed), asked once by whoever sends.
 */
#include "config.h"

#include "pgweir/proto/writer.h"

#include <string.h>

#include "pgweir/proto/reader.h"

size_t pw_writer_begin(struct pw_strbuf *out, char type)
{
	size_t begin;

	if (type)
		pw_strbuf_add_char(out, type);
	begin = out->len;
	pw_strbuf_add_u32(out, 0);
	return begin;
}

void pw_writer_end(struct pw_strbuf *out, size_t begin)
{
	uint32_t len;

	if (out->has_failed)
		return;
	len = (uint32_t)(out->len - begin);
	for (int i = 0; i < 4; i++)
		out->data[begin + (size_t)i] = (char)(len >> (24 - 8 * i));
}

void pw_write_message(struct pw_strbuf *out, char type, const void *body, size_t len)
{
	size_t begin = pw_writer_begin(out, type);

	pw_strbuf_add(out, body, len);
	pw_writer_end(out, begin);
}

void pw_write_auth(struct pw_strbuf *out, uint32_t code, const void *data, size_t len)
{
	size_t begin = pw_writer_begin(out, 'R');

	pw_strbuf_add_u32(out, code);
	pw_strbuf_add(out, data, len);
	pw_writer_end(out, begin);
}

static void add_zstring(struct pw_strbuf *out, const char *s)
{
	pw_strbuf_add(out, s, strlen(s) + 1);
}

void pw_write_parameter_status(struct pw_strbuf *out, const char *name, const char *value)
{
	size_t name_size = strlen(name) + 1, value_size = strlen(value) + 1;

	pw_strbuf_add_char(out, 'S');
	pw_strbuf_add_u32(out, (uint32_t)(sizeof(uint32_t) + name_size + value_size));
	pw_strbuf_add(out, name, name_size);
	pw_strbuf_add(out, value, value_size);
}

void pw_write_ready(struct pw_strbuf *out, char transaction_status)
{
	pw_write_message(out, 'Z', &transaction_status, 1);
}

void pw_write_query(struct pw_strbuf *out, const char *sql)
{
	pw_write_message(out, 'Q', sql, strlen(sql) + 1);
}

static void add_field(struct pw_strbuf *out, char code, const char *value)
{
	if (value[0] == '\0')
		return;
	pw_strbuf_add_char(out, code);
	add_zstring(out, value);
}

void pw_write_error(struct pw_strbuf *out, const struct pw_error *err)
{
	bool is_error = err->severity <= PW_SEVERITY_ERROR;
	size_t begin = pw_writer_begin(out, is_error ? 'E' : 'N');

	add_field(out, 'S', pw_severity_name(err->severity));
	add_field(out, 'V', pw_severity_name(err->severity));
	add_field(out, 'C', err->sqlstate);
	add_field(out, 'M', err->message);
	add_field(out, 'D', err->detail);
	add_field(out, 'H', err->hint);
	pw_strbuf_add_char(out, '\0');
	pw_writer_end(out, begin);
}

void pw_write_command_complete(struct pw_strbuf *out, const char *tag)
{
	pw_write_message(out, 'C', tag, strlen(tag) + 1);
}

void pw_write_negotiate(struct pw_strbuf *out, uint32_t version, const char *options,
			size_t options_len, uint32_t n_options)
{
	size_t begin = pw_writer_begin(out, 'v');

	pw_strbuf_add_u32(out, version);
	pw_strbuf_add_u32(out, n_options);
	pw_strbuf_add(out, options, options_len);
	pw_writer_end(out, begin);
}

void pw_parse_error_fields(const uint8_t *body, size_t len, struct pw_error_fields *out)
{
	struct pw_cursor c = pw_cursor(body, len);
	const char *localized = "";

	*out = (struct pw_error_fields){"", "", "", "", "", "", ""};
	while (!c.has_failed && pw_cursor_left(&c) > 0) {
		uint8_t code = pw_cursor_u8(&c);
		const char *value;

		if (code == 0)
			break;
		value = pw_cursor_string(&c);
		switch (code) {
		case 'S':
			localized = value;
			break;
		case 'V':
			out->severity = value;
			break;
		case 'C':
			out->sqlstate = value;
			break;
		case 'M':
			out->message = value;
			break;
		case 'D':
			out->detail = value;
			break;
		case 'H':
			out->hint = value;
			break;
		case 'R':
			out->routine = value;
			break;
		case 'P':
			out->position = value;
			break;
		default:
			break;
		}
	}
	if (out->severity[0] == '\0')
		out->severity = localized;
}
