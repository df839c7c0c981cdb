#!/usr/bin/env bash
# Makes the secrets that compose.yaml mounts, each once: what is there already stays.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
umask 077
mkdir -p secrets
# The containers run as other users than you: each file is mounted by itself and must be readable in there. On this
# machine the folder keeps everybody else out.
chmod 0700 secrets

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { # name, text
  [ -e "secrets/$1" ] || printf '%s\n' "$2" >"secrets/$1"
  chmod 0644 "secrets/$1"
}

for name in postgres-owner postgres-server postgres-grafana redis nats grafana-admin jwt-secret checkpoint-key; do
  keep "$name" "$(random)"
done
keep database-url "postgres://xagent:$(cat secrets/postgres-server)@postgres:5432/xagent"
keep owner-url "postgres://owner:$(cat secrets/postgres-owner)@postgres:5432/xagent"
keep redis-url "redis://:$(cat secrets/redis)@redis:6379"
keep nats-url "nats://$(cat secrets/nats)@nats:4222"
keep redis.conf "requirepass $(cat secrets/redis)"
keep nats.conf "authorization { token: \"$(cat secrets/nats)\" }"
printf 'secrets are in %s/secrets; keep a copy of checkpoint-key where only you can read it\n' "$PWD"
