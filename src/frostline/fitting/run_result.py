"""A finished run, as a fit returns it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from frostline.core.notebook import card, columns, sentences
from frostline.core.plan import Plan
from frostline.core.run_record import RunRecord
from frostline.model.model import Model
from frostline.wording.numbers import percent

#: classes with a column of their own in a notebook
_SHOWN = 40


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes
    ----------
    folder : Path
    record : RunRecord
        What the run found.
    scores : Scores or HeldOutScores
        On images that did not train the model; the record where an image has no one class.
    """

    folder: Path
    record: RunRecord
    scores: Any

    @property
    def plan(self) -> Plan:
        """What was decided and carried out."""
        return self.record.plan

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the model's order."""
        return self.record.classes

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The content of ``metrics.json``."""
        return self.record.metrics.to_json()

    @cached_property
    def audit(self) -> dict[str, Any]:
        """The content of ``audit.json``."""
        return self.record.audit.to_json()

    @property
    def model(self) -> Model:
        """The fitted model, loaded from the folder."""
        return Model.load(self.folder)

    def _repr_html_(self) -> str:
        """Show how good the model is, and why it is as it is, in a notebook."""
        test = self.record.metrics.test
        recalls = [(row.label, row.recall) for row in test.per_class]
        found = [(name, recall) for name, recall in recalls if recall is not None]
        head = test.headline
        accuracy = percent(head.value)
        if head.interval is not None:
            low, high = head.interval
            accuracy += f" (95 %: {low:.1%} to {high:.1%})"
        method = f"on {test.n:,} images, {test.method}"
        return (
            card(
                f"Run: {self.plan.chosen}",
                [
                    (head.name, f"<b>{sentences([accuracy])}</b> {sentences([method])}"),
                    ("By class", columns(found[:_SHOWN], top=1.0)),
                    ("Files", sentences([f"{self.folder} (report.html, plan.json, model)"])),
                ],
            )
            + self.plan._repr_html_()
        )
