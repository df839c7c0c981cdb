-- The logins of the servers and of Grafana, made or brought up to date after each migration, as the owner. Neither owns
-- anything: the servers can append and read, never change what is recorded; Grafana reads the query tables alone.
--
-- psql reads the passwords from files, so that none is in a command line.
\set server_password `cat /run/secrets/postgres-server`
\set grafana_password `cat /run/secrets/postgres-grafana`

SELECT 'CREATE ROLE xagent LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'xagent') \gexec
SELECT 'CREATE ROLE grafana LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grafana') \gexec

ALTER ROLE xagent PASSWORD :'server_password';
GRANT xagent_app, xagent_projector, xagent_reader TO xagent;

ALTER ROLE grafana PASSWORD :'grafana_password' CONNECTION LIMIT 20;
-- A dashboard that asks too much is cut off, and cannot hold up a migration.
ALTER ROLE grafana SET statement_timeout = '20s';
ALTER ROLE grafana SET lock_timeout = '2s';
ALTER ROLE grafana SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE grafana SET default_transaction_read_only = on;
GRANT xagent_analyst TO grafana;
-- The tenants it shows. `INSERT INTO analysts (login, tenant) VALUES ('grafana', 'another')` shows one more.
INSERT INTO analysts (login, tenant) VALUES ('grafana', 'default') ON CONFLICT DO NOTHING;
