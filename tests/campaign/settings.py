"""Settings and options with values that cannot be right, and a few that can."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tests.campaign.material import TINY
from tests.campaign.stage import GIGABYTE, Case, Stage

_NO_NUMBER = ("", "abc", "nan", "inf", "-inf", "1e400", "٣", "3,5", "true", "[1]", "{}", "'", "1 2", "0x", "--", "None")
_NO_COUNT = (*_NO_NUMBER, "2.5", "-1", "1e-9")
_COUNTS_FROM_1 = (
    *("data.samples_per_epoch", "data.load_size", "data.crop_size", "model.width", "model.downsamplings"),
    *("model.discriminator_width", "training.epochs", "training.batch_size", "training.accumulation"),
    *("generation.batch_size", "generation.quality"),
)
_COUNTS_FROM_0 = ("model.residual_blocks", "training.pool_size", "training.save_every", "training.seed")
_SHARES = ("data.color_jitter", "training.decay_start", "training.ema")
_AMOUNTS = ("data.rotate", "training.learning_rate", "training.lambda_cycle", "training.lambda_identity")
_CHOICES = (
    *(
        "data.sampling",
        "data.resize",
        "data.pairing",
        "model.generator",
        "model.upsample",
        "model.norm",
        "model.discriminator",
    ),
    *("training.precision", "training.compile", "training.device"),
)
_SWITCHES = ("data.flip", "model.skip", "training.activation_checkpointing")
_SOME = 3
"""So many values of each field, chosen by the seed, besides those that every field gets."""


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: chooses values where there are too many for all of them.
    """
    chance = random.Random(seed)
    for field in _COUNTS_FROM_1:
        yield from _refused(field, ["0", "-1", *chance.sample(_NO_COUNT, _SOME)])
    for field in _COUNTS_FROM_0:
        yield from _refused(field, ["-1", *chance.sample(_NO_COUNT, _SOME)])
    for field in _SHARES:
        yield from _refused(field, ["-0.001", "1.5", "1e308", *chance.sample(_NO_NUMBER, _SOME)])
    for field in _AMOUNTS:
        yield from _refused(field, ["-1", "-1e308", *chance.sample(_NO_NUMBER, _SOME)])
    for field in _CHOICES:
        yield from _refused(
            field, chance.sample(["", "none", "1", "RESNET", "true", "null", "[]", "patch,pooled", "٣"], 4)
        )
    for field in _SWITCHES:
        yield from _refused(field, chance.sample(["2", "maybe", "", "nan", "truefalse", "-1", "[true]"], 3))
    for value in (
        "0.5",
        "[0.5]",
        "[0.5,0.9,0.9]",
        "[1,1]",
        "[-0.1,0.9]",
        "[nan,0.9]",
        "x,y",
        "[0.5,null]",
        "{}",
    ):
        yield from _refused("training.betas", [value])
    yield from _durations()
    yield from _too_large()
    yield from _contradictions()
    yield from _words()
    yield from _other_commands()


def _refused(field: str, values: Sequence[str]) -> Iterator[Case]:
    for value in dict.fromkeys(values):
        yield _refusal(
            f"{field}={value!r}",
            (f"--{field}={value}",),
            says=(field.split(".")[-1],),
            quick=field == "model.width" and value in ("0", "٣"),
        )


def _refusal(
    name: str, words: Sequence[str], *, says: Sequence[str] = (), command: str = "train", quick: bool = False
) -> Case:
    def play(stage: Stage) -> None:
        stage.needs("data")
        ends = () if name.startswith("nothing says") else ("--training.epochs", "1")
        stage.run(command, "--data", "data", "--run", "run", *TINY, *ends, *words, codes={2}, says=says)
        run = stage.path("run")
        stage.expect(not run.exists() or not any(run.glob("[!.]*")), "a refused command left files in the run's folder")

    return Case(f"settings/{name}", play, quick=quick)


