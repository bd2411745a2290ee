"""octoDNS, the most similar well-known program: it plans DNS records from YAML files.

It is installed into a separate virtual environment, only for the benchmarks.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENT = "octodns==1.22.0"

_CONFIG = """\
providers:
  wanted:
    class: octodns.provider.yaml.YamlProvider
    directory: ./wanted
    supports_root_ns: false
  held:
    class: octodns.provider.yaml.YamlProvider
    directory: ./held
    supports_root_ns: false
zones:
  '*': {sources: [wanted], targets: [held]}
"""


class NoPeerError(Exception):
    """The peer is unavailable on this machine; the message says why."""


def octodns_sync() -> Path:
    """The path of ``octodns-sync``, which is installed into the cache directory if necessary."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = (
        cache / "sendroute-bench" / f"{REQUIREMENT}-py{sys.version_info[0]}.{sys.version_info[1]}"
    )
    program = home / "bin" / "octodns-sync"
    ready = home / "ready"  # written last, so an interrupted install does not count
    if not ready.exists():
        try:
            venv.create(home, clear=True, with_pip=True)
            pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", REQUIREMENT]
            subprocess.run(pip, check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            raise NoPeerError(f"{REQUIREMENT} cannot be installed: {error}") from error
        ready.touch()
    return program


def write_zones(root: Path, *, records: int, zones: int) -> list[str]:
    """Write an octoDNS directory without pending changes, and return the arguments.

    A record is about as much YAML as a manifest; the names are in the order that octoDNS requires.
    """
    share = records // zones
    for side in ("wanted", "held"):
        (root / side).mkdir(parents=True)
        for zone in range(zones):
            text = "---\n" + "".join(
                f"shop-{number:07d}:\n  ttl: 300\n  type: CNAME\n  value: mail.example.com.\n"
                for number in range(zone * share, (zone + 1) * share)
            )
            (root / side / f"team-{zone:05d}.example.yaml").write_text(text)
    config = root / "config.yaml"
    config.write_text(_CONFIG)
    return ["--config-file", "config.yaml", "--quiet"]
