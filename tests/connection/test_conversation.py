"""What a test does and proves where the server behaves, and each way in which it does not."""


def test_signs_in_in_tls_from_the_first_byte(check, serve, authority) -> None:
    server = serve(context=authority.context(), implicit=True)
    result = check(server.port, "tls")
    assert result.outcome == "ok"
    assert result.detail.startswith("Signed in by PLAIN over TLS 1.3")
    assert [l.split()[0] for l in server.lines] == [b"EHLO", b"AUTH", b"QUIT"]
