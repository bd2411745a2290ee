"""Prints the response of a URL, like `curl --silent URL`: python3 ask.py URL"""

import sys
from urllib.error import HTTPError
from urllib.request import urlopen

try:
    with urlopen(sys.argv[1], timeout=10) as answer:  # noqa: S310 - the user gives the URL
        print(answer.read().decode(), end="")
except HTTPError as refused:
    print(f"{refused.code}: {refused.read().decode()}", end="")
