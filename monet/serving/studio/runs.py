"""Runs: one that is being trained, and those that are done, by epoch; their scores, reports and archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from monet import api
from monet.run_folder.folder import RunFolder
from monet.serving.studio import run_view
from monet.serving.studio.studio import PAINTING, ProgressDisplay, Studio, as_page_error, failure

_STATUS_SECONDS = 5.0
_CURVES_SECONDS = 60.0
"""The whole of the metrics is read for them, on the machine that trains."""


class RunsTab:
    """The part of the page that shows runs.

    Args:
        studio: what is offered.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        names = [run.path.name for run in studio.runs]
        self._runs = {run.path.name if names.count(run.path.name) == 1 else str(run.path): run for run in studio.runs}

    def build(self, page: gr.Blocks) -> None:
        """Adds the components to the page that is being built."""
        first = next(iter(self._runs))
        run = gr.Dropdown(list(self._runs), value=first, label="Run", elem_id="run")
        status = gr.HTML(elem_id="status")
        epoch = gr.Slider(1, 2, 1, step=1, label="Samples after epoch", elem_id="epoch")
        sample = gr.HTML(elem_id="sample")
        gr.Markdown("## Curves")
        curves = gr.HTML(elem_id="curves")
        gr.Markdown("## Scores")
        scores = gr.HTML(elem_id="scores")
        gr.Markdown("## Archive")
        self._add_archive(run, page)
        with gr.Accordion("Report", open=False) as accordion:
            report = gr.HTML()
        newest = gr.State(0)
        everything = [status, epoch, sample, newest, curves, scores]
        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
        run.change(as_page_error(self.show), run, everything, **private)
        page.load(as_page_error(self.show), run, everything, **private)
        gr.Timer(_STATUS_SECONDS).tick(as_page_error(self.follow), [run, epoch, newest], everything[:4], **private)
        gr.Timer(_CURVES_SECONDS).tick(as_page_error(self.curves), run, curves, **private)
        epoch.input(as_page_error(self.sample), [run, epoch], sample, **private)
        accordion.expand(as_page_error(self.report), run, report, **private)
        run.change(as_page_error(self.report), run, report, **private)

    def show(self, name: str) -> list[Any]:
        """Returns all that is shown of a run."""
        run = self._run(name)
        known = run.sample_grids()
        return [
            run_view.status_page(run, self._studio.clock()),
            _epochs(known),
            _latest(known),
            max(known, default=0),
            run_view.charts_page(run),
            run_view.scores_page(run),
        ]

    def follow(self, name: str, epoch: float, newest: int) -> list[Any]:
        """Returns how far a run is, and its newest samples where the newest so far are looked at."""
        run = self._run(name)
        known = run.sample_grids()
        status = run_view.status_page(run, self._studio.clock())
        if max(known, default=0) == newest or epoch < newest:
            return [status, gr.skip(), gr.skip(), gr.skip()]
        return [status, _epochs(known), _latest(known), max(known)]

    def curves(self, name: str) -> str:
        """Returns the curves of a run."""
        return run_view.charts_page(self._run(name))

    def sample(self, name: str, epoch: float) -> str:
        """Returns the sample grid of an epoch, or of the last one before it that has one."""
        known = self._run(name).sample_grids()
        before = [path for number, path in known.items() if number <= epoch]
        found = before or list(known.values())
        return run_view.sample_page(found[-1] if found else None)

    def report(self, name: str) -> str:
        """Returns the report of a run."""
        return run_view.report_page(self._run(name))

    def checkpoints(self, name: str) -> Any:
        """Returns the choice of a run's checkpoints, the newest first."""
        files = [path.name for path in reversed(self._run(name).saved())]
        return gr.Dropdown(choices=files, value=next(iter(files), None))

    def paint_archive(
        self,
        name: str,
        checkpoint: str | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (gradio finds it there)
    ) -> Any:
        """Paints every photo with a checkpoint; returns the archive.

        Raises:
            MonetError: a photo cannot be read, or the archive not be written.
        """
        run = self._run(name)
        chosen = [path for path in run.saved() if path.name == checkpoint]
        if not chosen or self._studio.photos is None:
            raise failure("choose a checkpoint first")
        target: Path = self._studio.new_folder() / "images.zip"
        api.paint(chosen[0], self._studio.photos, target, display=ProgressDisplay(progress))
        return gr.DownloadButton(f"Download images.zip ({checkpoint})", value=str(target), interactive=True)

    def _add_archive(self, run: gr.Dropdown, page: gr.Blocks) -> None:
        if self._studio.photos is None:
            gr.Markdown("Start the studio with `--photos DIR`, and archives can be painted here.")
            return
        with gr.Row(equal_height=True):
            checkpoint = gr.Dropdown([], label="Checkpoint", elem_id="archive-checkpoint")
            paint = gr.Button("Paint an archive with this one", elem_id="paint-archive")
            archive = gr.DownloadButton("Download images.zip", interactive=False, elem_id="archive")
        paint.click(as_page_error(self.paint_archive), [run, checkpoint], archive, **PAINTING, api_visibility="private")
        for event in (run.change, page.load):
            event(
                as_page_error(self.checkpoints),
                run,
                checkpoint,
                queue=False,
                api_visibility="private",
                show_progress="hidden",
            )

    def _run(self, name: str) -> RunFolder:
        if name not in self._runs:
            raise failure("no such run")
        return self._runs[name]


def _epochs(known: dict[int, Path]) -> Any:
    """Returns the slider over a run's samples, at the newest; a slider needs two ends."""
    last = max(known, default=1)
    return gr.Slider(minimum=min(known, default=1), maximum=max(2, last), value=last, interactive=len(known) > 1)


def _latest(known: dict[int, Path]) -> str:
    return run_view.sample_page(known[max(known)] if known else None)
