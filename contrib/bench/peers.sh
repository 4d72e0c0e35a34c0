# SPDX-License-Identifier: PostgreSQL
# shellcheck shell=bash disable=SC2034
#
# What is measured: starts and stops the poolers, HAProxy, PostgreSQL and the scripted server. Sourced
# by contrib/bench/run. Everything lives in $STATE, listens on 127.0.0.1 and runs unprivileged.
#
#   PORT[name]  where a peer listens        PID[name]  its process        NODES  ports of the cluster

declare -A PORT PID
NODES=()
BENCH_USER=bench
BENCH_DB=bench
BENCH_PASSWORD=only-for-loopback
CLIENTS_MAX=12000

# start_process NAME COMMAND...: the shell becomes the command, so the pid is the command's own.
start_process() {
	local name=$1 file=$STATE/run/$1.pid
	shift
	rm -f "$file"
	# shellcheck disable=SC2016
	run_as_unprivileged sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$file" "$@" \
		</dev/null >"$STATE/run/$name.out" 2>&1 &
	wait_until 5 test -s "$file" || die "could not start $name: read $STATE/run/$name.out"
	PID[$name]=$(cat "$file")
}

# Only a process that has our directory in its command line is one of ours.
is_running() {
	[ -n "${PID[$1]:-}" ] && grep -qsaF "$STATE" "/proc/${PID[$1]}/cmdline"
}

is_stopped() {
	! is_running "$1"
}

stop_process() {
	local signal
	for signal in TERM KILL; do
		is_running "$1" || break
		kill -s "$signal" "${PID[$1]}" 2>/dev/null
		wait_until 10 is_stopped "$1" && break
	done
	unset "PID[$1]"
}

stop_all() {
	local name
	for name in "${!PID[@]}"; do
		stop_process "$name"
	done
	[ ! -d "$STATE/pg" ] || "$PW_ROOT/contrib/pgcluster" stop "$STATE/pg"
}

# as_client PROGRAM ARGUMENTS...: libpq's programs as the user of the benchmark.
as_client() {
	run_as_unprivileged env PGUSER=$BENCH_USER PGDATABASE=$BENCH_DB PGPASSWORD=$BENCH_PASSWORD \
		PGHOST=127.0.0.1 PGSSLMODE="${SSLMODE:-disable}" PGGSSENCMODE=disable PGCONNECT_TIMEOUT=10 "$@"
}

answers() {
	as_client psql -XqAt -p "$1" -c 'SELECT 1'
}

wait_for_peer() {
	wait_until 15 answers "${PORT[$1]}" ||
		die "$1 does not answer: $(as_client psql -XqAt -p "${PORT[$1]}" -c 'SELECT 1' 2>&1 | head -n 3) $(
			tail -n 5 "$STATE/run/$1.out" "$STATE/run/$1.log" 2>/dev/null)"
}

# -- PostgreSQL --

on_server() {
	run_as_unprivileged env PGPASSWORD="$PW_PG_PASSWORD" psql -XqAt -v ON_ERROR_STOP=1 \
		-h 127.0.0.1 -p "$PW_PG_PORT" -U "$PW_PG_SUPERUSER" -d "${1:-postgres}" "${@:2}"
}

# The poolers and the load generator log in to the server without a password: what a login costs is
# measured at the poolers.
start_postgresql() {
	[ -z "${PORT[direct]:-}" ] || return 0
	say "starting a private PostgreSQL"
	"$PW_ROOT/contrib/pgcluster" start "$STATE/pg" --replicas 0 --no-fsync || exit 1
	eval "$("$PW_ROOT/contrib/pgcluster" env "$STATE/pg")"
	run_as_unprivileged sed -i "1i host all $BENCH_USER 127.0.0.0/8 trust" "$STATE/pg/primary/pg_hba.conf"
	on_server postgres -c 'SELECT pg_reload_conf()' \
		-c "CREATE ROLE $BENCH_USER LOGIN PASSWORD '$BENCH_PASSWORD'" \
		-c "CREATE DATABASE $BENCH_DB OWNER $BENCH_USER" >/dev/null ||
		die "could not make the database: read $STATE/pg/log/primary.log"
	PORT[direct]=$PW_PG_PORT
	wait_for_peer direct
	as_client pgbench -i -q -s 2 -p "$PW_PG_PORT" >"$STATE/run/pgbench-init.out" 2>&1 ||
		die "pgbench could not make its tables: read $STATE/run/pgbench-init.out"
	on_server postgres -c "SELECT rolpassword FROM pg_authid WHERE rolname = '$BENCH_USER'" |
		sed "s/.*/\"$BENCH_USER\" \"&\"/" | write_private "$STATE/users.txt"
}

# start_replicas N: of that PostgreSQL; they stay.
start_replicas() {
	local i port
	"$PW_ROOT/contrib/pgcluster" start "$STATE/pg" --replicas "$1" --no-fsync || exit 1
	eval "$("$PW_ROOT/contrib/pgcluster" env "$STATE/pg")"
	on_server postgres -c "GRANT pg_monitor TO $BENCH_USER" || die "could not let $BENCH_USER monitor the nodes"
	NODES=("$PW_PG_PORT")
	for i in $(seq "$1"); do
		port=PW_PG_REPLICA${i}_PORT
		NODES+=("${!port}")
	done
}

