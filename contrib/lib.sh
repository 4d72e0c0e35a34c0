# SPDX-License-Identifier: PostgreSQL
# shellcheck shell=bash disable=SC2034
#
# What the scripts in contrib/ share. Sourced, never run. Root (or sudo) is needed only to install
# packages and to create the unprivileged user; PostgreSQL and the pooler always run as that user.

PW_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PW_USER=${PW_USER:-pgweir}
PG_BIN=/usr/lib/postgresql/15/bin
PYTHON=/usr/bin/python3
# Variables that survive sudo, and those that the unprivileged user gets: arrays of NAME=value.
PW_KEEP_ENV=()
PW_PASS_ENV=()

PW_BUILD_PACKAGES=(gcc libc6-dev make autoconf automake pkg-config libevent-dev libssl-dev libpq-dev libinih-dev
	libidn-dev libsystemd-dev libpg-query-dev libprotobuf-c-dev)
PW_RUN_PACKAGES=(postgresql-15 postgresql-contrib)
PW_TEST_PACKAGES=(libcmocka-dev python3 python3-pytest python3-pytest-xdist python3-pytest-timeout
	python3-psycopg python3-asyncpg postgresql-15-pgtap libtap-parser-sourcehandler-pgtap-perl openssl
	python3-psycopg2 python3-sqlalchemy ruby-pg php8.2-cli php8.2-pgsql
	libpostgresql-jdbc-java openjdk-17-jre-headless ecj)
# For Debian's nodejs; with one of another origin, which brings npm along, npm installs the same version.
PW_NODE_PACKAGES=(nodejs node-pg)
PW_NODE_MODULE=pg@8.8.0
PW_NODE_PATH=/usr/share/nodejs:/usr/lib/node_modules:/usr/local/lib/node_modules
PW_LINT_PACKAGES=(clang-format-14)
PW_FULL_PACKAGES=(clang libclang-rt-14-dev)

say() {
	printf '==> %s\n' "$*" >&2
}

# The pooler that PW_BINARY names, else one that is built already. False: there is none.
choose_built() {
	local b
	if [ -n "${PW_BINARY:-}" ]; then
		[ -f "$PW_BINARY" ] && [ -x "$PW_BINARY" ] ||
			die "PW_BINARY names $PW_BINARY, which cannot be run: correct it or unset it"
		readlink -f "$PW_BINARY"
		return
	fi
	for b in "$PW_ROOT/pgweir" "$PW_ROOT/build/plain/pgweir"; do
		[ -x "$b" ] && readlink -f "$b" && return
	done
	return 1
}

# One sentence that says what is wrong and what to do about it.
complain() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
	complain "$@"
	exit 1
}

# Starts the calling script again through sudo when it does not run as root.
need_root() {
	[ "$(id -u)" -ne 0 ] || return 0
	command -v sudo >/dev/null || die "needs root: log in as root, or install sudo, and run it again"
	exec sudo -- env "${PW_KEEP_ENV[@]}" "$(readlink -f "$0")" "$@"
}

need_debian_12() {
	local id version
	id=$(. /etc/os-release 2>/dev/null && echo "$ID")
	version=$(. /etc/os-release 2>/dev/null && echo "$VERSION_ID")
	[ "$id" = debian ] && [ "$version" = 12 ] ||
		die "is written for Debian 12, this is ${id:-unknown} ${version:-}: use a Debian 12 machine or container"
}

missing_packages() {
	local p
	for p in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
	done
}

# Debian starts a cluster and services of its own as soon as the packages are there; nobody asked for them.
forbid_services() {
	install -d /etc/postgresql-common
	local conf=/etc/postgresql-common/createcluster.conf
	if ! grep -qsE '^[[:space:]]*create_main_cluster' $conf; then
		echo 'create_main_cluster = false' >>$conf
	fi
	[ -e /usr/sbin/policy-rc.d ] && return 1
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
}

