#!/bin/sh
# Makes the role VIVA logs in as, before the migrations give it what it may do.
set -eu
psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set=password="$VIVA_PASSWORD" <<'SQL'
create role viva login noinherit password :'password';
SQL
