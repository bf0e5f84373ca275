"""Pictures in shards: both engines against the bare network, through faults, and what the driver holds.

    python -m tests.benchmarks.shards --folder DIR [--parts speed faults memory score] [--pictures 20000]

The network is small and the pictures are drawn, so that engines have more to hide behind than with a real one: what an
engine costs shows best where the network takes little. The cluster is Ray's own for tests, with two nodes of one
processor each on this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet
import torch

from monet.config import ModelConfig
from monet.machine import available_processors
from monet.scoring.frechet import frechet_distance
from monet.scoring.inception import FeatureExtractor, Layer
from monet.scoring.weights import named_weights
from monet.shards.engine import Engine, LocalEngine, Resources
from monet.shards.find import find_shards
from monet.shards.on_ray import RayEngine
from monet.shards.paint import PaintingOptions, painting
from monet.shards.score import score_shards
from monet.shards.translate import TranslatedShards, translate_shards
from monet.threads import compute_threads
from tests.conftest import picture
from tests.generators import generators_of
from tests.shards.conftest import write_parquet

MODEL = ModelConfig(generator="resnet", width=8, residual_blocks=2, skip=False)
TINIEST = ModelConfig(generator="resnet", width=2, residual_blocks=0, skip=False)
SIDE = 64
EACH = 500
"""Pictures of a shard."""
PARTS = ("speed", "faults", "memory", "score")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the parts that are asked for; prints what it finds."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.shards", allow_abbrev=False)
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="for shards and results")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=[*PARTS, "driver"])
    parser.add_argument("--pictures", type=int, default=20_000, metavar="N")
    parser.add_argument("--inception-weights", type=Path, metavar="F", help="for the part score")
    options = parser.parse_args(arguments)
    if options.parts == ["driver"]:  # a process of its own, whose memory is measured
        print(json.dumps(_driver(options.folder)))
        return 0
    given = filled(options.folder / f"in-{options.pictures}", options.pictures, EACH, SIDE)
    for part in options.parts:
        {
            "speed": lambda: speed(given, options.folder),
            "faults": lambda: faults(given, options.folder),
            "memory": lambda: memory(options.folder),
            "score": lambda: score(given, options.inception_weights),
        }[part]()
    return 0


def filled(folder: Path, pictures: int, each: int, side: int) -> Path:
    """Returns a folder of shards, made where it is not there."""
    if not (folder / "whole").exists():
        folder.mkdir(parents=True, exist_ok=True)
        drawn = [_jpeg(seed, side) for seed in range(200)]
        for first in range(0, pictures, each):
            files = [
                (number, f"{number}.jpg", drawn[number % len(drawn)])
                for number in range(first, min(pictures, first + each))
            ]
            write_parquet(folder / f"part-{first // each:05}.parquet", files)
        (folder / "whole").touch()
    return folder


def _jpeg(seed: int, side: int) -> bytes:
    file = io.BytesIO()
    picture(seed, (side, side)).save(file, "JPEG", quality=95)
    return file.getvalue()


def translated(given: Path, output: Path, engine: Engine, model: ModelConfig = MODEL) -> tuple[TranslatedShards, float]:
    """Translates shards; returns what came of it, and the seconds."""
    begun = time.monotonic()
    work = painting(generators_of(model), PaintingOptions(), str(output))
    found = translate_shards(work, find_shards(str(given)), engine)
    return found, time.monotonic() - begun


def speed(given: Path, folder: Path) -> None:
    """Both engines, in turns, against the network alone."""
    workers = available_processors()
    bare = [_bare(given, workers) for _ in range(3)]
    print(f"network alone, {workers} threads: {max(bare):.0f} pictures/s ({', '.join(f'{rate:.0f}' for rate in bare)})")
    for turn in range(2):
        output = folder / f"local-{turn}"
        found, seconds = translated(given, output, LocalEngine(Resources(device="cpu", workers=workers)))
        _tell(f"local, {workers} processes", found, seconds, max(bare), output)
        with cluster(1, 1):
            output = folder / f"ray-{turn}"
            found, seconds = translated(given, output, RayEngine(Resources(device="cpu", workers=workers), None))
            _tell("ray, two nodes", found, seconds, max(bare), output)
    print("same pixels:", pixels(folder / "local-0") == pixels(folder / "ray-0"))


def _bare(given: Path, workers: int) -> float:
    """Pictures a second through the network, without files, decoding and encoding."""
    from monet.generation.translator import Translator

    translator = Translator(generators_of(MODEL), device=torch.device("cpu"), precision="fp32")
    images = [np.asarray(picture(seed, (SIDE, SIDE))) for seed in range(64)]
    with compute_threads(workers) as pool:
        list(pool.map(translator.translate, images))
        begun = time.monotonic()
        list(pool.map(translator.translate, images * 40))
        return 40 * len(images) / (time.monotonic() - begun)


def _tell(name: str, found: TranslatedShards, seconds: float, bare: float, output: Path) -> None:
    rows = [json.loads(path.read_text()) for path in (output / "manifest").glob("*.json")]
    at_work = sum(row["seconds"] for row in rows) / available_processors()
    rate, steady = found.painted / seconds, found.painted / at_work
    print(
        f"{name}: {found.painted:,} pictures in {seconds:.1f} s, {rate:.0f}/s ({rate / bare:.2f} of the network); "
        f"while at work {steady:.0f}/s ({steady / bare:.2f})",
        flush=True,
    )


def pixels(folder: Path) -> dict[int, str]:
    """Returns the digest of every picture, by its number; a number twice is an error."""
    found: dict[int, str] = {}
    for path in sorted(folder.glob("*.parquet")):
        table = pyarrow.parquet.read_table(path, columns=["id", "sha256", "status"]).to_pylist()
        for row in table:
            assert row["id"] not in found, f"picture {row['id']} is there twice"
            assert row["status"] == "ok", row
            found[row["id"]] = row["sha256"]
    return found


@contextlib.contextmanager
def cluster(*processors: int) -> Iterator[Any]:
    """A cluster of so many nodes on this machine, to which this process belongs."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": processors[0], "include_dashboard": False})
    try:
        for number in processors[1:]:
            made.add_node(num_cpus=number)
        ray.init(address=made.address, log_to_driver=False, logging_level=logging.ERROR)
        yield made
    finally:
        ray.shutdown()
        made.shutdown()  # type: ignore[no-untyped-call]


