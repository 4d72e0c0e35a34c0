# SPDX-License-Identifier: PostgreSQL
# shellcheck shell=bash disable=SC2034,SC2153
#
# The measurements, one function each; sourced by contrib/bench/run. Each appends rows of
# section, case, peer, metric, value to $RESULTS. Peers take turns within a round, so that noise of the
# machine hits all of them; the report takes medians over the rounds.

CLK_TCK=$(getconf CLK_TCK)

record() {
	printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>"$RESULTS"
}

# A peer that fails is a result too: the report shows it, the other measurements go on.
record_failure() {
	say "$1, $2, $3: FAILED: $(tail -n 2 "$4" | tr '\n' ' ')"
	record "$1" "$2" "$3" failed 1
	FAILED=yes
}

# CPU time of a process so far, all threads, user and system, in microseconds: by the scheduler's own
# account where the kernel shows it, else in clock ticks.
cpu_us() {
	if [ -r "/proc/$1/schedstat" ]; then
		cat "/proc/$1"/task/*/schedstat | awk '{ n += $1 } END { printf "%.0f\n", n / 1000 }'
		return
	fi
	awk -v tick=$((1000000 / CLK_TCK)) '{ sub(/^.*\) /, ""); print ($12 + $13) * tick }' "/proc/$1/stat"
}

# in_turn ROUND PEER...: the same peers, another one first in each round.
in_turn() {
	local round=$1 first
	shift
	first=$(((round - 1) % $# + 1))
	echo "${@:first}" "${@:1:first-1}"
}

# percentiles P... <numbers: one line of them, blank between.
percentiles() {
	sort -n | awk -v wanted="$*" '
		{ v[NR] = $1 }
		END {
			n = split(wanted, p, " ")
			for (i = 1; i <= n; i++) {
				k = int(NR * p[i] / 100 + 0.999999)
				printf "%s%s", v[k < 1 ? 1 : k], i < n ? " " : "\n"
			}
		}'
}

# field NAME <line of name=value
field() {
	sed -n "s|.*\b$1=\([^ ]*\).*|\1|p"
}

# -- pgbench --

# measure_pgbench SECTION CASE PEER MODE DATABASE
measure_pgbench() {
	local section=$1 case=$2 peer=$3 mode=$4 db=$5 out=$STATE/run/pgbench.out before after n
	run_as_unprivileged sh -c "rm -f $STATE/run/latency.*"
	[ -z "${PID[$peer]:-}" ] || before=$(cpu_us "${PID[$peer]}")
	if ! as_client timeout $((SECONDS_EACH + 30)) pgbench -n -S -M "$mode" -c 16 -j 1 -T "$SECONDS_EACH" \
		-l --sampling-rate=0.1 --log-prefix="$STATE/run/latency" -p "${PORT[$peer]}" "$db" >"$out" 2>&1; then
		record_failure "$section" "$case" "$peer" "$out"
		return
	fi
	[ -z "${PID[$peer]:-}" ] || after=$(cpu_us "${PID[$peer]}")
	n=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$out")
	record "$section" "$case" "$peer" tps "$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$out")"
	[ -z "${before:-}" ] || record "$section" "$case" "$peer" cpu_us \
		"$(awk -v c=$((after - before)) -v n="$n" 'BEGIN { printf "%.3f", c / n }')"
	read -r p50 p99 < <(cat "$STATE"/run/latency.* | awk '{ print $3 }' | percentiles 50 99)
	record "$section" "$case" "$peer" p50_us "$p50"
	record "$section" "$case" "$peer" p99_us "$p99"
}

run_cpu() {
	local round peer mode
	start_single_threaded
	for round in $(seq "$ROUNDS"); do
		say "cpu: round $round of $ROUNDS"
		for mode in simple extended; do
			for peer in $(in_turn "$round" pgweir pgbouncer haproxy direct); do
				measure_pgbench cpu $mode "$peer" $mode "$BENCH_DB"
			done
		done
		# PgBouncer 1.18 cannot do this in transaction mode; HAProxy and the server know no modes.
		for peer in $(in_turn "$round" pgweir haproxy direct); do
			measure_pgbench cpu prepared "$peer" prepared "$BENCH_DB"
		done
		for peer in $(in_turn "$round" pgweir pgbouncer); do
			measure_pgbench cpu prepared-session "$peer" prepared bench_session
		done
	done
	stop_poolers
}

# HAProxy does not speak the request for TLS that PostgreSQL's clients begin with.
run_tls() {
	local round peer mode
	start_single_threaded
	for round in $(seq "$ROUNDS"); do
		say "tls: round $round of $ROUNDS"
		for mode in simple extended; do
			for peer in $(in_turn "$round" pgweir pgbouncer); do
				SSLMODE=require measure_pgbench tls $mode "$peer" $mode "$BENCH_DB"
			done
		done
	done
	stop_poolers
}

# -- the load generator --

# run_load SECTION CASE PEER OUT ARGUMENTS...: its line goes to OUT; false = recorded as a failure.
run_load() {
	local section=$1 case=$2 peer=$3 out=$4
	shift 4
	run_as_unprivileged timeout 300 "$STATE/bin/load" "$@" -p "${PORT[$peer]}" -U "$BENCH_USER" \
		-w "$BENCH_PASSWORD" >"$out" 2>&1 && return
	record_failure "$section" "$case" "$peer" "$out"
	return 1
}

# record_fields SECTION CASE PEER OUT NAME...
record_fields() {
	local section=$1 case=$2 peer=$3 out=$4 name
	shift 4
	for name in "$@"; do
		record "$section" "$case" "$peer" "$name" "$(field "$name" <"$out")"
	done
	[ "$(field errors <"$out")" = 0 ] || say "$section, $case, $peer: $(head -n 2 "$out" | tr '\n' ' ')"
}

# measure_load SECTION CASE PEER ARGUMENTS...: rate, latencies, and the CPU time of the pooler for each.
measure_load() {
	local section=$1 case=$2 peer=$3 out=$STATE/run/load.out before after
	shift 3
	[ -z "${PID[$peer]:-}" ] || before=$(cpu_us "${PID[$peer]}")
	run_load "$section" "$case" "$peer" "$out" "$@" || return
	[ -z "${PID[$peer]:-}" ] || after=$(cpu_us "${PID[$peer]}")
	record_fields "$section" "$case" "$peer" "$out" rate p50_us p99_us p99/p50 spread errors
	[ -z "${before:-}" ] || record "$section" "$case" "$peer" cpu_us \
		"$(awk -v c=$((after - before)) -v n="$(field served <"$out")" \
		'BEGIN { if (n > 0) printf "%.3f", c / n }')"
}

# Behind the poolers is a server that costs nothing, so that the threads have the processors.
run_workers() {
	local round peer pool
	compile_load
	start_postgresql
	start_answer
	# Without a pooler between: no process whose CPU time would be asked for.
	PORT["bare"]=${PORT[answer]}
	# The scripted server has one answer for all: it cannot be asked what a session has.
	for pool in 64 16; do
		for peer in 1 2; do
			start_pooler "pgweir-$peer-$pool" "${PORT[answer]}" "worker_threads = $peer" \
				"default_pool_size = $pool" "session_state = off"
		done
		start_pooler pgbouncer-$pool "${PORT[answer]}" "default_pool_size = $pool"
	done
	for round in $(seq "$ROUNDS"); do
		say "workers: round $round of $ROUNDS"
		for pool in 64 16; do
			for peer in $(in_turn "$round" pgweir-1 pgweir-2 pgbouncer); do
				measure_load workers "$pool" "$peer-$pool" busy -c 64 -b 64 -T "$SECONDS_EACH"
			done
		done
		measure_load workers 64 bare busy -c 64 -b 64 -T "$SECONDS_EACH"
	done
	stop_poolers
}

# The auth file has SCRAM secrets, as a server stores them: no pooler computes them at each login.
run_logins() {
	local round peer kind options
	compile_load
	start_postgresql
	for kind in trust scram-sha-256; do
		start_pooler pgweir-1-$kind "${PORT[direct]}" "worker_threads = 1" "auth_type = $kind"
		start_pooler pgweir-2-$kind "${PORT[direct]}" "worker_threads = 2" "auth_type = $kind"
		start_pooler pgbouncer-$kind "${PORT[direct]}" "auth_type = $kind"
	done
	for round in $(seq "$ROUNDS"); do
		say "logins: round $round of $ROUNDS"
		for kind in trust scram-sha-256 tls+scram-sha-256; do
			options=()
			[[ $kind != tls+* ]] || options=(-t)
			for peer in $(in_turn "$round" pgweir-1 pgweir-2 pgbouncer); do
				measure_load logins "$kind" "$peer-${kind#tls+}" login -k 16 -T "$SECONDS_EACH" "${options[@]}"
			done
		done
		measure_load logins trust direct login -k 16 -T "$SECONDS_EACH"
	done
	stop_poolers
}

# measure_memory CASE PEER ARGUMENTS...: a fresh process each time.
measure_memory() {
	local case=$1 peer=$2 out=$STATE/run/load.out
	shift 2
	if run_load memory "$case" "$peer" "$out" idle -P "${PID[$peer]}" -k 100 "$@"; then
		record_fields memory "$case" "$peer" "$out" bytes_each after_kb errors
	fi
	stop_pooler "$peer"
}

run_memory() {
	local round rounds=$((ROUNDS < 3 ? ROUNDS : 3)) case options
	compile_load
	start_postgresql
	for round in $(seq $rounds); do
		say "memory: round $round of $rounds"
		for case in plain tls; do
			options=(-c 10000)
			[ $case = plain ] || options=(-c 4000 -t)
			start_pooler pgweir-1 "${PORT[direct]}" "worker_threads = 1"
			measure_memory $case pgweir-1 "${options[@]}"
			start_pooler pgweir-2 "${PORT[direct]}" "worker_threads = 2"
			measure_memory $case pgweir-2 "${options[@]}"
			start_pooler pgbouncer "${PORT[direct]}"
			measure_memory $case pgbouncer "${options[@]}"
		done
	done
	stop_poolers
}

server_connections() {
	on_server postgres -c "SELECT count(*) FROM pg_stat_activity WHERE usename = '$BENCH_USER'"
}

server_is_quiet() {
	[ "$(server_connections)" = 0 ]
}

# The server itself says, ten times a second, how many connections the pooler has.
start_watch() {
	echo "SELECT count(*) FROM pg_stat_activity WHERE usename = '$BENCH_USER' \\watch 0.1" |
		write_private "$STATE/run/watch.sql"
	start_process watch env PGPASSWORD="$PW_PG_PASSWORD" psql -XqAt -h 127.0.0.1 -p "$PW_PG_PORT" \
		-U "$PW_PG_SUPERUSER" -d postgres -f "$STATE/run/watch.sql"
}

# measure_crowd PEER LINE...: 10 000 clients on a pool of 40.
measure_crowd() {
	local peer=$1 busy
	shift
	wait_until 20 server_is_quiet || die "connections of the measurement before are still there"
	start_pooler "$peer" "${PORT[direct]}" "default_pool_size = 40" "$@"
	for busy in 500 5000; do
		start_watch
		measure_load crowd $busy "$peer" busy -c 10000 -b $busy -k 100 -T $((SECONDS_EACH * 4))
		stop_process watch
		record crowd $busy "$peer" server_max "$(grep -E '^[0-9]+$' "$STATE/run/watch.out" | sort -n | tail -n 1)"
	done
	stop_pooler "$peer"
}

run_crowd() {
	local round rounds=$((ROUNDS < 3 ? ROUNDS : 3))
	compile_load
	start_postgresql
	for round in $(seq $rounds); do
		say "crowd: round $round of $rounds"
		measure_crowd pgweir-1 "worker_threads = 1"
		measure_crowd pgweir-2 "worker_threads = 2"
		measure_crowd pgbouncer
	done
}

# -- COPY --

# measure_copy CASE PEER BYTES SQL: standard input and output are the data's.
measure_copy() {
	local case=$1 peer=$2 bytes=$3 sql=$4 start end before=0 after=0
	[ -z "${PID[$peer]:-}" ] || before=$(cpu_us "${PID[$peer]}")
	start=$EPOCHREALTIME
	if ! as_client timeout 120 psql -Xq -p "${PORT[$peer]}" -c "$sql" 2>"$STATE/run/copy.err"; then
		record_failure copy "$case" "$peer" "$STATE/run/copy.err"
		return
	fi
	end=$EPOCHREALTIME
	record copy "$case" "$peer" mb_s "$(awk -v a="$start" -v b="$end" -v n="$bytes" \
		'BEGIN { printf "%.1f", n / 1e6 / (b - a) }')"
	[ -z "${PID[$peer]:-}" ] && return
	after=$(cpu_us "${PID[$peer]}")
	record copy "$case" "$peer" cpu_us_mb "$(awk -v c=$((after - before)) -v n="$bytes" \
		'BEGIN { printf "%.1f", c / (n / 1e6) }')"
}

run_copy() {
	local round peer width rows bytes=200000000 sql file=$STATE/run/copy.data
	[ "$QUICK" = no ] || bytes=50000000
	start_single_threaded
	as_client psql -Xq -p "${PORT[direct]}" -c "CREATE UNLOGGED TABLE sink (t text)" || die "could not make a table"
	for width in 100 1000; do
		rows=$((bytes / width))
		sql="COPY (SELECT repeat('x', $((width - 1))) FROM generate_series(1, $rows)) TO STDOUT"
		as_client psql -Xq -p "${PORT[direct]}" -c "$sql" >"$file" || die "could not make the data for COPY"
		as_client psql -Xq -p "${PORT[direct]}" -c "COPY sink FROM STDIN" <"$file" ||
			die "COPY does not work without a pooler"
		as_client psql -Xq -p "${PORT[direct]}" -c "TRUNCATE sink"
		for round in $(seq "$ROUNDS"); do
			say "copy: rows of $width bytes, round $round of $ROUNDS"
			for peer in $(in_turn "$round" direct pgweir pgbouncer haproxy); do
				measure_copy "out, rows of $width bytes" "$peer" $bytes "$sql" </dev/null >/dev/null
			done
			for peer in $(in_turn "$round" direct pgweir pgbouncer haproxy); do
				measure_copy "in, rows of $width bytes" "$peer" $bytes "COPY sink FROM STDIN" <"$file"
				as_client psql -Xq -p "${PORT[direct]}" -c "TRUNCATE sink"
			done
		done
	done
	stop_poolers
}

# -- reading statements --

# instructions ARGUMENTS...: of the program and everything below it, user space.
instructions() {
	run_as_unprivileged valgrind --tool=callgrind --callgrind-out-file=/dev/null "$STATE/bin/lexer" "$@" 2>&1 |
		sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

# count_instructions CASE WHAT: what so many rounds more cost is what reading costs, without starting up.
count_instructions() {
	local case=$1 what=$2 file=$STATE/run/$1.sql bytes few many rounds=3
	bytes=$(run_as_unprivileged "$STATE/bin/lexer" bytes "$file")
	few=$(instructions run "$what" $rounds "$file")
	many=$(instructions run "$what" $((2 * rounds)) "$file")
	record lexer "$case" "$what" instructions \
		"$(awk -v n=$((many - few)) -v b=$((rounds * bytes)) 'BEGIN { printf "%.2f", n / b }')"
}

run_lexer() {
	local round rounds=$((ROUNDS < 3 ? ROUNDS : 3)) case what file
	compile_lexer
	for file in "$BENCH_DIR"/statements/*.sql; do
		case=$(basename "$file" .sql)
		write_private "$STATE/run/$case.sql" <"$file"
		say "lexer: $case"
		for what in lexer shape hit miss parse; do
			count_instructions "$case" $what
			for round in $(seq $rounds); do
				record lexer "$case" $what ns \
					"$(run_as_unprivileged "$STATE/bin/lexer" ns $what "$STATE/run/$case.sql")"
			done
		done
	done
}

# -- sessions --

# What is compared differs by less than this machine does from one moment to the next: many short
# turns.
run_tracking() {
	local round peer mode SECONDS_EACH=1
	start_postgresql
	for peer in track off; do
		start_pooler pgweir-$peer "${PORT[direct]}" "worker_threads = 1" "session_state = $peer"
	done
	for round in $(seq $((4 * ROUNDS))); do
		say "tracking: round $round of $((4 * ROUNDS))"
		for mode in simple extended prepared; do
			for peer in $(in_turn "$round" pgweir-track pgweir-off); do
				measure_pgbench tracking $mode "$peer" $mode "$BENCH_DB"
			done
		done
	done
	stop_poolers
}

# By the server's own count, which has that of a connection when it is gone.
server_commits() {
	on_server postgres -c "SELECT xact_commit FROM pg_stat_database WHERE datname = '$BENCH_DB'"
}

# begin_sessions PEER ... end_sessions PEER: COMMITS is what the server ran between.
begin_sessions() {
	wait_until 20 server_is_quiet || die "connections of the measurement before are still there"
	COMMITS_BEFORE=$(server_commits)
	start_pooler "$1" "${PORT[direct]}" "worker_threads = 1" "session_state = ${1#pgweir-}"
}

end_sessions() {
	stop_pooler "$1"
	wait_until 20 server_is_quiet || die "connections of this measurement are still there"
	COMMITS=$(($(server_commits) - COMMITS_BEFORE))
}

# measure_sync CASE PEER SET-UP BUSY ARGUMENTS...: 1000 clients on 20 links. What the server has run beside
# the clients' transactions and what it takes to set the sessions up is the pooler's.
measure_sync() {
	local case=$1 peer=$2 set_up=$3 busy=$4 out=$STATE/run/load.out
	shift 4
	begin_sessions "$peer"
	measure_load sync "$case" "$peer" busy -c 1000 -k 20 -b "$busy" -T $((SECONDS_EACH * 2)) "$@"
	end_sessions "$peer"
	record sync "$case" "$peer" batches "$(awk -v n=$((COMMITS - set_up)) -v served="$(field served <"$out")" \
		'BEGIN { if (served > 0) printf "%.4f", n / served - 1 }')"
}

# count_set_up STATES: COMMITS is what it takes.
count_set_up() {
	local out=$STATE/run/load.out
	begin_sessions pgweir-track
	run_load sync "setting up $1 states" pgweir-track "$out" idle -c 1000 -k 20 -s "$1" -P "${PID[pgweir-track]}"
	end_sessions pgweir-track
}

run_sync() {
	local round rounds=$((ROUNDS < 3 ? ROUNDS : 3)) busy states set_up
	local -A names=([1]="all alike" [50]="50 states")
	compile_load
	start_postgresql
	for round in $(seq $rounds); do
		say "sync: round $round of $rounds"
		for busy in 10 1000; do
			measure_sync "$busy busy, nothing set" pgweir-off 0 $busy
			measure_sync "$busy busy, nothing set" pgweir-track 0 $busy
		done
		for states in 1 50; do
			count_set_up $states
			set_up=$COMMITS
			for busy in 10 1000; do
				measure_sync "$busy busy, ${names[$states]}" pgweir-track "$set_up" $busy -s $states
			done
		done
	done
}

# -- clusters --

# start_routed NAME ROUTING LINE...: in front of the cluster, all clients' requests by that routing.
start_routed() {
	local name=$1 routing=$2
	shift 2
	start_pooler "$name" "${PORT[direct]}" "worker_threads = 1" "monitor_user = $BENCH_USER" \
		"max_lag = 10s" "$@" "[clusters]" "bench = nodes='$(node_addresses)'" \
		"[databases]" "routed = cluster=bench dbname=$BENCH_DB routing=$routing"
}

reads_on_replicas() {
	as_client psql -XqAt -p "${PORT[$1]}" -d routed -c 'SELECT count(*) FROM pgbench_branches' >/dev/null &&
		as_client psql -XqAt -p "${PORT[$1]}" -d pgweir -c 'SHOW ROUTES' | grep -q '^routed|replica|read|[1-9]'
}

# The same node answers both; what they differ by is what it takes to find out that it may.
run_routing() {
	local round peer mode SECONDS_EACH=1
	start_postgresql
	start_replicas 1
	for peer in split replica; do
		start_routed pgweir-$peer $peer
	done
	wait_until 20 reads_on_replicas pgweir-split || die "pgweir does not read on the replica"
	for round in $(seq $((4 * ROUNDS))); do
		say "routing: round $round of $((4 * ROUNDS))"
		for mode in simple extended prepared; do
			for peer in $(in_turn "$round" pgweir-split pgweir-replica); do
				measure_pgbench routing $mode "$peer" $mode routed
			done
		done
	done
	stop_poolers
}

# A pooler with nobody to serve: what it costs to know its cluster.
run_monitor() {
	local round before seconds=$((SECONDS_EACH * 2))
	start_postgresql
	start_replicas 2
	start_routed pgweir-split split "monitor_interval = 100ms"
	wait_until 20 reads_on_replicas pgweir-split || die "pgweir does not read on a replica"
	for round in $(seq $ROUNDS); do
		say "monitor: round $round of $ROUNDS"
		before=$(cpu_us "${PID[pgweir-split]}")
		sleep $seconds
		record monitor "3 nodes, 10 rounds a second" pgweir-split cpu_share \
			"$(awk -v c=$(($(cpu_us "${PID[pgweir-split]}") - before)) -v s=$seconds \
				'BEGIN { printf "%.4f", c / s / 10000 }')"
	done
	stop_poolers
}

# Reads that take as long as they take on whatever processor: how many run at a time is what counts.
measure_reads() {
	local case=$1 peer=$2 db=$3 out=$STATE/run/pgbench.out
	echo "SELECT abalance, pg_sleep(0.01) FROM pgbench_accounts WHERE aid = 1" | write_private "$STATE/reads.sql"
	if ! as_client timeout $((SECONDS_EACH + 30)) pgbench -n -f "$STATE/reads.sql" -c 48 -j 1 -T "$SECONDS_EACH" \
		-p "${PORT[$peer]}" "$db" >"$out" 2>&1; then
		record_failure reads "$case" "$peer" "$out"
		return
	fi
	record reads "$case" "$peer" tps "$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$out")"
}

run_reads() {
	local round peer
	start_postgresql
	start_replicas 2
	start_routed pgweir-split split "default_pool_size = 16"
	start_routed pgweir-primary primary "default_pool_size = 8"
	wait_until 20 reads_on_replicas pgweir-split || die "pgweir does not read on a replica"
	for round in $(seq $ROUNDS); do
		say "reads: round $round of $ROUNDS"
		for peer in $(in_turn "$round" pgweir-split pgweir-primary); do
			measure_reads "8 connections a node" "$peer" routed
		done
	done
	stop_poolers
}
