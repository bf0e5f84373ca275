"""All parts, in order of worth: what is wrong first, then what is slow, then a whole run in the time that is left."""

from __future__ import annotations

from functools import partial

from tests.gpu import compiling, inception, memory, precision, refusal, resume, several, speed, whole
from tests.gpu.part import Part

PARTS = (
    Part(name="machine", about="what the device is, whether it works, its best rates", work=speed.machine, limit=90),
    Part(
        name="four-networks",
        about="a step of all four networks against the CPU in float64, in every precision",
        work=precision.four_networks,
        limit=150,
    ),
    Part(
        name="refused-step",
        about="a loss or gradient that is not finite moves none of the four networks",
        work=refusal.refused_step,
    ),
    Part(name="overflow", about="the scaler finds its scale, and nothing moves before", work=refusal.overflow),
    Part(name="incident", about="a batch of NaN leaves no trace; training continues in fp32", work=refusal.incident),
    Part(
        name="two-processes",
        about="nccl with two GPUs, or gloo on one device, against one process",
        work=several.two_processes,
        limit=150,
    ),
    Part(
        name="resume",
        about="a CPU's checkpoint on the device and back, Adam's steps where they belong",
        work=resume.resume,
    ),
    Part(
        name="memory-words",
        about="whatever a lack of memory says is taken for one",
        work=memory.words,
        limit=90,
        cuda=True,
    ),
    Part(name="split", about="a step that does not fit goes through in two parts", work=memory.split, limit=90),
    Part(
        name="recompiling",
        about="no graphs more after an incident; a compiler that fails after a split ends nothing",
        work=compiling.recompiling,
        limit=120,
    ),
    Part(
        name="uneven-parts",
        about="a batch of 3 in two parts wants no more graphs than one of 4",
        work=compiling.uneven_parts,
        limit=120,
    ),
    Part(
        name="inception",
        about="cuDNN is on while Inception runs; features are the CPU's",
        work=inception.cudnn,
        needs=("torch_fidelity",),
        limit=90,
    ),
    Part(name="probes", about="the painting's probe, cold, behind queued work, and warm", work=speed.probes),
    Part(
        name="inception-probe",
        about="the scorer's probe, cold, behind queued work, and warm",
        work=inception.probe,
        needs=("torch_fidelity",),
        limit=90,
    ),
    Part(name="batches", about="batches on the device are those of the CPU", work=speed.batches, needs=("kornia",)),
    *(
        Part(
            name=f"recipe-{name}",
            about=f"pairs/s of {name} and its share of the ceiling, channels last or not",
            work=partial(speed.recipe, name=name),
            limit=120,
        )
        for name in ("kaggle", "kaggle-top15", "quick-cpu")
    ),
    Part(
        name="compile-default",
        about="seconds to compile, graphs, ms a step",
        work=partial(compiling.mode, name="default"),
        limit=240,
        least=60,
    ),
    Part(
        name="memory-peaks",
        about="memory and time of a step of kaggle-top15 in one and two parts",
        work=memory.peaks,
        limit=90,
    ),
    Part(name="painting", about="photos/s with and without cuDNN", work=speed.painting, limit=90),
    Part(
        name="inception-speed",
        about="images/s with and without cuDNN",
        work=inception.speed,
        needs=("torch_fidelity",),
        limit=90,
    ),
    *(
        Part(
            name=f"compile-{name}",
            about="seconds to compile, graphs, ms a step",
            work=partial(compiling.mode, name=name),
            limit=240,
            least=60,
            cuda=True,
        )
        for name in ("reduce-overhead", "max-autotune-no-cudagraphs")
    ),
    Part(
        name="kaggle",
        about="pipelines.submit with recipe kaggle for the time that is left, scored",
        work=whole.submit,
        needs=("kornia", "platformdirs"),
        limit=float("inf"),
        least=240,
    ),
)
"""What `python -m tests.gpu` asks."""
