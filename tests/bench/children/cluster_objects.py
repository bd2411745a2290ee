"""List all objects of an API as the operator does, hold and compile them, then change some, one by
one. Prints the seconds of each as JSON. The argument is the port of a server, or a kubeconfig."""

import json
import statistics
import sys
import time

from kubernetes import client

from sendroute.cluster.api import Api, connect
from sendroute.cluster.desired import DesiredState
from sendroute.cluster.reflector import Inbox, Reflector
from sendroute.model.owner import PLATFORM

_CHANGES = 50
"""Changes of one object each, of which the median counts."""

if sys.argv[1].isdecimal():
    configuration = client.Configuration()
    configuration.host = f"http://127.0.0.1:{sys.argv[1]}"
    configuration.retries = False
    api = Api(client.ApiClient(configuration))
else:
    api = Api(connect(sys.argv[1]).client)
inbox = Inbox()
state = DesiredState()
kinds = ("MailAccount", "SMTPProfile", "SendingDomain")
reflectors = [Reflector(api, kind, "", inbox, lambda: 0.5) for kind in kinds]
began = time.perf_counter()
for reflector in reflectors:
    reflector.start()
while not all(reflector.synced for reflector in reflectors):
    state.apply(inbox.take())
    time.sleep(0.01)
state.apply(inbox.take())
listed = time.perf_counter() - began
began = time.perf_counter()
state.compile(state.uncompiled)
compiled = time.perf_counter() - began
times = []
for key in [*state.accounts][:_CHANGES]:
    item = state.objects(key)[-1]
    began = time.perf_counter()
    state.apply({item.key: None})
    state.compile(state.apply({item.key: item}) | {PLATFORM})
    times.append(time.perf_counter() - began)
changed = statistics.median(times)
print(
    json.dumps(
        {
            "listed": listed,
            "compiled": compiled,
            "changed": changed,
            "domains": state.domain_count,
        }
    )
)
for reflector in reflectors:
    reflector.stop()