def _accepted(name: str, words: Sequence[str], codes: Sequence[int] = (0,), *, quick: bool = False) -> Case:
    def play(stage: Stage) -> None:
        stage.needs("data")
        short = ("--training.epochs", "1")
        stage.run("train", "--data", "data", "--run", "run", *TINY, *short, *words, codes=codes)

    return Case(f"settings/{name}", play, quick=quick)


def _durations() -> Iterator[Case]:
    wrong = (
        *(
            "",
            "0",
            "0s",
            "5",
            "5x",
            "-5m",
            "٣m",
            "３m",
            "1e3s",
            "inf",
            "nan",
            "1h-5m",
            "1m1h",
            "1.5.5h",
            "5 m",
            "m",
            "h5",
            ".5h",
        ),
        *("9" * 400 + "h", "1h1h", "0.0000h", "5M", "1_0m", "1h 5m"),
    )
    for value in wrong:
        shown = value if len(value) < 30 else f"{len(value)} digits"
        yield _refusal(f"budget={shown!r}", (f"--budget={value}",), says=("budget",), quick=value in ("0s", "٣m"))
        if len(value) % 2:
            yield _refusal(f"horizon={shown!r}", (f"--horizon={value}",), says=("horizon",))
    yield _refusal("a budget that imports alone exceed", ("--budget", "0.01s"))
    yield _refusal("a budget of a nanosecond", ("--budget", "0.000000001s"))
    yield _refusal("nothing says when to end", ())


def _too_large() -> Iterator[Case]:
    """What no machine can hold, or no float: no more than one clear line, and no memory taken for it."""
    huge = {
        "model.width": ("1000000", "10" + "0" * 30),
        "model.residual_blocks": ("10000000", "9" * 25),
        "model.discriminator_width": ("1000000",),
        "model.downsamplings": ("8", "64", "100000", "9" * 30),
        "data.load_size": ("1000000", "9" * 25),
        "data.rotate": ("181", "1e308"),
        "training.learning_rate": ("1e308", "1e30"),
        "training.lambda_cycle": ("1e308", "1e39"),
        "training.lambda_identity": ("1e308",),
        "training.seed": (str(2**63), "9" * 40),
        "generation.quality": ("101", "9" * 30),
    }
    for field, values in huge.items():
        for value in values:
            shown = value if len(value) < 20 else f"{len(value)} digits"

            def play(stage: Stage, field: str = field, value: str = value) -> None:
                stage.needs("data")
                words = (*TINY, "--training.epochs", "1", f"--{field}", value)
                codes = {0, 1, 2} if "learning_rate" in field or "lambda" in field else {1, 2}
                stage.run("train", "--data", "data", "--run", "run", *words, codes=codes, memory=3 * GIGABYTE)

            yield Case(f"settings/{field} of {shown}", play)
    for field in ("training.batch_size", "generation.batch_size", "training.pool_size", "training.save_every"):
        yield _accepted(f"{field} of a billion", (f"--{field}", "1000000000"), (0, 1, 2))
        yield _accepted(f"{field} of 30 digits", (f"--{field}", "9" * 30), (0, 1, 2))
    yield _accepted("training.accumulation above the batch size", ("--training.accumulation", "1000"), (0, 2))


