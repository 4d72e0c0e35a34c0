/* SPDX-License-Identifier: PostgreSQL
 *
 * Going through libpg_query's trees by protobuf-c's own description of their messages: whatever a
 * node holds is come by, whether or not anybody here knows the node. Owns nothing. Any thread.
 */
#ifndef PGWEIR_SQL_TREE_PRIV_H
#define PGWEIR_SQL_TREE_PRIV_H

#include <stddef.h>

#include <pg_query/pg_query.pb-c.h>

#include "pgweir/base/strbuf.h"

typedef void pw_tree_visitor(void *arg, const ProtobufCMessage *message);

/* Comes by all that the message itself holds, or by what a PgQuery__Node is. It never comes by a
 * PgQuery__Node: that is looked through. */
void pw_tree_visit(const ProtobufCMessage *message, pw_tree_visitor *visit, void *arg);

/* "" where it is no string. */
const char *pw_tree_string(const PgQuery__Node *node);
/* A name of several parts: a.b.c */
void pw_tree_add_dotted(struct pw_strbuf *out, PgQuery__Node *const *parts, size_t n);

#endif
