"""Kubernetes' programs: which versions there are, where they are found, and how they are built.

Each directory below ``modules/`` is a Go module that fixes one version of everything it compiles.
``python -m tests.control_plane.programs`` builds what is not in the user's cache yet.
"""

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

DEFAULT = "1.36"
"""The minor version of Kubernetes that every run of the tests takes."""

_MODULES = Path(__file__).with_name("modules")
_KUBERNETES = "k8s.io/kubernetes"
_STAMPED = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True)
class Toolset:
    """Programs that one Go module builds.

    ``programs``: the package of each. ``source``: the module whose version is the toolset's.
    """

    name: str
    directory: Path
    source: str
    programs: dict[str, str]

    @cached_property
    def version(self) -> str:
        text = (self.directory / "go.mod").read_text()
        requirement = re.search(
            rf"^\s*(?:require )?{re.escape(self.source)} (v\S+)", text, re.MULTILINE
        )
        assert requirement is not None, f"{self.directory}/go.mod does not require {self.source}"
        return requirement[1]

    @property
    def home(self) -> Path:
        """Where the built programs are: a directory for each version, its dependencies and its own
        sources."""
        sources = sorted(self.directory.glob("*.go"))
        files = (self.directory / "go.mod", self.directory / "go.sum", *sources)
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]
        return _cache() / self.name / f"{self.version}-{digest}"

    def missing(self, home: Path) -> list[str]:
        return [name for name in self.programs if not os.access(home / name, os.X_OK)]

    def flags(self) -> str:
        """The options of the linker: no debugging data, and the version that a server answers."""
        if self.source != _KUBERNETES:
            return "-s -w"
        major, minor, _ = self.version.removeprefix("v").split(".")
        values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
        stamps = (f"-X {at}.{name}={value}" for at in _STAMPED for name, value in values.items())
        return " ".join(("-s -w", *stamps))


def versions() -> list[str]:
    """The minor versions of Kubernetes that can be built, oldest first."""
    minors = (path.name for path in _MODULES.glob("1.*"))
    return sorted(minors, key=lambda minor: int(minor.removeprefix("1.")))


def kubernetes(minor: str) -> Toolset:
    """The servers and kubectl of a minor version."""
    names = ("kube-apiserver", "kube-controller-manager", "kubectl")
    packages = {name: f"{_KUBERNETES}/cmd/{name}" for name in names}
    packages["etcd"] = "go.etcd.io/etcd/server/v3"
    return Toolset("control-plane", _MODULES / minor, _KUBERNETES, packages)


HELM = Toolset("helm", _MODULES / "helm", "helm.sh/helm/v4", {"helm": "helm.sh/helm/v4/cmd/helm"})
KSTATUS = Toolset("kstatus", _MODULES / "kstatus", "sigs.k8s.io/cli-utils", {"kstatus": "."})
ACTIONLINT = Toolset(
    "actionlint",
    _MODULES / "actionlint",
    "github.com/rhysd/actionlint",
    {"actionlint": "github.com/rhysd/actionlint/cmd/actionlint"},
)
TOOLS = (HELM, KSTATUS, ACTIONLINT)
"""What tests run beside the servers and kubectl."""


def chosen() -> str:
    """The minor version of this run: ``make test KUBERNETES=1.35`` chooses another one."""
    return os.environ.get("REAL_KUBERNETES_VERSION") or DEFAULT


def home(minor: str | None = None) -> Path:
    """The directory of the servers and kubectl: KUBEBUILDER_ASSETS if it is set."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    return Path(given) if given else kubernetes(minor or chosen()).home


def why_not(minor: str | None = None) -> str | None:
    """Why no control plane can be started here; None if one can."""
    missing = kubernetes(minor or chosen()).missing(home(minor))
    if not missing:
        return None
    return f"no {', no '.join(missing)} in {home(minor)}; `make control-plane` builds them"


def build(toolset: Toolset) -> None:
    """Build a toolset into the cache, unless it is there.

    It appears there whole or not at all, and two builds at once are one.

    Raises:
        RuntimeError: Go is missing, or it cannot build.
    """
    if not toolset.missing(toolset.home):
        return
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/go/bin"))
    go = shutil.which(os.environ.get("GO") or "go", path=path)
    if go is None:
        raise RuntimeError("Go is missing")
    toolset.home.parent.mkdir(parents=True, exist_ok=True)
    with _locked(toolset.home.with_name(f"{toolset.home.name}.lock")):
        if not toolset.missing(toolset.home):
            return
        print(f"Building {toolset.name} {toolset.version} into {toolset.home} …", file=sys.stderr)
        for unfinished in toolset.home.parent.glob(f".{toolset.home.name}-*"):
            shutil.rmtree(unfinished)
        built = Path(tempfile.mkdtemp(prefix=f".{toolset.home.name}-", dir=toolset.home.parent))
        try:
            for name, package in toolset.programs.items():
                _compile(go, toolset, package, built / name)
            built.chmod(0o755)
            shutil.rmtree(toolset.home, ignore_errors=True)
            built.rename(toolset.home)
        finally:
            shutil.rmtree(built, ignore_errors=True)


def _compile(go: str, toolset: Toolset, package: str, program: Path) -> None:
    command = (go, "build", "-trimpath", "-ldflags", toolset.flags(), "-o", program, package)
    # Another toolchain is downloaded if this one is too old.
    variables = {"CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "auto"}
    done = subprocess.run(command, cwd=toolset.directory, env={**os.environ, **variables})
    if done.returncode:
        raise RuntimeError(f"Go cannot build {package}")


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sendroute"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description="Build Kubernetes' programs for the tests.")
    parser.add_argument("versions", nargs="*", default=[chosen()], metavar="MINOR")
    parser.add_argument("--list", action="store_true", help="list the minor versions")
    options = parser.parse_args()
    if options.list:
        print("\n".join(versions()))
        return 0
    for minor in options.versions:
        if minor not in versions():
            parser.error(f"Kubernetes {minor} is not one of {', '.join(versions())}")
    control_planes = [] if os.environ.get("KUBEBUILDER_ASSETS") else options.versions
    try:
        for toolset in (*map(kubernetes, control_planes), *TOOLS):
            build(toolset)
    except (RuntimeError, OSError) as error:
        print(f"NO CONTROL PLANE is here: {error}. No test runs on Kubernetes.", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
