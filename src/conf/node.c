/* SPDX-License-Identifier: PostgreSQL
 *
 * How hosts and nodes are written, and what is said of nodes. Whatever way a node is, it has one
 * name: with its port.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_priv.h"

enum { DEFAULT_PORT = 5432 };

struct parts {
	const char *host;
	size_t host_len;
	const char *port; /* NULL = the default; `port_len` digits */
	size_t port_len;
};

static bool cut_bracketed(const char *text, size_t len, struct parts *parts)
{
	const char *close = memchr(text, ']', len), *end = text + len;

	if (!close || (close + 1 < end && close[1] != ':'))
		return false;
	*parts = (struct parts){text + 1, (size_t)(close - text - 1), NULL, 0};
	if (close + 1 < end) {
		parts->port = close + 2;
		parts->port_len = (size_t)(end - parts->port);
	}
	return true;
}

/* Two colons are an IPv6 address without brackets: where does it end? */
static bool cut(const char *text, size_t len, struct parts *parts)
{
	const char *colon = memchr(text, ':', len), *end = text + len;

	if (len > 0 && text[0] == '[')
		return cut_bracketed(text, len, parts);
	*parts = (struct parts){text, len, NULL, 0};
	if (!colon)
		return true;
	if (memchr(colon + 1, ':', (size_t)(end - colon - 1)))
		return false;
	parts->host_len = (size_t)(colon - text);
	parts->port = colon + 1;
	parts->port_len = (size_t)(end - parts->port);
	return true;
}

static bool read_port(const struct parts *parts, int *port)
{
	*port = 0;
	if (!parts->port)
		*port = DEFAULT_PORT;
	if (parts->port_len > 5)
		return false;
	for (size_t i = 0; i < parts->port_len; i++) {
		if (parts->port[i] < '0' || parts->port[i] > '9')
			return false;
		*port = *port * 10 + (parts->port[i] - '0');
	}
	return *port >= 1 && *port <= 65535;
}

bool pw_conf_read_node(const char *text, size_t len, struct pw_conf_arena *arena,
		       struct pw_conf_node *node)
{
	struct parts parts;
	char *host, *name;
	size_t size;

	if (!cut(text, len, &parts) || parts.host_len == 0 || !read_port(&parts, &node->port))
		return false;
	/* A comment where there is none: no host has such a name. */
	if (parts.host[0] == ';' || parts.host[0] == '#')
		return false;
	size = parts.host_len + sizeof("[]:65535");
	host = pw_conf_arena_alloc(arena, parts.host_len + 1);
	name = pw_conf_arena_alloc(arena, size);
	if (!host || !name)
		return true; /* the arena remembers */
	memcpy(host, parts.host, parts.host_len);
	snprintf(name, size, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, node->port);
	node->host = host;
	node->name = name;
	return true;
}

const char *const *pw_conf_split_hosts(const char *text, struct pw_conf_arena *arena)
{
	static const char blanks[] = " \t";
	const char **hosts;
	char *p;
	size_t n = 0, commas = 0;

	for (const char *c = text ? text : ""; *c != '\0'; c++)
		commas += *c == ',';
	hosts = pw_conf_arena_alloc(arena, (commas + 2) * sizeof(*hosts));
	if (!hosts || !text)
		return hosts;
	p = pw_conf_arena_alloc(arena, strlen(text) + 1);
	if (!p)
		return NULL;
	memcpy(p, text, strlen(text) + 1);
	for (char *next = p; next; p = next) {
		char *end;

		next = strchr(p, ',');
		end = next ? next : p + strlen(p);
		if (next)
			next++;
		p += strspn(p, blanks);
		while (end > p && strchr(blanks, end[-1]))
			end--;
		*end = '\0';
		if (*p == '\0')
			return NULL;
		hosts[n++] = p;
	}
	return hosts;
}

bool pw_conf_read_max_lag(const char *text, int64_t *us, struct pw_strbuf *why)
{
	const struct pw_conf_key *key = pw_conf_key_find(&pw_conf_cluster_keys, "max_lag");
	struct pw_conf_cluster row;

	if (!pw_conf_key_parse(key, text, NULL, &row, why))
		return false;
	*us = row.reading.max_lag;
	return true;
}

bool pw_conf_read_weight(const char *text, int *weight, struct pw_strbuf *why)
{
	const struct pw_conf_key *key = pw_conf_key_find(&pw_conf_node_keys, "weight");
	struct pw_conf_node row;

	if (!pw_conf_key_parse(key, text, NULL, &row, why))
		return false;
	*weight = row.weight;
	return true;
}
