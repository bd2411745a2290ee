-- For psql, as a superuser. One role, which owns Sendroute's schema and nothing else.
CREATE ROLE sendroute LOGIN;
CREATE DATABASE sendroute ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE sendroute FROM PUBLIC;
GRANT CONNECT ON DATABASE sendroute TO sendroute;
\connect sendroute
CREATE SCHEMA sendroute AUTHORIZATION sendroute;