def _contradictions() -> Iterator[Case]:
    both = {
        "a crop larger than what it is cut from": ("--data.load_size", "32", "--data.crop_size", "64"),
        "a crop that the network cannot halve so often": ("--model.downsamplings", "6"),
        "a crop below the least": ("--data.crop_size", "16"),
        "no device of that number": ("--training.device", "cpu:7"),
        "no such GPU": ("--training.device", "cuda:99"),
        "a device without values": ("--training.device", "meta"),
        "a device of another maker": ("--training.device", "xpu"),
        "a device with a space": ("--training.device", " cpu"),
        "activations of batch norm twice": ("--training.activation_checkpointing", "true", "--model.norm", "batch"),
        "aligned data of which no names meet": (
            "--data.pairing",
            "aligned",
            "--data.load_size",
            "36",
            "--training.epochs",
            "1",
        ),
    }
    for name, words in both.items():
        codes_0 = name.startswith("aligned")
        yield _accepted(name, words, (0, 2)) if codes_0 else _refusal(name, (*words, "--training.epochs", "1"))
    right = {
        "no residual blocks": ("--model.residual_blocks", "0"),
        "width of one": ("--model.width", "1", "--model.discriminator_width", "1"),
        "a batch larger than the data": ("--training.batch_size", "64"),
        "batch norm of single pairs": ("--model.norm", "batch", "--training.batch_size", "1"),
        "u-net": ("--model.generator", "unet"),
        "a horizon of a second": ("--horizon", "1s"),
        "an average that forgets at once": ("--training.ema", "0.000001"),
        "no pool, no cycle, no identity": (
            *("--training.pool_size", "0", "--training.lambda_cycle", "0", "--training.lambda_identity", "0"),
        ),
        "decay from the start": ("--training.decay_start", "0"),
        "the smallest learning rate": ("--training.learning_rate", "5e-324"),
        "every pixel turned": ("--data.rotate", "180", "--data.color_jitter", "1"),
        "the pooled discriminator": ("--model.discriminator", "pooled"),
        "half precision without a GPU": ("--training.precision", "fp16"),
        "bfloat16": ("--training.precision", "bf16"),
        "the largest seed": ("--training.seed", str(2**63 - 1)),
        "all samples": ("--data.samples_per_epoch", "all"),
        "given twice": ("--training.batch_size", "3", "--training.batch_size", "1"),
        "fixed samples": ("--data.sampling", "fixed"),
    }
    for name, words in right.items():
        yield _accepted(name, words, (0, 2) if "half" in name or "twice" in name else (0,))


def _words() -> Iterator[Case]:
    wrong = {
        "unknown": ("--training.epoch", "1"),
        "unknown group": ("--trainig.epochs", "1"),
        "a group": ("--training", "{epochs: 1}"),
        "a group as JSON": ('--training={"epochs": 1}',),
        "a field of a field": ("--training.epochs.x", "1"),
        "a dunder": ("--training.__class__", "x"),
        "the group's name": ("--training.group", "x"),
        "no value": ("--training.epochs",),
        "an option as a value": ("--training.epochs", "--resume"),
        "a value alone": ("stray",),
        "two dashes": ("--",),
        "one dash": ("-x",),
        "three dashes": ("---training.epochs", "1"),
        "a file of words": ("@words",),
        "a usual option for a file": ("--config", "x.yaml"),
        "a usual option to print them": ("--print_config",),
        "an abbreviation": ("--budg", "5m"),
        "an abbreviated setting": ("--training.epo", "1"),
        "an empty word": ("",),
        "an equals sign": ("=",),
        "an empty name": ("--=5",),
        "a name with a line break": ("--x\ny", "1"),
        "a value with a line break": ("--training.epochs", "1\n2"),
        "a value with a carriage return": ("--training.epochs", "1\r2"),
        "a value that moves the cursor": ("--training.epochs", "\x1b[2J"),
        "a long name": ("--" + "x" * 100_000, "1"),
        "a long value": ("--training.epochs", "9" * 100_000),
        "a long word": ("x" * 100_000,),
        "bytes that are no text": ("--training.epochs", "\udcff"),
        "a name that is no text": ("--\udcff", "1"),
        "a deep value": ("--training.betas", "[" * 5000),
        "a value with anchors": ("--training.betas", "&a [*a, 0.9]"),
        "an object of Python": ("--training.betas", "!!python/object/apply:os.system [true]"),
        "a bad date": ("--training.epochs", "2020-13-45"),
        "a file as a value": ("--training.epochs", "@/etc/passwd"),
        "a brace": ("--training.epochs", "{"),
        "an unknown tracker": ("--tracking", "mlflow"),
        "a tracker within a list within a list": ("--tracking", "[[wandb]]"),
        "a tracker without a name": ("--tracking", "null"),
        "an option of another command": ("--zip", "x.zip"),
        "resume with a value": ("--resume=maybe",),
        "help with a value": ("--help=x",),
    }
    for name, words in wrong.items():
        yield _refusal(
            f"words/{name}",
            (*words, "--training.epochs", "1") if "epochs" not in words[0] else words,
            quick="deep" in name,
        )


