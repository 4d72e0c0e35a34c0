/* SPDX-License-Identifier: PostgreSQL
 *
 * What the files of this folder share.
 */
#ifndef PGWEIR_NET_NET_PRIV_H
#define PGWEIR_NET_NET_PRIV_H

#include "pgweir/net/stream.h"

/* Needs no transport object: NULL. */
extern const struct pw_transport_ops pw_plain_transport;

#endif