run_apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Options::=--force-confold \
		-o DPkg::Lock::Timeout=300 "$@"
}

install_packages() (
	mapfile -t missing < <(missing_packages "$@")
	[ "${#missing[@]}" -gt 0 ] || exit 0
	[ "$(id -u)" -eq 0 ] ||
		die "these packages are missing and only root can install them: ${missing[*]}"
	say "installing ${missing[*]}"
	if forbid_services; then
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	log=$(mktemp)
	if ! run_apt update >"$log" 2>&1 ||
		! run_apt install --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
		tail -n 15 "$log" >&2
		die "apt-get could not install ${missing[*]}: see $log, check the network and /etc/apt/sources.list, then run this again"
	fi
	rm -f "$log"
)

has_node_pg() {
	NODE_PATH=$PW_NODE_PATH /usr/bin/node -e 'require("pg")' 2>/dev/null
}

install_node_pg() {
	has_node_pg && return
	if [ ! -x /usr/bin/npm ]; then
		install_packages "${PW_NODE_PACKAGES[@]}"
		return
	fi
	[ "$(id -u)" -eq 0 ] || die "node-postgres is missing and only root can install it: npm install --global $PW_NODE_MODULE"
	say "installing $PW_NODE_MODULE with npm"
	npm install --global --silent "$PW_NODE_MODULE" >&2 && has_node_pg ||
		die "npm could not install $PW_NODE_MODULE: check the network, then run this again"
}

ensure_user() {
	[ "$(id -u)" -eq 0 ] || return 0
	id "$PW_USER" >/dev/null 2>&1 && return 0
	say "creating the system user $PW_USER"
	useradd --system --user-group --no-create-home --home-dir /nonexistent \
		--shell /usr/sbin/nologin "$PW_USER" ||
		die "could not create the user $PW_USER: create it by hand, or set PW_USER to one that exists"
}

# Runs a command as the unprivileged user, from a directory that it can read. Not root: runs it as it is.
run_as_unprivileged() (
	cd / || exit 1
	if [ "$(id -u)" -ne 0 ]; then
		exec "$@"
	fi
	exec setpriv --reuid "$PW_USER" --regid "$PW_USER" --init-groups --reset-env \
		env LC_ALL=C.UTF-8 PATH="$PG_BIN:/usr/sbin:/usr/bin:/sbin:/bin" "${PW_PASS_ENV[@]}" "$@"
)

# Builds as the owner of the tree, so that sudo leaves no files of root behind.
run_as_owner() (
	owner=$(stat -c %U "$PW_ROOT")
	if [ "$(id -u)" -ne 0 ] || [ "$owner" = root ] || ! id "$owner" >/dev/null 2>&1; then
		exec "$@"
	fi
	exec runuser -u "$owner" -- "$@"
)

# Creates a directory that belongs to the unprivileged user.
private_dir() {
	if [ "$(id -u)" -eq 0 ]; then
		install -d -m "${2:-700}" -o "$PW_USER" -g "$PW_USER" "$1"
	else
		install -d -m "${2:-700}" "$1"
	fi
}

# write_private FILE [MODE] <text : replaces FILE at once, owned by the unprivileged user.
write_private() {
	# shellcheck disable=SC2016
	run_as_unprivileged sh -c 'umask 077; cat >"$1.new" && chmod "$2" "$1.new" && mv -f "$1.new" "$1"' \
		sh "$1" "${2:-600}"
}

# free_ports N: N different TCP ports that nobody has on loopback right now, one a line. None of those
# that connections get by themselves: a server that is started again finds its own still free.
free_ports() {
	perl -MIO::Socket::INET -e '
		for (my $tries = 0; @held < $ARGV[0]; $tries++) {
			die "no free port on 127.0.0.1: $!\n" if $tries == 1000;
			my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1,
				LocalPort => 10240 + int rand 22528) or next;
			push @held, $s;
			print $s->sockport, "\n";
		}' "$1"
}

