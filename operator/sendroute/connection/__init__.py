"""The connection test: DNS, address policy, TCP, TLS, EHLO and AUTH. It never sends a message."""
