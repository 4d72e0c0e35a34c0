/* SPDX-License-Identifier: PostgreSQL
 *
 * Sets are small, and compared only when something may have been listened to: lists do.
 */
#include "config.h"

#include "pgweir/hub/channels.h"

#include <string.h>

#include "pgweir/proto/reader.h"

void pw_channels_fini(struct pw_channels *channels)
{
	pw_strbuf_fini(&channels->names);
	channels->n = 0;
	channels->has_failed = false;
}

void pw_channels_add(struct pw_channels *channels, const char *name)
{
	if (channels->n == PW_CHANNELS_MAX) {
		channels->has_failed = true;
		return;
	}
	pw_strbuf_add(&channels->names, name, strlen(name) + 1);
	channels->has_failed |= channels->names.has_failed;
	channels->n++;
}

bool pw_channels_have(const struct pw_channels *channels, const char *name)
{
	PW_CHANNELS_FOREACH (own, channels) {
		if (strcmp(own, name) == 0)
			return true;
	}
	return false;
}

bool pw_channels_are_equal(const struct pw_channels *a, const struct pw_channels *b)
{
	if (a->n != b->n)
		return false;
	PW_CHANNELS_FOREACH (name, a) {
		if (!pw_channels_have(b, name))
			return false;
	}
	return true;
}

void pw_channels_write(struct pw_strbuf *sql, const char *verb, const char *name)
{
	pw_strbuf_add_string(sql, verb);
	pw_strbuf_add_string(sql, " \"");
	for (; *name; name++) {
		if (*name == '"')
			pw_strbuf_add_char(sql, '"');
		pw_strbuf_add_char(sql, *name);
	}
	pw_strbuf_add_string(sql, "\";");
}

void pw_channels_write_all(struct pw_strbuf *sql, const struct pw_channels *channels)
{
	PW_CHANNELS_FOREACH (name, channels) {
		pw_channels_write(sql, "LISTEN", name);
	}
}

bool pw_notification_read(const uint8_t *data, size_t len, struct pw_notification *out)
{
	struct pw_cursor at = pw_cursor(data, len);

	if (pw_cursor_u8(&at) != 'A' || pw_cursor_u32(&at) != len - 1)
		return false;
	out->pid = pw_cursor_u32(&at);
	out->channel = pw_cursor_string(&at);
	out->payload = pw_cursor_string(&at);
	return !at.has_failed;
}
