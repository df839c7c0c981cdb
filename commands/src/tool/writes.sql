-- What the role of this session could change, or reach beyond its database; no row where it can only read.
SELECT what FROM (
    SELECT 'it is a superuser, or may create roles or replicate' AS what
    FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication)
    UNION ALL
    SELECT 'it is a member of ' || rolname FROM pg_roles
    WHERE rolname IN ('pg_write_all_data', 'pg_write_server_files', 'pg_read_server_files', 'pg_execute_server_program',
                      'pg_signal_backend', 'pg_maintain')
      AND pg_has_role(current_user, oid, 'MEMBER')
    UNION ALL
    SELECT 'it may write ' || class.oid::regclass FROM pg_class AS class
    JOIN pg_namespace AS schema ON schema.oid = class.relnamespace
    WHERE class.relkind IN ('r', 'p', 'v', 'm', 'f') AND schema.nspname NOT IN ('pg_catalog', 'information_schema')
      AND schema.nspname !~ '^pg_toast'
      AND (has_table_privilege(class.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
           OR has_any_column_privilege(class.oid, 'INSERT, UPDATE'))
    UNION ALL
    SELECT 'it may create in the schema ' || nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND has_schema_privilege(oid, 'CREATE')
    UNION ALL
    SELECT 'it may create schemas' WHERE has_database_privilege(current_database(), 'CREATE')
) AS found LIMIT 1
