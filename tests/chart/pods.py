"""Runs a pod of the chart without a kubelet: each container in mounts of its own, over a root file
system that is read-only, with the user and the capabilities that its security context says.

The image is this machine with what the Dockerfile adds for relays. That is enough to see whether
Postfix starts, is reloaded and takes mail with what the pod is allowed.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.postfix.programs import UNPACKED, root, why_not

ROOT = Path(__file__).parents[2]
PATH = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
Container = dict[str, Any]


def why_no_pod() -> str | None:
    """Why no pod of a relay can be run here; None if one can."""
    reason = why_not()
    if reason is not None:
        return reason
    if root() == Path("/"):
        return "an installed Postfix has other user ids than the image"
    script = 'mount -t overlay overlay -o lowerdir=/usr:/etc "$(mktemp -d)"'
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True)
    return None if done.returncode == 0 else "this machine allows no overlay mounts"


def image_steps() -> str:
    """What the Dockerfile runs for the image of relays, without the packages, which are here."""
    text = (ROOT / "Dockerfile").read_text()
    stage = text.partition(" AS relay\n")[2].partition("\nCOPY")[0]
    script = re.sub(r"^\s*#.*\n", "", stage, flags=re.MULTILINE).replace("\\\n", "")
    steps = [step.strip() for step in script.removeprefix("RUN ").split("&&")]
    packages = ("apt-get", "DEBIAN_FRONTEND", "rm -rf /var/lib/apt")
    return "\n".join(step for step in steps if not step.startswith(packages))


class Pod:
    """A pod that is running.

    Args:
        home: an empty directory.
        template: the template of the chart's pod.
        secrets: each Secret by its name: the values by their keys.
        name: the pod's name.
    """

    def __init__(
        self,
        home: Path,
        template: Mapping[str, Any],
        secrets: Mapping[str, Mapping[str, str]],
        name: str,
    ) -> None:
        self._home, self._secrets, self._name = home, secrets, name
        self._spec: Mapping[str, Any] = template["spec"]
        assert self._spec["shareProcessNamespace"], "the agent could not signal Postfix"
        self._groups = self._spec["securityContext"]["supplementalGroups"]
        self._layer()
        self._volumes()
        script = "\n".join(self._script())
        (home / "pod.sh").write_text(script)
        command = ("--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", *command, "sh", "-eu", home / "pod.sh"],
            start_new_session=True,
        )

    def output(self, container: str) -> str:
        path = self._home / f"{container}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait(self, condition: Callable[[], bool], expectation: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self._process.poll() is None, self._all_output(f"the pod ended: {expectation}")
            assert time.monotonic() < deadline, self._all_output(expectation)
            time.sleep(0.1)

    def execute(self, container: str, *command: str) -> int:
        """Run a command in a container, as the probe of a kubelet does."""
        (chosen,) = (c for c in self._spec["containers"] if c["name"] == container)
        inside = (*_privileges(chosen, self._groups), *command)
        target = next(self._processes(container))
        entering = ("nsenter", "--target", str(target), "--mount", "--pid", "--root", "--wd")
        done = subprocess.run(
            [*entering, "env", "-i", f"PATH={PATH}", *inside], capture_output=True, timeout=30
        )
        return done.returncode

    def terminate(self, container: str) -> None:
        """Ask a container to end, as a kubelet does: its hook, then its first process."""
        (chosen,) = (c for c in self._spec["containers"] if c["name"] == container)
        if hook := chosen.get("lifecycle", {}).get("preStop"):
            assert self.execute(container, *hook["exec"]["command"]) == 0
        first = next(self._processes(container), None)  # it may have ended by its hook already
        if first is not None:
            os.kill(first, signal.SIGTERM)

    def runs(self, container: str) -> bool:
        """Whether a process of the container runs."""
        return next(self._processes(container), None) is not None

    def _processes(self, container: str) -> Iterator[int]:
        """The numbers of a container's processes, the first one first."""
        mounts = (self._home / f"{container}.mounts").read_text().strip()
        for number in sorted(int(path.name) for path in Path("/proc").glob("[0-9]*")):
            with suppress(OSError):
                if str(Path(f"/proc/{number}/ns/mnt").readlink()) == mounts:
                    yield number

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _all_output(self, expectation: str) -> str:
        logs = (f"--- {path.name}\n{path.read_text()}" for path in self._home.glob("*.log"))
        return "\n".join((expectation, *logs))

    def _layer(self) -> None:
        """What the image has beside this machine, and the mount points, which a kubelet creates
        before it makes the root file system read-only."""
        (self._home / "root").mkdir()
        shutil.copytree(UNPACKED / "etc/postfix", self._home / "image/root/upper/etc/postfix")
        points = " ".join(sorted({shlex.quote(m["mountPath"]) for m in self._mounts()}))
        script = f"{image_steps()}\nmkdir -p {points} {shlex.quote(str(ROOT))}"
        build = f'{self._file_system("image")}\nexec chroot "{self._home}/root" sh -euc "$1"'
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-euc", build, "build", script],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def _file_system(self, name: str) -> str:
        """The commands that mount the root file system of the image. Everything that is written is
        below the directory ``name``."""
        target = self._home / "root"
        lines = []
        for part, lower in (("root", "/"), ("usr", f"{UNPACKED}/usr:/usr")):
            upper, work = (self._home / name / part / end for end in ("upper", "work"))
            for directory in (upper, work):
                directory.mkdir(parents=True, exist_ok=True)
            options = f"lowerdir={lower},upperdir={upper},workdir={work}"
            mounted = target if part == "root" else target / part
            lines.append(f'mount -t overlay overlay -o "{options}" "{mounted}"')
        return "\n".join(lines)

    def _volumes(self) -> None:
        for volume in [*self._spec["volumes"], {"name": "queue"}]:
            path = self._home / "volumes" / volume["name"]
            path.mkdir(parents=True)
            if "emptyDir" in volume:
                path.chmod(0o777)
            for item in volume.get("secret", {}).get("items", ()):
                file = path / item["path"]
                file.write_text(self._secrets[volume["secret"]["secretName"]][item["key"]])
                file.chmod(volume["secret"]["defaultMode"])

    def _mounts(self) -> Iterator[dict[str, Any]]:
        for container in (*self._spec["initContainers"], *self._spec["containers"]):
            yield from container["volumeMounts"]

    def _script(self) -> Iterator[str]:
        for container in self._spec["initContainers"]:
            yield f"{self._start(container)} >{self._home}/{container['name']}.log 2>&1"
        for container in self._spec["containers"]:
            yield f"{self._start(container)} >{self._home}/{container['name']}.log 2>&1 &"
        yield "wait"

    def _start(self, container: Container) -> str:
        """The command line of a container."""
        assert container["securityContext"]["readOnlyRootFilesystem"]
        target, container_root = f"{self._home}/root", self._home / f"container-{container['name']}"
        shutil.copytree(self._home / "image", container_root, symlinks=True)
        lines = [
            self._file_system(container_root.name),
            f'mount -o remount,ro "{target}/usr"; mount -o remount,ro "{target}"',
            f'mount -t proc proc "{target}/proc"',
            f'mount --rbind /dev "{target}/dev"',
        ]
        for mount in container["volumeMounts"]:
            volume = f"{self._home}/volumes/{mount['name']}"
            lines.append(f'mount --bind "{volume}" "{target}{mount["mountPath"]}"')
        # After the volumes, because a copy of the project below /tmp would be hidden.
        lines.append(f'mkdir -p "{target}{ROOT}"; mount --bind "{ROOT}" "{target}{ROOT}"')
        variables = [f"PATH={PATH}", *self._environment(container)]
        command = container.get("command", ["sendroute"]) + container.get("args", [])
        inside = shlex.join(
            ["env", "-i", *variables, *_privileges(container, self._groups), *command]
        )
        lines.append(f"readlink /proc/self/ns/mnt >{self._home}/{container['name']}.mounts")
        lines.append(f'cd "{target}"; exec chroot "{target}" {inside}')
        return shlex.join(["unshare", "--mount", "sh", "-euc", "\n".join(lines)])

    def _environment(self, container: Container) -> Iterator[str]:
        for variable in container.get("env", ()):
            value = variable.get("value")
            if value is None:
                source = variable["valueFrom"]
                if reference := source.get("secretKeyRef"):
                    value = self._secrets[reference["name"]][reference["key"]]
                else:
                    assert source["fieldRef"]["fieldPath"] == "metadata.name"
                    value = self._name
            yield f"{variable['name']}={value}"


def _privileges(container: Container, groups: Sequence[int]) -> list[str]:
    """The command that runs another with the rights of a container."""
    context = container["securityContext"]
    assert context["capabilities"]["drop"] == ["ALL"]
    assert context["allowPrivilegeEscalation"] is False
    added = [f"+{name.lower()}" for name in context["capabilities"].get("add", ())]
    return [
        *("setpriv", "--no-new-privs", f"--reuid={context['runAsUser']}"),
        f"--regid={context['runAsGroup']}",
        f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups",
        *("--inh-caps=-all", f"--bounding-set={','.join(['-all', *added])}"),
    ]
