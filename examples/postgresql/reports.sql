-- For psql, as a superuser; run it again after an upgrade of Sendroute, which may add tables.
-- One role that reads everything except the table of credentials. They are encrypted, but no report
-- needs them.
SELECT 'CREATE ROLE reports LOGIN' WHERE to_regrole('reports') IS NULL \gexec
GRANT CONNECT ON DATABASE sendroute TO reports;
\connect sendroute
GRANT USAGE ON SCHEMA sendroute TO reports;
GRANT SELECT ON ALL TABLES IN SCHEMA sendroute TO reports;
REVOKE SELECT ON sendroute.endpoint FROM reports;