port_is_free() {
	perl -MIO::Socket::INET -e '
		exit !IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 1,
			ReuseAddr => 1)' "$1"
}

# Kilobytes that may still be written there.
room_in() {
	df --output=avail -k "$1" 2>/dev/null | tail -n1
}

# memory_dir MEGABYTES: a directory in memory, true when there is at least that much room in it, twice
# that much memory, and programs in it may be run. For what is made and removed hundreds of times.
memory_dir() {
	local dir=/dev/shm probe status
	[ "$(room_in $dir)" -ge $(($1 * 1024)) ] 2>/dev/null || return 1
	[ "$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)" -ge $(($1 * 2048)) ] || return 1
	probe=$(mktemp $dir/pgweir-probe.XXXXXX) || return 1
	printf '#!/bin/sh\nexit 0\n' >"$probe"
	chmod 700 "$probe"
	"$probe" 2>/dev/null
	status=$?
	rm -f "$probe"
	[ $status -eq 0 ] && echo $dir
}

random_password() {
	od -An -N16 -tx1 /dev/urandom | tr -d ' \n'
}

# wait_until SECONDS COMMAND...: false when the command has not succeeded in that time.
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# A tree that is configured in place cannot be built elsewhere as well: such a build goes through a copy.
source_dir() {
	if [ ! -e "$PW_ROOT/config.status" ]; then
		echo "$PW_ROOT"
		return
	fi
	local copy=$PW_ROOT/build/source
	run_as_owner mkdir -p "$copy"
	run_as_owner rm -rf "$copy/src" "$copy/include" "$copy/test"
	run_as_owner tar -C "$PW_ROOT" --exclude=./build --exclude=./.git --exclude=./autom4te.cache \
		--exclude=./config.h --exclude=./config.log --exclude=./config.status --exclude=./Makefile \
		--exclude='*.o' --exclude='*.a' --exclude='*.trs' --exclude='*.log' --exclude=.deps \
		--exclude=.dirstamp --exclude=./stamp-h1 --exclude=./pgweir -cf - . |
		run_as_owner tar -C "$copy" -xpf -
	# make would take a program built in place for one that is up to date here.
	run_as_owner find "$copy/test" -type f -perm -u+x ! -name '*.*' -delete
	echo "$copy"
}

# build_kind KIND CONFIGURE-ARGUMENTS...: builds in build/KIND, prints that directory.
build_kind() {
	local kind=$1 dir=$PW_ROOT/build/$1 log=$PW_ROOT/build/$1.log src want
	shift
	want="$*"
	# configure says "unsafe srcdir value".
	[[ $PW_ROOT != *[[:space:]]* ]] ||
		die "the build tools cannot work in '$PW_ROOT': move the tree to a path without blanks"
	run_as_owner mkdir -p "$dir"
	src=$(source_dir)
	say "building $kind in ${dir#"$PW_ROOT"/}"
	# The log too is the owner's: it is there before root writes to it.
	run_as_owner touch "$log"
	# shellcheck disable=SC2016
	run_as_owner bash -c '
		set -e
		src=$1 dir=$2
		shift 2
		[ -x "$src/configure" ] || "$src/autogen.sh"
		cd "$dir"
		if [ ! -e config.status ] || [ "$(cat .configured 2>/dev/null)" != "$src $*" ]; then
			rm -f .configured
			"$src/configure" "$@"
			# make does not see that the flags are others.
			make clean
			echo "$src $*" >.configured
		fi
		make -j"${PW_JOBS:-2}"' bash "$src" "$dir" "$@" >"$log" 2>&1 || {
		grep -nE 'error|Error|undefined reference' "$log" | head -n 20 >&2
		tail -n 5 "$log" >&2
		die "the build of $kind failed (configured with '$want'): read $log"
	}
	echo "$dir"
}
