"""The large study: options trained on 59 target sets, in parts that can be stopped.

    python -m benchmarks.decision.study record --fonts F --stamps S --clip-art C --icons I \\
        [--work W] [--only closed-form] [--part 3/10] [--minutes 95]
    python -m benchmarks.decision.study list                # sets, families and what they take
    python -m benchmarks.decision rules --cells benchmarks/results/study

F, S and C are as for ``python -m benchmarks.decision``; I is usr/share/icons of the unpacked
packages that :mod:`benchmarks.decision.study_sets` names, one over the other, and W has the small
network that ``pretrain`` made. All options that race are trained with 5 and 20 images a class
(three seeds with 5 where the network is small), on all of them and on the folds of races;
closed-form heads with 100 a class and with all images as well, and on eight sets what is likely to
win with 100. Probabilities are kept everywhere. A part stops before the option with which it would
pass its minutes, and goes on there when it is started again.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.decision.replay import PORTFOLIO
from benchmarks.decision.study_sets import ALSO_TRAINED, STUDY_SETS
from frostline.strategy.candidates.proposal import Proposal

RESULTS = Path(__file__).parents[1] / "results" / "study"
#: side of real pictures
PIXELS = 160
SIZES = ("5", "20", "100", "all")
#: sizes at which every option is trained
_TRAINED = ("5", "20")
#: processor seconds of a cell: fixed, and for each training image where every option trains, from
#: the cells of the smaller study at 128 pixels (4.6 with 5 images a class, 2.9 with 20), times 1.56
_OF_CELL = {"glyphs": (3.0, 0.3), "lite0": (15.0, 6.0)}
_CLASSES = {"glyphs": 12, "lite0": 6}
_SEEDS_OF_CHEAP = 3


def cells() -> list[tuple[str, str, int]]:
    """List set, size and seed of every cell."""
    found = []
    for target in STUDY_SETS.values():
        for size in SIZES:
            seeds = _SEEDS_OF_CHEAP if (target.network, size) == ("glyphs", "5") else 1
            found += [(target.name, size, seed) for seed in range(seeds)]
    return found


def seconds_of(target: str, size: str, *, closed_form: bool = False) -> float:
    """Return about how many processor seconds a cell takes."""
    network = STUDY_SETS[target].network
    fixed, each = _OF_CELL[network]
    if closed_form or size == "all":
        return fixed
    n = int(size) * _CLASSES[network]
    if size not in _TRAINED:
        # three options, for half their epochs in the race
        return fixed + (each * n * 0.35 if target in ALSO_TRAINED else 0.0)
    return fixed + each * n


def part(number: int, of: int, *, closed_form: bool = False) -> list[tuple[str, str, int]]:
    """Return the cells of one of several parts that take about as long."""
    bins: list[list[tuple[str, str, int]]] = [[] for _ in range(of)]
    loads = [0.0] * of
    costs = {cell: seconds_of(*cell[:2], closed_form=closed_form) for cell in cells()}
    for cell in sorted(costs, key=lambda one: (-costs[one], one)):
        least = loads.index(min(loads))
        bins[least].append(cell)
        loads[least] += costs[cell]
    # pictures of one set are read and run through the network once
    return sorted(bins[number - 1])


def main() -> None:
    """Do what the command line asks."""
    options = _options()
    number, of = (int(x) for x in options.part.split("/"))
    closed_form = options.only == "closed-form"
    if options.command == "list":
        for target in STUDY_SETS.values():
            seconds = sum(seconds_of(*c[:2]) for c in cells() if c[0] == target.name)
            print(f"{target.name:34s} {target.family:12s} {target.network:7s} {seconds:6.0f} s")
        total = sum(seconds_of(*cell[:2]) for cell in cells())
        print(f"{len(STUDY_SETS)} sets, {len(cells())} cells, {total / 3600:.1f} processor hours")
        return
    os.environ.setdefault("FROSTLINE_CACHE", str(options.work / "cache"))
    _record(part(number, of, closed_form=closed_form), options, closed_form=closed_form)


def _record(
    chosen: list[tuple[str, str, int]], options: argparse.Namespace, *, closed_form: bool
) -> None:
    from benchmarks.decision.cells import Cell, Recording, run_cell, single_threaded
    from benchmarks.decision.sets import Places

    single_threaded()
    places = Places(
        fonts=options.fonts,
        stamps=options.stamps,
        clip_art=options.clip_art,
        work=options.work,
        icons=options.icons,
    )
    options.results.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + 60 * options.minutes
    recording = Recording(stop=lambda: time.monotonic() > ends, everything=True)
    wanted = options.sets.split(",") if options.sets else list(STUDY_SETS)
    for target, size, seed in chosen:
        if target not in wanted or size not in options.sizes.split(","):
            continue
        if recording.stop():
            print("The minutes are over; the same command goes on from here.")
            return
        cpu, wall = time.process_time(), time.perf_counter()
        takes = _takes(target, size, closed_form=closed_form)
        cell = Cell(target, size, seed, PIXELS)
        run_cell(cell, places, options.results, replace(recording, takes=takes))
        spent = time.process_time() - cpu
        print(f"{cell.key}: {spent:.0f} CPU s, {time.perf_counter() - wall:.0f} s", flush=True)


def _takes(target: str, size: str, *, closed_form: bool) -> Callable[[Proposal], bool]:
    """Which options of a cell are trained."""
    from benchmarks.decision.cells import RARE, REFERENCE

    def takes(proposal: Proposal) -> bool:
        if proposal.action.closed_form:
            return True
        if closed_form or proposal.name in (*RARE, REFERENCE):
            return False
        likely = any(proposal.name.startswith(start) for start in PORTFOLIO)
        return size in _TRAINED or (size == "100" and target in ALSO_TRAINED and likely)

    return takes


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("record", "list"))
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--stamps", type=Path, default=Path("/usr/share/tuxpaint/stamps"))
    parser.add_argument("--clip-art", type=Path, default=Path("/usr/share/openclipart/png"))
    parser.add_argument("--icons", type=Path, default=Path("/usr/share/icons"))
    parser.add_argument("--work", type=Path, default=Path(".study"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--only", choices=("closed-form", "all"), default="all")
    parser.add_argument("--part", default="1/1", help="which of so many parts, from 1")
    parser.add_argument("--minutes", type=float, default=95.0)
    parser.add_argument("--sets", default="", help="names, with commas between; all by default")
    parser.add_argument("--sizes", default=",".join(SIZES))
    return parser.parse_args()


if __name__ == "__main__":
    main()
