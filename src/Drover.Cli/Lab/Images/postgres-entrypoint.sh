#!/bin/bash
# First start: makes the database cluster. Every start: becomes the server. Settings as in the image of the same name elsewhere:
# POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB POSTGRES_HOST_AUTH_METHOD POSTGRES_INITDB_ARGS PGDATA.
set -eu
export PGDATA="${PGDATA:-/var/lib/postgresql/data}"

if [ "${1:-postgres}" != postgres ] && [ "${1#-}" = "${1:-}" ]; then exec "$@"; fi
[ "${1:-}" != postgres ] || shift

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  # Only what is not the server's already: a volume of many files must not be walked and written at each start.
  find "$PGDATA" \! -user postgres -exec chown postgres:postgres '{}' +
  chmod 700 "$PGDATA"
  mkdir -p /var/run/postgresql && chown postgres:postgres /var/run/postgresql
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" postgres "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  user="${POSTGRES_USER:-postgres}"
  database="${POSTGRES_DB:-$user}"
  method="${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}"
  if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
    echo "postgres: the database is not initialised and no superuser password is given: set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust" >&2
    exit 1
  fi
  password=$(mktemp); printf '%s\n' "${POSTGRES_PASSWORD:-}" > "$password"
  # shellcheck disable=SC2086 # several arguments
  initdb --username="$user" ${POSTGRES_PASSWORD:+--pwfile="$password"} --auth-local=trust --auth-host="$method" --encoding=UTF8 --locale=C.UTF-8 ${POSTGRES_INITDB_ARGS:-}
  rm -f "$password"
  printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
  if [ "$database" != postgres ]; then
    printf 'CREATE DATABASE :"name";\n' > /tmp/create.sql
    pg_ctl -w -o "-c listen_addresses='' -c unix_socket_directories=/tmp" start
    psql -v ON_ERROR_STOP=1 --no-password -h /tmp -U "$user" -d postgres -v name="$database" -f /tmp/create.sql
    pg_ctl -w -m fast stop
    rm -f /tmp/create.sql
  fi
fi

exec postgres -c listen_addresses='*' "$@"