def _other_commands() -> Iterator[Case]:
    painting = ("generate", "--checkpoint", "run/checkpoints/last.pt", "--photos", "photos", "--zip", "x.zip")
    comparing = ("compare", "--run", "run", "--photos", "photos", "--reference", "paintings")
    scoring = ("evaluate", "--generated", "generated", "--reference", "paintings")
    wrong: dict[str, tuple[str, ...]] = {}
    for value in ("0", "-1", "x", "1.5", "9" * 400, "٣", "", "nan"):
        wrong[f"generate --batch-size {value[:9]}"] = (*painting, "--batch-size", value)
        wrong[f"generate --quality {value[:9]}"] = (*painting, "--quality", value)
        wrong[f"compare --sample {value[:9]}"] = (*comparing, "--sample", value)
    for value in ("nan", "-1", "inf", "x", "", "-0.0001", "٣"):
        wrong[f"evaluate --epsilon {value}"] = (*scoring, "--epsilon", value)
    for option in ("--feature-layer", "--train-paintings", "--inception-weights", "--generated", "--reference"):
        for value in ("x", ""):
            wrong[f"evaluate {option} {value!r}"] = (*scoring, option, value)
    for option in ("--device", "--precision", "--weights"):
        for value in ("cpu:7", "", "x\ny"):
            wrong[f"generate {option} {value!r}"] = (*painting, option, value)
    wrong |= {
        "validate without a file": ("validate",),
        "validate an empty name": ("validate", ""),
        "validate --rules x": ("validate", "x.zip", "--rules", "x"),
        "validate two files": ("validate", "x.zip", "y.zip"),
        "kernel without a word": ("kernel",),
        "kernel with another word": ("kernel", "destroy"),
        "kernel push without a name": ("kernel", "push", "--dry-run"),
        "kernel push from an empty folder": ("kernel", "push", "--dry-run", "--user", "x", "--folder", "photos"),
        "kernel check with a bad budget": ("kernel", "check", "--data", "data", "--budget", "٣m"),
        "kernel check without a kernel": ("kernel", "check", "--data", "data", "--folder", "photos"),
        "doctor --budget ٣m": ("doctor", "--budget", "٣m"),
        "doctor --budget of 400 digits": ("doctor", "--budget", "9" * 400 + "h"),
        "doctor with a stray word": ("doctor", "x"),
        "submit --score maybe": ("submit", "--data", "data", "--score", "maybe"),
        "submit --epsilon nan": ("submit", "--data", "data", "--epsilon", "nan", "--training.epochs", "1", *TINY),
        "submit --paint-with of nothing": ("submit", "--data", "data", "--paint-with", "best", *TINY),
        "compare --seed x": (*comparing, "--seed", "x"),
    }
    for name, (command, *words) in wrong.items():

        def play(stage: Stage, command: str = command, words: Sequence[str] = words) -> None:
            stage.needs("data", "photos", "paintings", "generated")
            if "run/checkpoints/last.pt" in words or command == "compare":
                stage.needs("run")
            more = ("--inception-weights", "weights.pth", "--feature-layer", "64") if command == "compare" else ()
            if command in ("evaluate", "compare"):
                stage.needs("weights.pth")
            stage.run(command, *words, *more, codes={2})

        yield Case(f"settings/{name}", play, quick=name in ("doctor --budget ٣m", "validate --rules x"))
    for command in ("submit", "train", "generate", "validate", "evaluate", "compare", "kernel", "doctor"):

        def helped(stage: Stage, command: str = command) -> None:
            outcome = stage.run(command, "--help", codes={0})
            stage.expect(
                "usage: " in outcome.out and not outcome.err, "--help does not print its usage to stdout alone"
            )

        yield Case(f"settings/help of {command}", helped, quick=command == "submit")
