-- What the agent may do in the database: read the store, and report which revision it serves.
CREATE ROLE mailrelay LOGIN;
GRANT CONNECT ON DATABASE sendroute TO mailrelay;
GRANT USAGE ON SCHEMA sendroute TO mailrelay;
GRANT SELECT ON ALL TABLES IN SCHEMA sendroute TO mailrelay;
GRANT INSERT, UPDATE ON sendroute.relay TO mailrelay;
