"""The rule that stood before evidence decided what is averaged, frozen: what new rules must beat.

Every option that made sense ran a quarter of its epochs on one fold; the three that promised most
and the head then ran in full on the two others (from 500 images on half as long, on one). Below 500
images all four were averaged, equally, whatever they had shown; from there on the simplest was
taken that lost at most one paired error and one point. Nothing here is imported from the product's
strategy, so nothing that changes there changes this.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.decision.recorded import Choice, FloatArray, Recorded
from frostline.core.plan import EvidenceSummary

_LEADERS, _MEMBERS, _FEW_IMAGES = 3, 4, 500
_GOOD_ENOUGH, _FEWEST_PER_CLASS = 0.03, 5.0
_HEAD_TIE, _MOST_LOST = 0.005, 0.01
#: nominal seconds that training the members might take: 70 % of five minutes
_SECONDS = 0.7 * 300.0
#: what an option still gained after its heat, in logits, by kind, below 10 and 50 images a class
_GROWTH = {
    "head": (1.14, 0.82, 0.63),
    "gentle": (0.98, 1.07, 1.27),
    "cut": (1.53, 1.38, 1.25),
    "firm": (1.22, 1.73, 1.34),
    "full": (2.04, 2.09, 1.42),
}
_GENTLY, _FIRMLY = "fine-tune the whole network gently", "fine-tune the whole network firmly"


def choose_earlier(cell: Recorded) -> Choice:
    """Decide a cell as the product did before."""
    head = earlier_head(cell)
    summary = cell.summary
    few = summary.size.per_class < _FEWEST_PER_CLASS
    if few or summary.headroom < _GOOD_ENOUGH:
        return Choice(head, 0.0, raced=False, members=(head,))
    entrants = [n for n in cell.trained if _makes_sense(summary, cell.options[n]["strategy"], n)]
    runners = [head, *entrants]
    spent = sum(cell.heat(name).cpu for name in runners)
    place = sum(summary.size.per_class >= border for border in (10.0, 50.0))
    promised = {
        name: _logit(float(cell.heat(name).sure.mean())) + _GROWTH[_kind(cell, name)][place]
        for name in entrants
    }
    leaders = sorted(entrants, key=lambda name: -promised[name])[:_LEADERS]
    finalists = [name for name in runners if name == head or name in leaders]
    if leaders:
        finals = {name: cell.finals(name) for name in finalists}
        spent += sum(fold.cpu for folds in finals.values() for fold in folds)
        sure = {n: np.concatenate([f.sure for f in folds]) for n, folds in finals.items()}
    else:
        sure = {head: cell.heat(head).sure}
    members = _averaged(cell, sure) if cell.n_train < _FEW_IMAGES else [_single(sure)]
    name = members[0] if len(members) == 1 else "average of " + ", ".join(members)
    return Choice(name, spent, raced=True, members=tuple(members), entrants=tuple(entrants))


def earlier_head(cell: Recorded) -> str:
    """Return the first of the heads there were that hardly loses to the best, by leave-one-out."""
    heads = [h for h in cell.heads if h != cell.STACKED]
    correct = {h: cell.left_out(h).astype(np.float64) for h in heads}
    best = max(heads, key=lambda h: float(correct[h].mean()))
    for head in heads:
        loss, error = _paired(correct[best], correct[head])
        if loss <= min((1.0 - 1e-9) * error, _HEAD_TIE):
            return head
    return heads[-1]


def _averaged(cell: Recorded, sure: dict[str, FloatArray]) -> list[str]:
    """All that are as cheap as the budget allows, the best first; one alone stands for itself."""
    members: list[str] = []
    left = _SECONDS
    for name in sorted(sure, key=lambda n: -float(sure[n].mean())):
        cost = float(cell.options[name]["nominal"])
        if len(members) < _MEMBERS and cost <= left:
            members.append(name)
            left -= cost
    return members if len(members) > 1 else [_single(sure)]


def _single(sure: dict[str, FloatArray]) -> str:
    """The first that loses at most one paired error and one point."""
    best = max(sure, key=lambda n: float(sure[n].mean()))
    for name in sure:
        loss, error = _paired(sure[best], sure[name])
        if name == best or loss <= min(error, _MOST_LOST):
            return name
    return best


def _makes_sense(summary: EvidenceSummary, strategy: str, name: str) -> bool:
    size, shift = summary.size, summary.shift.label
    if name == _GENTLY:
        return _large(summary) and shift in ("similar", "unknown")
    if name == _FIRMLY and size.per_class < 10.0:
        return False
    if strategy == "cut":
        lower = summary.best_tap == (summary.best_below or summary.best_tap)
        return summary.cut_gain > 0 and lower and summary.best_tap != summary.last_tap
    if strategy == "full":
        return _large(summary) or shift == "different"
    return True


def _large(summary: EvidenceSummary) -> bool:
    """Large, or above the geometric middle between what counts as small and as large."""
    size = summary.size
    return size.label == "large" or (size.label == "medium" and size.n_images >= 2236)


def _kind(cell: Recorded, name: str) -> str:
    action = cell.options[name]["action"]
    if action.get("keep_to") is not None or action.get("new_block"):
        return "cut"
    if action.get("head_init") == "random":
        return "full"
    whole = action["kind"] == "full" and action.get("part", "all") == "all"
    return "firm" if whole and action["recipe"]["layer_decay"] == 1.0 else "gentle"


def _paired(a: FloatArray, b: FloatArray) -> tuple[float, float]:
    """Mean of ``a - b`` and its standard error, each image a group of its own."""
    difference = a - b
    n = len(difference)
    if n < 2:
        return float(difference.mean()), math.inf
    spread = difference - difference.mean()
    error = math.sqrt(float((spread**2).sum()) * n / (n - 1)) / n
    return float(difference.mean()), error


def _logit(share: float) -> float:
    kept = min(max(share, 0.02), 0.98)
    return math.log(kept / (1.0 - kept))
