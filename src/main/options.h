/* SPDX-License-Identifier: PostgreSQL
 *
 * The command line: what is to be done, and with which file. Prints help, version and its own
 * errors itself. Texts point into argv.
 */
#ifndef PGWEIR_MAIN_OPTIONS_H
#define PGWEIR_MAIN_OPTIONS_H

#include <stdbool.h>

enum pw_options_todo {
	PW_TODO_RUN,
	PW_TODO_EXIT, /* all is said: exit with exit_status */
	PW_TODO_DESCRIBE_INI,
	PW_TODO_DESCRIBE_CONFIG,
	PW_TODO_DESCRIBE_CONSOLE,
};

struct pw_options {
	enum pw_options_todo todo;
	int exit_status;         /* with PW_TODO_EXIT */
	const char *config_path; /* with PW_TODO_RUN */
	const char *user;        /* NULL = as the file says */
	int verbose;             /* how many -v */
	bool is_daemon;
	bool is_quiet; /* nothing on stderr */
};

/* Uses getopt, and so its global state: on the main thread. */
void pw_options_parse(int argc, char *const argv[], struct pw_options *out);

#endif
