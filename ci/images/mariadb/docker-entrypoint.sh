#!/usr/bin/env bash
# Fills an empty data folder with the accounts and the database that the variables name, then
# becomes the server. Names as in the official images.
set -euo pipefail
value() { # value NAME: MARIADB_NAME, or MYSQL_NAME
    local mariadb="MARIADB_$1" mysql="MYSQL_$1"
    printf '%s' "${!mariadb:-${!mysql:-}}"
}
quoted() { printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/''/g"; }
data=/var/lib/mysql
if [ "${1:-mariadbd}" = mariadbd ] || [ "${1#-}" != "${1:-}" ]; then
    [ "${1:-}" = mariadbd ] && shift
    user="$(id -un 2>/dev/null || id -u)"
    if [ "$user" = root ]; then
        user=mysql
        chown mysql:mysql "$data"
    fi
    init=()
    if [ ! -d "$data/mysql" ]; then
        root="$(value ROOT_PASSWORD)"
        if [ -z "$root" ] && [ -z "$(value ALLOW_EMPTY_PASSWORD)$(value ALLOW_EMPTY_ROOT_PASSWORD)" ]; then
            echo "set MYSQL_ROOT_PASSWORD (or MARIADB_ROOT_PASSWORD)" >&2
            exit 1
        fi
        mariadb-install-db --no-defaults --user="$user" --datadir="$data" --skip-test-db \
            --auth-root-authentication-method=normal --innodb-log-file-size=64M >/dev/null
        sql="$(mktemp)"
        {
            # Accounts without a password would shadow root@'%'.
            echo "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host != 'localhost');"
            echo "FLUSH PRIVILEGES;"
            echo "CREATE USER 'root'@'%' IDENTIFIED BY '$(quoted "$root")';"
            echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
            echo "ALTER USER 'root'@'localhost' IDENTIFIED BY '$(quoted "$root")';"
            name="$(value DATABASE)" account="$(value USER)"
            if [ -n "$name" ]; then echo "CREATE DATABASE IF NOT EXISTS \`$name\`;"; fi
            if [ -n "$account" ]; then
                echo "CREATE USER '$(quoted "$account")'@'%' IDENTIFIED BY '$(quoted "$(value PASSWORD)")';"
                if [ -n "$name" ]; then echo "GRANT ALL ON \`$name\`.* TO '$(quoted "$account")'@'%';"; fi
            fi
        } >"$sql"
        chmod 644 "$sql"
        init=("--init-file=$sql")
    fi
    exec mariadbd --no-defaults --user="$user" --datadir="$data" --bind-address=0.0.0.0 \
        --port=3306 --socket=/run/mysqld/mysqld.sock --innodb-log-file-size=64M "${init[@]}" "$@"
fi
exec "$@"
