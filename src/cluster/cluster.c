/* SPDX-License-Identifier: PostgreSQL
 *
 * A view lies in one piece of memory with its strings, so that whoever drops the last reference
 * frees it, on whatever thread.
 */
#include "config.h"

#include "pgweir/cluster/cluster.h"

#include <stdlib.h>
#include <string.h>

void pw_clusters_init(struct pw_clusters *clusters)
{
	pthread_mutex_init(&clusters->lock, NULL);
	pw_list_init(&clusters->all);
}

static void unref_view(struct pw_cluster_view *view)
{
	if (view && pw_refcount_unref(&view->refs))
		free(view);
}

void pw_clusters_fini(struct pw_clusters *clusters)
{
	struct pw_list *node;

	while ((node = pw_list_first(&clusters->all))) {
		struct pw_cluster *cluster = PW_CONTAINER(node, struct pw_cluster, node);

		pw_list_remove(node);
		unref_view(cluster->view);
		for (int i = 0; i < PW_SLOTS_MAX; i++)
			free(cluster->slots[i]);
		pthread_mutex_destroy(&cluster->lock);
		free(cluster);
	}
	pthread_mutex_destroy(&clusters->lock);
}

static struct pw_cluster *find(const struct pw_clusters *clusters, const char *name)
{
	PW_LIST_FOREACH (node, &clusters->all) {
		struct pw_cluster *cluster = PW_CONTAINER(node, struct pw_cluster, node);

		if (strcmp(cluster->name, name) == 0)
			return cluster;
	}
	return NULL;
}

static struct pw_cluster *create(const char *name)
{
	size_t size = strlen(name) + 1;
	struct pw_cluster *cluster = calloc(1, sizeof(*cluster) + size);

	if (!cluster)
		return NULL;
	atomic_init(&cluster->probe, 0);
	atomic_init(&cluster->version, 0);
	pthread_mutex_init(&cluster->lock, NULL);
	memcpy(cluster->name, name, size);
	return cluster;
}

struct pw_cluster *pw_clusters_get(struct pw_clusters *clusters, const char *name)
{
	struct pw_cluster *cluster;

	pthread_mutex_lock(&clusters->lock);
	cluster = find(clusters, name);
	if (!cluster && (cluster = create(name)))
		pw_list_append(&clusters->all, &cluster->node);
	pthread_mutex_unlock(&clusters->lock);
	return cluster;
}

int pw_cluster_slot(struct pw_cluster *cluster, const char *node)
{
	int slot = 0;

	pthread_mutex_lock(&cluster->lock);
	while (slot < PW_SLOTS_MAX && cluster->slots[slot] &&
	       strcmp(cluster->slots[slot], node) != 0)
		slot++;
	if (slot < PW_SLOTS_MAX && !cluster->slots[slot])
		cluster->slots[slot] = strdup(node);
	if (slot == PW_SLOTS_MAX || !cluster->slots[slot])
		slot = PW_NO_SLOT;
	pthread_mutex_unlock(&cluster->lock);
	return slot;
}

static const char *copy_string(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	const char *copy = memcpy(*at, text, size);

	*at += size;
	return copy;
}

static struct pw_cluster_view *create_view(const struct pw_cluster *cluster,
					   const struct pw_health *health,
					   const struct pw_node_place *places, uint64_t now_us)
{
	struct pw_cluster_view *view;
	size_t size = sizeof(*view);
	char *strings;

	for (size_t i = 0; i < health->n; i++)
		size += strlen(places[i].name) + 1 + strlen(places[i].host) + 1;
	view = calloc(1, size);
	if (!view)
		return NULL;
	pw_refcount_init(&view->refs);
	view->published_us = now_us;
	view->rounds = atomic_load(&cluster->probe);
	view->health = *health;
	strings = (char *)(view + 1);
	for (size_t i = 0; i < health->n; i++) {
		view->places[i] = places[i];
		view->places[i].name = copy_string(&strings, places[i].name);
		view->places[i].host = copy_string(&strings, places[i].host);
	}
	return view;
}

enum pw_status pw_cluster_publish(struct pw_cluster *cluster, const struct pw_health *health,
				  const struct pw_node_place *places, uint64_t now_us)
{
	struct pw_cluster_view *view = create_view(cluster, health, places, now_us), *earlier;

	if (!view)
		return PW_ENOMEM;
	pthread_mutex_lock(&cluster->lock);
	earlier = cluster->view;
	cluster->view = view;
	atomic_fetch_add_explicit(&cluster->version, 1, memory_order_release);
	pthread_mutex_unlock(&cluster->lock);
	unref_view(earlier);
	return PW_OK;
}

const struct pw_cluster_view *pw_cluster_look(struct pw_cluster *cluster,
					      struct pw_cluster_eye *eye)
{
	if (atomic_load_explicit(&cluster->version, memory_order_acquire) == eye->version)
		return eye->view;
	unref_view(eye->view);
	pthread_mutex_lock(&cluster->lock);
	eye->version = atomic_load_explicit(&cluster->version, memory_order_relaxed);
	eye->view = cluster->view;
	pw_refcount_ref(&eye->view->refs);
	pthread_mutex_unlock(&cluster->lock);
	return eye->view;
}

void pw_cluster_eye_fini(struct pw_cluster_eye *eye)
{
	unref_view(eye->view);
	*eye = (struct pw_cluster_eye){0, NULL};
}
