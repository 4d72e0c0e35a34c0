/* SPDX-License-Identifier: PostgreSQL
 *
 * PgBouncer's command line, so that its service files and scripts go on working, and --describe,
 * which prints what the documentation is made of. Main thread.
 *
 * An answer that was asked for (help, version) goes to stdout and ends with 0, a mistake goes to
 * stderr and ends with 1.
 */
#include "config.h"

#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/auth/password.h"
#include "pgweir/cluster/inquirer.h"
#include "pgweir/conf/conf.h"
#include "pgweir/net/loop.h"
#include "pgweir/sql/analysis.h"
#include "pgweir/tls/tls.h"

enum { OPTION_DESCRIBE = 256 };

static const struct option long_options[] = {
    {"daemon", no_argument, NULL, 'd'},
    {"describe", required_argument, NULL, OPTION_DESCRIBE},
    {"help", no_argument, NULL, 'h'},
    {"quiet", no_argument, NULL, 'q'},
    {"reboot", no_argument, NULL, 'R'},
    {"user", required_argument, NULL, 'u'},
    {"verbose", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static const struct {
	const char *word;
	enum pw_options_todo todo;
} descriptions[] = {
    {"ini", PW_TODO_DESCRIBE_INI},
    {"config", PW_TODO_DESCRIBE_CONFIG},
    {"console", PW_TODO_DESCRIBE_CONSOLE},
};

static void set_exit(struct pw_options *out, int status)
{
	out->todo = PW_TODO_EXIT;
	out->exit_status = status;
}

/* Ends after an answer on stdout; one that could not be written is a failure. */
static void set_answered(struct pw_options *out)
{
	bool is_written = fflush(stdout) == 0 && !ferror(stdout);

	set_exit(out, is_written ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void print_help(const char *program)
{
	printf("usage: %s [OPTION]... CONFIG_FILE\n"
	       "PostgreSQL connection pooler.\n"
	       "\n"
	       "  -d, --daemon         run in the background (needs pidfile in CONFIG_FILE)\n"
	       "  -q, --quiet          write nothing to stderr\n"
	       "  -u, --user=NAME      become this user when started as root\n"
	       "  -v, --verbose        log more; give it again for still more\n"
	       "  -V, --version        show the version and exit\n"
	       "  -h, --help           show this help and exit\n"
	       "      --describe=WHAT  print documentation and exit; WHAT is one of\n"
	       "                       ini      a sample configuration file\n"
	       "                       config   the reference of all settings\n"
	       "                       console  the reference of the console's commands\n",
	       program);
}

static void print_version(void)
{
	char pq[32];

	pw_inquirer_library_version(pq, sizeof(pq));
	printf("pgweir %s\n", PACKAGE_VERSION);
	printf("libevent %s\n", pw_loop_library_version());
	printf("tls: %s\n", pw_tls_library_version());
	printf("libpq %s\n", pq);
	printf("libpg_query of PostgreSQL %s\n", pw_analysis_library_version());
	printf("inih %s\n", pw_conf_library_version());
	printf("libidn %s\n", pw_saslprep_library_version());
#ifdef HAVE_SYSTEMD
	printf("systemd: yes\n");
#endif
}

/* What was wrong was said already. */
static void refuse(struct pw_options *out, const char *program)
{
	fprintf(stderr, "Try \"%s --help\" for more information.\n", program);
	set_exit(out, EXIT_FAILURE);
}

static void choose_description(struct pw_options *out, const char *program, const char *word)
{
	for (size_t i = 0; i < PW_COUNTOF(descriptions); i++) {
		if (strcmp(descriptions[i].word, word) == 0) {
			out->todo = descriptions[i].todo;
			return;
		}
	}
	fprintf(stderr, "%s: --describe takes ini, config or console, not \"%s\"\n", program, word);
	refuse(out, program);
}

static void take_option(struct pw_options *out, int option, const char *program)
{
	switch (option) {
	case 'd':
		out->is_daemon = true;
		break;
	case 'q':
		out->is_quiet = true;
		break;
	case 'u':
		out->user = optarg;
		break;
	case 'v':
		out->verbose++;
		break;
	case 'V':
		print_version();
		set_answered(out);
		break;
	case 'h':
		print_help(program);
		set_answered(out);
		break;
	case 'R':
		fprintf(
		    stderr,
		    "%s: taking over the sockets of a running process (-R) is not supported; for a "
		    "restart without a gap see pgweir(1): so_reuseport=1, and a second "
		    "configuration with a unix_socket_dir, pidfile and logfile of its own\n",
		    program);
		refuse(out, program);
		break;
	case OPTION_DESCRIBE:
		choose_description(out, program, optarg);
		break;
	default:
		refuse(out, program);
	}
}

static void take_config_path(struct pw_options *out, int n, char *const words[],
			     const char *program)
{
	if (n == 1 && words[0][0] != '\0') {
		out->config_path = words[0];
		return;
	}
	fprintf(stderr, "%s: %s\n", program,
		n > 1 ? "more than one configuration file specified"
		      : "no configuration file specified");
	refuse(out, program);
}

void pw_options_parse(int argc, char *const argv[], struct pw_options *out)
{
	const char *program = argc > 0 ? argv[0] : "pgweir";
	int option;

	memset(out, 0, sizeof(*out));
	optind = 0; /* makes getopt of glibc begin afresh */
	while (out->todo == PW_TODO_RUN &&
	       (option = getopt_long(argc, argv, "dhqRu:vV", long_options, NULL)) != -1)
		take_option(out, option, program);
	if (out->todo == PW_TODO_RUN)
		take_config_path(out, argc - optind, argv + optind, program);
}
