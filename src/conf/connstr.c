/* SPDX-License-Identifier: PostgreSQL
 *
 * Connection strings: `key=value key = 'it''s'`. Only spaces separate, a tab belongs to a value.
 * An empty value is an error, quoted or not. Pure functions on the caller's text.
 */
#include "config.h"

#include "conf_priv.h"

static char *skip_spaces(char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

/* Moves the text to the left over its own quotes. Returns the first byte behind the closing
 * quote, NULL where there is none. */
static char *unquote(char *p, char **end_of_value)
{
	char *to = p;

	for (;; p++) {
		if (*p == '\0')
			return NULL;
		if (*p == '\'' && *++p != '\'')
			break;
		*to++ = *p;
	}
	*end_of_value = to;
	return p;
}

enum pw_status pw_connstr_next(char **cursor, const char **key, const char **value)
{
	char *p = skip_spaces(*cursor);
	char *key_end, *start, *end;

	if (*p == '\0')
		return PW_CLOSED;
	*key = p;
	while (*p != '\0' && *p != ' ' && *p != '=')
		p++;
	key_end = p;
	p = skip_spaces(p);
	if (key_end == *key || *p != '=')
		return PW_EINVAL;
	start = p = skip_spaces(p + 1);
	if (*p == '\'') {
		start = p + 1;
		p = unquote(start, &end);
	} else {
		while (*p != '\0' && *p != ' ')
			p++;
		end = p;
	}
	if (!p || end == start || (*p != '\0' && *p != ' '))
		return PW_EINVAL;
	*cursor = *p == '\0' ? p : p + 1;
	*key_end = '\0';
	*end = '\0';
	*value = start;
	return PW_OK;
}
