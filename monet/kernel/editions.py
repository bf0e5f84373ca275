"""In what the Kaggle kernels differ: their names, recipes and texts, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edition:
    """A notebook that `build` writes: the same software with other settings."""

    slug: str
    """The kernel's name."""
    folder: str
    """Where it stands, in the folder that is built."""
    recipe: str
    """The recipe that it trains."""
    internet: bool
    """Whether it may use the internet, unless that is decided otherwise."""
    about: str
    """Its title and what it does, in Markdown."""
    settings: str
    """Description of its settings, in Markdown."""
    text: str = "notebook.md"
    """The file beside this one that its cells are made of."""
    packs: tuple[str, ...] = ("monet", "pipelines")
    """The folders and files that it holds."""

    @property
    def notebook(self) -> str:
        """The name of the file."""
        return f"{self.slug}.ipynb"


_ABOUT = """
Trains an unpaired image translator ([CycleGAN](https://arxiv.org/abs/1703.10593)) for as long as this kernel may run,
paints every photo, writes `images.zip`, checks it as the competition will, and scores it. It always ends in time: a
timed probe tells how long the painting takes on this machine, and that much is left.
"""
SHORT = Edition(
    slug="monet-submission",
    folder=".",
    recipe="kaggle",
    internet=False,
    about=f"""# Photos into paintings, scored before they are sent
{_ABOUT}
The learning rate is 0 at the end.""",
    settings="""`kaggle` fills the time with a small, fast generator; `kaggle-top15` is the solution that reached the
top 15 %. Five hours count for the whole kernel; the quarter of an hour between is for Kaggle to save the output. A
training over several kernels has a `HORIZON`, the training time of all of them together: add this kernel's output as an
input of the next one.""",
)
"""One kernel, from the photos to a submission."""
LONG = Edition(
    slug="monet-long",
    folder="long",
    recipe="kaggle-top15-long",
    internet=True,  # for ClearML, which Kaggle's image lacks, and its keys
    about=f"""# Photos into paintings, 155 epochs over several kernels
{_ABOUT}
One kernel does not hold all epochs. Each ends with a whole `images.zip` and with `run/checkpoints/last.pt`. To
continue, add this notebook's output as its own input (*Add input* → *Your work*), and run it again: it sees the pairs
that one long run would see. The learning rate is 0 after the last epoch; until then the lines below call the decay
unfinished.""",
    settings="""155 epochs of 1,000 pairs. Five hours count for each kernel; the quarter of an hour between is for
Kaggle to save the output. The recipe has a horizon of 14h15m of training time, three kernels' worth, for a machine that
does not reach all the epochs in it; `HORIZON` gives another one. ClearML follows the run.""",
)
"""A training over several kernels, followed in ClearML."""
GPU = Edition(
    slug="monet-gpu",
    folder="gpu",
    recipe="kaggle",
    internet=True,  # for torch-fidelity and the weights of Inception, which Kaggle's image lacks
    about="""# What there is to learn from a GPU in 25 minutes

Checks whatever a CPU cannot show (precisions, refused steps, little memory, compiled networks, two GPUs), measures what
is slow there, and trains, paints and scores in the time that is left. Each part says one line and is stopped at its
limit.""",
    settings="""`ONLY` names parts, such as `["machine", "split"]`; they run even if they are done. An earlier
output of this notebook among its inputs is resumed: what is done there is not asked again.""",
    text="notebook-gpu.md",
    packs=("monet", "pipelines", "tests/__init__.py", "tests/benchmarks", "tests/gpu"),
)
"""Not for the competition: tells what works on Kaggle's GPUs."""
EDITIONS = (SHORT, LONG, GPU)
"""The notebooks that `build` writes."""
