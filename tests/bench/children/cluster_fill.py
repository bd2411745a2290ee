"""Create objects on an API server: the platform, and domains in accounts of 1,000."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from sendroute.cluster.api import Api, connect

API = "/apis/sendroute.dev/v1alpha1"
KIND = {"mailplatforms": "MailPlatform", "mailaccounts": "MailAccount"}
api = Api(connect(sys.argv[1]).client)


def create(namespace: str, plural: str, name: str, spec: dict[str, object]) -> None:
    body = {
        "apiVersion": "sendroute.dev/v1alpha1",
        "kind": KIND.get(plural, "SendingDomain"),
        "metadata": {"name": name},
        "spec": spec,
    }
    path = f"{API}/namespaces/{namespace}/{plural}" if namespace else f"{API}/{plural}"
    api.request("POST", path, body=body)


def create_domain(number: int) -> None:
    account = f"account-{number // 1000}"
    spec = {"account": account, "domain": f"d{number}.example", "route": {"unconfigured": {}}}
    create(account, "sendingdomains", f"domain-{number}", spec)


def main(domains: int) -> None:
    plan = {"name": "pro", "managed": False}
    create("", "mailplatforms", "default", {"plans": [plan]})
    for account in sorted({f"account-{number // 1000}" for number in range(domains)}):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": account}}
        api.request("POST", "/api/v1/namespaces", body=namespace)
        create(account, "mailaccounts", account, {"plan": "pro"})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create_domain, range(domains)))
    print(json.dumps({"domains": domains}))


main(int(sys.argv[2]))
