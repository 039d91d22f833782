"""Arrange the data for the templates: the sections, and the names that all of them use."""

from __future__ import annotations

from typing import Any

from frostline.report.data import ReportData
from frostline.report.depth import depths
from frostline.report.sections.answers import answers
from frostline.report.sections.confounds import confounds
from frostline.report.sections.errors import errors
from frostline.report.sections.evidence import evidence
from frostline.report.sections.images import images
from frostline.report.sections.labels import labels
from frostline.report.sections.more_images import more_images
from frostline.report.sections.network import network
from frostline.report.sections.numbers import numbers
from frostline.report.sections.options import options
from frostline.report.sections.pictures import pictures
from frostline.report.sections.result import result
from frostline.report.sections.running import running
from frostline.report.sections.trust import trust
from frostline.wording.tasks import TASKS, task_judged


def build(data: ReportData) -> dict[str, Any]:
    """Return the names that the templates use."""
    record = data.record
    metrics, plan = record.metrics, record.plan
    classes = record.classes or tuple(metrics.test.classes)
    found = depths(plan)
    words = TASKS[task_judged(metrics.test)]
    sections = {
        "result": result(record),
        "network": network(record, found, len(classes), words),
        "evidence": evidence(plan.evidence, found),
        "options": options(plan),
        "more": more_images(record),
        "errors": errors(metrics.test, classes),
        "labels": labels(metrics.test),
        "numbers": numbers(metrics.test, metrics.intervals),
        "trust": trust(metrics),
        "answers": answers(metrics, classes, words),
        "pictures": pictures(data.gallery, found, plan.evidence),
        "images": images(record.audit, words),
        "confounds": confounds(metrics.confounds),
        "running": running(record),
    }
    return {
        "source": record.source or record.audit.source or "a run",
        "classes": classes,
        "plan": plan,
        "words": words,
        "n_train": metrics.n_train,
        "version": record.version,
        "contents": contents(sections),
        **sections,
    }


def contents(sections: dict[str, Any]) -> list[tuple[str, str]]:
    """Return anchor and name of every section that has something to show."""
    shown = sections["pictures"]
    trusted = sections["trust"] and sections["trust"].chart
    every = [
        ("network", "The frost line", True),
        ("evidence", "Depth by depth", True),
        ("options", "Options", sections["options"]),
        ("more", "More images", sections["more"]),
        ("errors", "Where it errs", sections["errors"]),
        ("labels", "Label by label", sections["labels"]),
        ("numbers", "Predicted and true", sections["numbers"]),
        ("trust", "Confidence" if trusted else "Unknown images", sections["trust"]),
        ("answers", "Sets and abstention", sections["answers"]),
        ("mistakes", "Worst mistakes", shown and shown.mistakes),
        ("doubtful", "Doubtful labels", shown and shown.doubtful),
        ("sees", "What it sees", shown and (shown.depths or shown.filters)),
        ("confounds", "What should not matter", sections["confounds"]),
        ("images", "Your images", True),
        ("running", "Run again", True),
        ("use", "Use the model", True),
    ]
    return [(anchor, name) for anchor, name, there in every if there]
