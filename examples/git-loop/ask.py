"""Prints what a URL answers, as `curl --silent URL` does: python3 ask.py URL"""

import sys
from urllib.error import HTTPError
from urllib.request import urlopen

try:
    with urlopen(sys.argv[1], timeout=10) as answer:  # noqa: S310 - whatever URL is typed
        print(answer.read().decode(), end="")
except HTTPError as refused:
    print(f"{refused.code}: {refused.read().decode()}", end="")
