#!/bin/sh
# A PostgreSQL server of its own, in a temporary directory: sh server.sh start | stop | remove
# It listens on 127.0.0.1:10543; the password of its superuser postgres is admin-password.
# Needs the server's programs, 13 or newer: `apt-get install postgresql`, `brew install postgresql`.
set -eu
cd "$(dirname "$0")"
port=10543

# Debian keeps them off the PATH, in one directory per version.
for bin in /usr/lib/postgresql/*/bin; do
  PATH="$PATH:$bin"
done
if ! command -v initdb >/dev/null; then
  echo "server.sh: there is no initdb. Install PostgreSQL's server programs." >&2
  exit 1
fi

# PostgreSQL refuses to run as root.
if [ "$(id -u)" = 0 ]; then
  user=$(id -un postgres 2>/dev/null || echo nobody)
  as_user() { su -s /bin/sh -c 'PATH=$0; cd /tmp; exec "$@"' -- "$user" "$PATH" "$@"; }
else
  user=$(id -un)
  as_user() { "$@"; }
fi

create() {
  directory=$(mktemp -d /tmp/sendroute-postgresql.XXXXXX)
  echo "$directory" >server.directory
  echo admin-password >"$directory/password"
  chown -R "$user" "$directory"
  as_user initdb --pgdata "$directory/data" --username postgres --pwfile "$directory/password" \
    --auth scram-sha-256 --encoding UTF8 --no-locale >"$directory/initdb.log"
}

start() {
  [ -e server.directory ] || create
  directory=$(cat server.directory)
  if as_user pg_ctl --pgdata "$directory/data" status >/dev/null; then
    return
  fi
  as_user pg_ctl --pgdata "$directory/data" --log "$directory/server.log" --silent --wait --options \
    "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=$directory" start || {
    tail -n 3 "$directory/server.log" >&2
    exit 1
  }
}

stop() {
  [ -e server.directory ] || { echo "server.sh: no server was started here." >&2; exit 1; }
  as_user pg_ctl --pgdata "$(cat server.directory)/data" --mode fast --silent --wait stop
}

remove() {
  (stop) 2>/dev/null || true
  [ ! -e server.directory ] || rm -rf "$(cat server.directory)" server.directory
}

case "${1:-}" in
  start | stop | remove) "$1" ;;
  *) echo "usage: sh server.sh start | stop | remove" >&2; exit 64 ;;
esac
