/* SPDX-License-Identifier: PostgreSQL
 *
 * A set of channels that are listened to, in the order in which they were; and what a server says
 * when something happens on one. A set belongs to its holder. One thread.
 */
#ifndef PGWEIR_HUB_CHANNELS_H
#define PGWEIR_HUB_CHANNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pgweir/base/strbuf.h"

/* Whoever listens to more keeps its server connection. */
enum { PW_CHANNELS_MAX = 1000 };

struct pw_channels {
	struct pw_strbuf names; /* each with its zero byte, each once */
	unsigned n;
	bool has_failed; /* no memory, or more than PW_CHANNELS_MAX: some are missing */
};

#define PW_CHANNELS_INIT                                                                           \
	{                                                                                          \
		PW_STRBUF_INIT, 0, false                                                           \
	}

#define PW_CHANNELS_FOREACH(name, channels)                                                        \
	for (const char *name = (channels)->names.data;                                            \
	     name && name < (channels)->names.data + (channels)->names.len;                        \
	     name += strlen(name) + 1)

void pw_channels_fini(struct pw_channels *channels);
/* The name must not be in it. */
void pw_channels_add(struct pw_channels *channels, const char *name);
bool pw_channels_have(const struct pw_channels *channels, const char *name);
/* The same names, in whatever order? */
bool pw_channels_are_equal(const struct pw_channels *a, const struct pw_channels *b);
/* `verb` "name"; */
void pw_channels_write(struct pw_strbuf *sql, const char *verb, const char *name);
/* LISTEN to each. */
void pw_channels_write_all(struct pw_strbuf *sql, const struct pw_channels *channels);

/* A NotificationResponse; pointers into it. */
struct pw_notification {
	uint32_t pid;
	const char *channel, *payload;
};

enum { PW_NOTIFICATION_PID_AT = 5 };

/* A whole message, header included. False where it is none. */
bool pw_notification_read(const uint8_t *data, size_t len, struct pw_notification *out);

#endif
