"""The study of decisions: every option trained on many target sets, and what would be chosen.

    python -m benchmarks.decision pretrain --fonts F                 # once, a minute
    python -m benchmarks.decision run --fonts F --stamps S --clip-art C [--part glyphs|lite0]
    python -m benchmarks.decision anchor --stamps S --clip-art C     # four cells at 224 pixels
    python -m benchmarks.decision rules                              # today's rule beside others
    python -m benchmarks.decision report                             # regret, cost, honesty, page

F, S and C are folders of unpacked Debian packages: fonts (fonts-dejavu-core, -dejavu-extra,
-freefont-ttf, -liberation, -open-sans, -roboto-unhinted, -linuxlibertine, -sil-gentium,
-sil-charis, -tuffy, -crosextra-carlito, -croscore, -hack, -firacode, -lato, -lobster,
-dancingscript, -comfortaa, -isabella), usr/share/tuxpaint/stamps of tuxpaint-stamps-default, and
usr/share/openclipart/png of openclipart-png. ``run`` may be stopped at any time and goes on where
it stopped; ``--quick`` does the cells of 5 and 20 images a class with one seed in 15 minutes.
``--slice I/N`` does every N-th cell, so that each core can have a process of its own. Cells are
written to benchmarks/results/decision/, one file each.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results" / "decision"
SEEDS = (0, 1, 2)


def main() -> None:
    """Do what the command line asks."""
    options = _options()
    if options.command == "pretrain":
        from benchmarks.decision.glyph_network import pretrain

        options.work.mkdir(parents=True, exist_ok=True)
        pretrain(options.fonts, options.work / "glyphs.safetensors")
    elif options.command in ("run", "anchor"):
        _run(options)
    elif options.command == "rules":
        from benchmarks.decision.report import write_rules

        write_rules(options.cells)
    else:
        from benchmarks.decision.report import write_report

        write_report(RESULTS)


def _run(options: argparse.Namespace) -> None:
    os.environ["FROSTLINE_CACHE"] = str(options.work / "cache")
    from benchmarks.decision.cells import SIZES, Cell, run_cell, single_threaded
    from benchmarks.decision.sets import SETS, Places

    single_threaded()
    places = Places(
        fonts=options.fonts, stamps=options.stamps, clip_art=options.clip_art, work=options.work
    )
    RESULTS.mkdir(parents=True, exist_ok=True)
    if options.command == "anchor":
        from benchmarks.decision.anchor import run_anchor

        run_anchor(places, RESULTS)
        return
    sizes = SIZES[:2] if options.quick else tuple(options.sizes.split(","))
    seeds = SEEDS[:1] if options.quick else tuple(int(s) for s in options.seeds.split(","))
    cells = [
        Cell(target.name, size, seed)
        for seed in seeds
        for target in SETS.values()
        if target.network in options.part
        for size in sizes
    ]
    number, parts = (int(x) for x in options.slice.split("/"))
    for cell in cells[number::parts]:
        began = time.perf_counter()
        run_cell(cell, places, RESULTS)
        print(f"{cell.key}: {time.perf_counter() - began:.0f} s", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("pretrain", "run", "anchor", "rules", "report"))
    parser.add_argument("--cells", type=Path, default=RESULTS, help="folder that rules reads")
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--stamps", type=Path, default=Path("/usr/share/tuxpaint/stamps"))
    parser.add_argument("--clip-art", type=Path, default=Path("/usr/share/openclipart/png"))
    parser.add_argument("--work", type=Path, default=Path(".study"))
    parser.add_argument("--part", nargs="+", default=["glyphs", "lite0"])
    parser.add_argument("--sizes", default="5,20,all")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--slice", default="0/1")
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