node_addresses() {
	echo "${NODES[@]/#/127.0.0.1:}"
}

# -- the scripted server --

compile() {
	local out=$STATE/bin/$1
	shift
	gcc -std=gnu11 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Werror -pthread -o "$out" \
		"${@/#/$PW_ROOT/contrib/bench/}" -lssl -lcrypto ||
		die "could not compile ${out##*/}"
}

compile_load() {
	[ -x "$STATE/bin/load" ] || compile load load.c wire.c scram.c
}

# Reading statements is measured without a process around it, in the library that the pooler is made of.
compile_lexer() {
	[ -r "$LIBRARY" ] || die "there is no $LIBRARY: take a pgweir where it was built"
	gcc -std=gnu11 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Werror -I"$PW_ROOT/include" -o "$STATE/bin/lexer" \
		"$PW_ROOT/contrib/bench/lexer.c" "$LIBRARY" -lpg_query -lprotobuf-c -lpthread ||
		die "could not compile lexer"
}

start_answer() {
	[ -z "${PORT[answer]:-}" ] || return 0
	compile answer answer.c
	PORT[answer]=$(free_ports 1)
	start_process answer "$STATE/bin/answer" "${PORT[answer]}" "$(nproc)"
	wait_for_peer answer
}

# -- poolers --

make_certificate() {
	[ -s "$STATE/tls.crt" ] && return
	run_as_unprivileged openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-subj /CN=localhost -keyout "$STATE/tls.key" -out "$STATE/tls.crt" 2>"$STATE/run/openssl.out" ||
		die "openssl could not make a certificate: read $STATE/run/openssl.out"
}

# write_ini NAME SERVER-PORT LINE...: the same file for both poolers, except for the lines given.
write_ini() {
	local name=$1 server="host=127.0.0.1 port=$2"
	shift 2
	{
		echo "[databases]"
		echo "$BENCH_DB = $server dbname=$BENCH_DB"
		echo "bench_session = $server dbname=$BENCH_DB pool_mode=session"
		echo "[pgbouncer]"
		printf '%s\n' "listen_addr = 127.0.0.1" "listen_port = ${PORT[$name]}" "unix_socket_dir =" \
			"auth_type = trust" "admin_users = $BENCH_USER" "auth_file = $STATE/users.txt" "pool_mode = transaction" \
			"default_pool_size = 20" "max_client_conn = $CLIENTS_MAX" "listen_backlog = 4096" \
			"log_connections = 0" "log_disconnections = 0" "log_stats = 0" \
			"client_tls_sslmode = allow" "client_tls_key_file = $STATE/tls.key" \
			"client_tls_cert_file = $STATE/tls.crt" "logfile = $STATE/run/$name.log" "$@"
	} | write_private "$STATE/run/$name.ini"
}

# start_pooler NAME SERVER-PORT LINE...: NAME begins with what it is, pgweir or pgbouncer.
start_pooler() {
	local name=$1 program=$STATE/bin/pgweir-bench
	[[ $name != pgbouncer* ]] || program=/usr/sbin/pgbouncer
	make_certificate
	PORT[$name]=$(free_ports 1)
	write_ini "$@"
	start_process "$name" "$program" -q "$STATE/run/$name.ini"
	wait_for_peer "$name"
}

stop_pooler() {
	stop_process "$1"
	unset "PORT[$1]"
}

# Each section begins without the poolers, and so without the server connections, of the one before.
stop_poolers() {
	local name
	for name in "${!PORT[@]}"; do
		case $name in
		pgweir* | pgbouncer* | haproxy) stop_pooler "$name" ;;
		esac
	done
}

start_haproxy() {
	PORT[haproxy]=$(free_ports 1)
	write_private "$STATE/run/haproxy.cfg" <<-END
	global
	    nbthread 1
	    maxconn 1000
	defaults
	    mode tcp
	    timeout connect 10s
	    timeout client 10m
	    timeout server 10m
	listen postgresql
	    bind 127.0.0.1:${PORT[haproxy]}
	    server primary 127.0.0.1:${PORT[direct]}
	END
	start_process haproxy /usr/sbin/haproxy -db -q -f "$STATE/run/haproxy.cfg"
	wait_for_peer haproxy
}

# What cpu and tls compare: one thread each, in front of the same PostgreSQL.
start_single_threaded() {
	local peer
	start_postgresql
	start_pooler pgweir "${PORT[direct]}" "worker_threads = 1"
	start_pooler pgbouncer "${PORT[direct]}"
	start_haproxy
	say "warming up"
	for peer in pgweir pgbouncer haproxy direct; do
		as_client timeout 60 pgbench -n -S -c 16 -T 1 -p "${PORT[$peer]}" >"$STATE/run/warm-up.out" 2>&1 ||
			die "pgbench fails through $peer: $(tail -n 3 "$STATE/run/warm-up.out")"
	done
}
