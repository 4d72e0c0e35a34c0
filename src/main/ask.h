/* SPDX-License-Identifier: PostgreSQL
 *
 * What consoles ask of the main thread, as the functions that they call for it on their worker's.
 */
#ifndef PGWEIR_MAIN_ASK_H
#define PGWEIR_MAIN_ASK_H

#include "process.h"

struct pw_console_actions pw_ask_actions(struct pw_worker *worker);

#endif
