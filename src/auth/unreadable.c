/* SPDX-License-Identifier: PostgreSQL
 *
 * A handful of names at most, so a list is searched from its beginning.
 */
#include "config.h"

#include "pgweir/auth/unreadable.h"

#include <errno.h>
#include <string.h>

void pw_unreadable_fini(struct pw_unreadable *unreadable)
{
	pw_strbuf_fini(&unreadable->files);
	pw_strbuf_fini(&unreadable->lines);
}

void pw_unreadable_add(struct pw_unreadable *unreadable, const char *what, const char *path)
{
	const char *reason = strerror(errno);

	pw_strbuf_printf(&unreadable->lines, "could not open %s %s: %s\n", what, path, reason);
	pw_strbuf_printf(&unreadable->files, "%s %s", what, path);
	pw_strbuf_add_char(&unreadable->files, '\0');
}

bool pw_unreadable_has_failed(const struct pw_unreadable *unreadable)
{
	return unreadable->files.has_failed || unreadable->lines.has_failed;
}

static bool has_file(const struct pw_strbuf *files, const char *file)
{
	for (size_t i = 0; i < files->len; i += strlen(files->data + i) + 1) {
		if (strcmp(files->data + i, file) == 0)
			return true;
	}
	return false;
}

bool pw_unreadable_has_new(const struct pw_unreadable *now, const struct pw_unreadable *before)
{
	const struct pw_strbuf *files = &now->files;

	for (size_t i = 0; i < files->len; i += strlen(files->data + i) + 1) {
		if (!has_file(&before->files, files->data + i))
			return true;
	}
	return false;
}