def faults(given: Path, folder: Path) -> None:
    """An actor killed, a node killed, a node added; then stopped, and started again."""
    shards = len(list(given.glob("*.parquet")))
    output = folder / "faults"
    with cluster(1, 1) as nodes:
        events: list[str] = []
        with ThreadPoolExecutor(1) as pool:  # nodes begin in the main thread
            engine = RayEngine(Resources(device="cpu", workers=2), None)
            future = pool.submit(translated, given, output, engine)
            _trouble(nodes, output, shards, events)
            found, seconds = future.result()
    print(f"{found.painted:,} of {found.images:,} in {seconds:.1f} s through: {', '.join(events)}")
    expected = sum(pyarrow.parquet.read_metadata(path).num_rows for path in given.glob("*.parquet"))
    there = pixels(output)
    rows = [json.loads(path.read_text()) for path in (output / "manifest").glob("*.json")]
    noted = sum(row["images"] for row in rows)
    print(f"input {expected:,}, manifest {noted:,} in {len(rows)} rows, results {len(there):,}")
    if (folder / "local-0").exists():
        print("same pixels as the other engine:", there == pixels(folder / "local-0"))
    left = sorted((output / "manifest").glob("*.json"))[: shards // 4]
    for path in left:
        path.unlink()
    before = {path: path.stat().st_mtime_ns for path in output.glob("*.parquet")}
    with cluster(1, 1):
        again, seconds = translated(given, output, RayEngine(Resources(device="cpu", workers=2), None))
    rewritten = sum(path.stat().st_mtime_ns != moment for path, moment in before.items())
    print(f"again with {len(left)} rows removed: kept {again.kept}, written {rewritten}, {seconds:.1f} s")


def _trouble(nodes: Any, output: Path, shards: int, events: list[str]) -> None:
    def done() -> int:
        return len(list((output / "manifest").glob("*.json")))

    def wait_for(share: float) -> None:
        while done() < share * shards:
            time.sleep(0.05)

    wait_for(0.15)
    actors = [process for process in psutil.process_iter(["cmdline"]) if _is_actor(process)]
    actors[0].kill()
    events.append(f"an actor killed at {done()} of {shards} shards")
    wait_for(0.4)
    node = next(node for node in nodes.worker_nodes)
    nodes.remove_node(node, allow_graceful=False)
    events.append(f"a node killed at {done()}")
    wait_for(0.6)
    nodes.add_node(num_cpus=1)
    events.append(f"a node added at {done()}")


def _is_actor(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "_Actor" in " ".join(process.info["cmdline"] or [])
    return False


def memory(folder: Path) -> None:
    """The driver's memory with few rows and with many."""
    for rows in (2_000, 200_000):
        given = filled(folder / f"tiny-{rows}", rows, 1_000, 16)
        line = [sys.executable, "-m", "tests.benchmarks.shards", "--folder", str(given), "--parts", "driver"]
        found = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)
        print(
            f"{rows:,} rows in {found['shards']} shards: driver at most {found['mib']:.0f} MiB, {found['rate']:.0f}/s"
        )


def _driver(given: Path) -> dict[str, float]:
    output = given.parent / f"out-{given.name}"
    found, seconds = translated(given, output, LocalEngine(Resources(device="cpu")), TINIEST)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"shards": found.shards, "mib": peak, "rate": found.painted / seconds}


def score(given: Path, weights: Path | None) -> None:
    """FID in shards against FID in one piece."""
    assert weights, "--inception-weights is needed"
    layer: Layer = "64"
    known = named_weights(weights)
    extractor = FeatureExtractor(known, layer, device=torch.device("cpu"), workers=available_processors())
    reference = extractor.features([np.stack([np.asarray(picture(seed, (SIDE, SIDE))) for seed in range(900, 1200)])])
    shards = find_shards(str(given))
    begun = time.monotonic()
    found = score_shards(
        shards,
        LocalEngine(Resources(device="cpu")),
        reference=reference,
        training=reference,
        weights=known,
        layer=layer,
        epsilon=0.1,
    )
    seconds = time.monotonic() - begun
    features = extractor.features(_batches(given))
    whole = frechet_distance(features, reference)
    print(
        f"FID of {found.score.num_generated:,} in {len(shards)} shards {found.score.fid:.12g} ({seconds:.0f} s), "
        f"in one piece {whole:.12g}: {abs(found.score.fid / whole - 1):.1e} of it"
    )


def _batches(given: Path) -> Iterator[np.ndarray]:
    from monet.data.decode import decode

    for path in sorted(given.glob("*.parquet")):
        data = pyarrow.parquet.read_table(path, columns=["bytes"])["bytes"].to_pylist()
        for first in range(0, len(data), 32):
            yield np.stack([decode(item) for item in data[first : first + 32]])


if __name__ == "__main__":
    sys.exit(main())
