"""The connection test: DNS, address policy, TCP, TLS, EHLO, AUTH, and never a message."""
