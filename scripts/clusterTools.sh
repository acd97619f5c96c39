#!/bin/sh
# Installs what `npm run test:clusters` needs beyond npm, on Debian and Ubuntu, as root: PostgreSQL's own programs
# (pg_dump, pg_basebackup, pg_rewind), pgbouncer, and Prometheus for promtool. Nothing is started, and no cluster is made.
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
apt-get install -q -y --no-install-recommends postgresql postgresql-client pgbouncer prometheus
ls -d /usr/lib/postgresql/*/bin
pgbouncer --version
promtool --version
