/* SPDX-License-Identifier: PostgreSQL
 *
 * Fields are read where their description says that they lie.
 */
#include "config.h"

#include "tree_priv.h"

#include <stdint.h>
#include <string.h>

static const ProtobufCMessage *message_at(const char *at)
{
	const ProtobufCMessage *message;

	memcpy(&message, at, sizeof(message));
	return message;
}

/* One of some hundred fields is set, and says which: the others are not looked at. */
static const ProtobufCMessage *content_of(const PgQuery__Node *node)
{
	const ProtobufCFieldDescriptor *field;

	field = protobuf_c_message_descriptor_get_field(&pg_query__node__descriptor,
							(unsigned)node->node_case);
	return field ? message_at((const char *)node + field->offset) : NULL;
}

static void visit_one(const ProtobufCMessage *message, pw_tree_visitor *visit, void *arg)
{
	if (message && message->descriptor == &pg_query__node__descriptor)
		message = content_of((const PgQuery__Node *)message);
	if (message)
		visit(arg, message);
}

static void visit_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
			pw_tree_visitor *visit, void *arg)
{
	const char *at = (const char *)message + field->offset;
	const char *quantifier = (const char *)message + field->quantifier_offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		ProtobufCMessage *const *array;
		size_t n = *(const size_t *)quantifier;

		memcpy(&array, at, sizeof(array));
		for (size_t i = 0; i < n; i++)
			visit_one(array[i], visit, arg);
	} else if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
		   *(const uint32_t *)quantifier == field->id) {
		visit_one(message_at(at), visit, arg);
	}
}

void pw_tree_visit(const ProtobufCMessage *message, pw_tree_visitor *visit, void *arg)
{
	if (message->descriptor == &pg_query__node__descriptor) {
		visit_one(message, visit, arg);
		return;
	}
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];

		if (field->type == PROTOBUF_C_TYPE_MESSAGE)
			visit_field(message, field, visit, arg);
	}
}

const char *pw_tree_string(const PgQuery__Node *node)
{
	return node && node->node_case == PG_QUERY__NODE__NODE_STRING ? node->string->sval : "";
}

void pw_tree_add_dotted(struct pw_strbuf *out, PgQuery__Node *const *parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			pw_strbuf_add_char(out, '.');
		pw_strbuf_add_string(out, pw_tree_string(parts[i]));
	}
}
