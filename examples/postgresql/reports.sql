-- For psql, as a superuser; again after an upgrade of Sendroute, which may bring new tables.
-- One role that reads all but the table of the credentials. They are encrypted there, but no
-- report needs them.
SELECT 'CREATE ROLE reports LOGIN' WHERE to_regrole('reports') IS NULL \gexec
GRANT CONNECT ON DATABASE sendroute TO reports;
\connect sendroute
GRANT USAGE ON SCHEMA sendroute TO reports;
GRANT SELECT ON ALL TABLES IN SCHEMA sendroute TO reports;
REVOKE SELECT ON sendroute.endpoint FROM reports;
