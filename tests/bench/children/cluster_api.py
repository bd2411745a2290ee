"""A server that lists sending domains as the Kubernetes API does, page by page, each object as
large as a real one: with managed fields and a status. It prints its port."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

DOMAINS, ACCOUNTS = int(sys.argv[1]), int(sys.argv[2])
VERSION = "sendroute.dev/v1alpha1"
STATUS = {
    "observedGeneration": 1,
    "conditions": [
        {
            "type": kind,
            "status": "True",
            "reason": "Applied",
            "message": "The domain takes its declared route, and the store holds it.",
            "lastTransitionTime": "2026-11-28T10:00:00Z",
            "observedGeneration": 1,
        }
        for kind in ("Accepted", "ResolvedRefs", "Applied", "Ready")
    ],
    "route": {"managed": {}},
    "routeText": "managed",
    "origin": "declared",
    "since": "2026-11-28T10:00:00Z",
}
FIELDS = [
    {"manager": "kubectl", "operation": "Apply", "fieldsV1": {f"f:{n}": {} for n in range(40)}}
]


def metadata(name: str, namespace: str) -> dict[str, object]:
    return {
        "name": name,
        "namespace": namespace,
        "uid": f"0b5c7f5e-8a0e-4a51-9d3e-{abs(hash(name)) % 10**12:012d}",
        "generation": 1,
        "resourceVersion": "1000",
        "creationTimestamp": "2026-11-28T10:00:00Z",
        "managedFields": FIELDS,
    }


def domain(number: int) -> dict[str, object]:
    account = f"account-{number % ACCOUNTS}"
    return {
        "apiVersion": VERSION,
        "kind": "SendingDomain",
        "metadata": metadata(f"domain-{number}", account),
        "spec": {"account": account, "domain": f"d{number}.example", "route": {"managed": {}}},
        "status": STATUS,
    }


def account(number: int) -> dict[str, object]:
    name = f"account-{number}"
    return {
        "apiVersion": VERSION,
        "kind": "MailAccount",
        "metadata": metadata(name, name),
        "spec": {"plan": "pro"},
    }


MAKERS = {"sendingdomains": (domain, DOMAINS), "mailaccounts": (account, ACCOUNTS)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        make, count = MAKERS.get(url.path.rpartition("/")[2], (account, 0))
        start = int(query.get("continue", ["0"])[0])
        end = min(count, start + int(query.get("limit", ["500"])[0]))
        following = str(end) if end < count else ""
        page = {
            "metadata": {"resourceVersion": "2000", "continue": following},
            "items": [make(number) for number in range(start, end)],
        }
        body = json.dumps(page).encode()
        self.send_response(200 if "watch" not in query else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
