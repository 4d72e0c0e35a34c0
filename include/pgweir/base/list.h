/* SPDX-License-Identifier: PostgreSQL
 *
 * Intrusive doubly linked list. A node is in at most one list; a node in none points at itself,
 * so removing twice is harmless. The list owns nothing. One thread.
 */
#ifndef PGWEIR_BASE_LIST_H
#define PGWEIR_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_list {
	struct pw_list *next;
	struct pw_list *prev;
};

#define PW_CONTAINER(pointer, type, member) ((type *)((uintptr_t)(pointer)-offsetof(type, member)))

#define PW_LIST_FOREACH(node, list)                                                                \
	for (struct pw_list *node = (list)->next; node != (list); node = node->next)

/* The body may remove `node`, and nothing else. */
#define PW_LIST_FOREACH_SAFE(node, list)                                                           \
	for (struct pw_list *node = (list)->next, *node##_next = node->next; node != (list);       \
	     node = node##_next, node##_next = node->next)

static inline void pw_list_init(struct pw_list *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool pw_list_is_empty(const struct pw_list *list)
{
	return list->next == list;
}

static inline void pw_list_insert_before(struct pw_list *place, struct pw_list *node)
{
	node->prev = place->prev;
	node->next = place;
	place->prev->next = node;
	place->prev = node;
}

static inline void pw_list_append(struct pw_list *list, struct pw_list *node)
{
	pw_list_insert_before(list, node);
}

static inline void pw_list_prepend(struct pw_list *list, struct pw_list *node)
{
	pw_list_insert_before(list->next, node);
}

static inline void pw_list_remove(struct pw_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	pw_list_init(node);
}

/* First node, or NULL. */
static inline struct pw_list *pw_list_first(const struct pw_list *list)
{
	return list->next == list ? NULL : list->next;
}

static inline struct pw_list *pw_list_last(const struct pw_list *list)
{
	return list->prev == list ? NULL : list->prev;
}

static inline size_t pw_list_length(const struct pw_list *list)
{
	size_t n = 0;

	for (const struct pw_list *node = list->next; node != list; node = node->next)
		n++;
	return n;
}

#endif
