"""Prove that a refactoring changed no result: run two source trees and compare what they leave.

    python -m tools.same_results BASE --photos STAMPS

BASE is another source tree of Frostline, such as a git worktree. Both trees run the same command
lines in this environment, each with caches of its own; only run folders, printed JSON and stored
taps are compared. Needs ``elpv-dataset``; STAMPS is Debian's package ``tuxpaint-stamps-default``,
unpacked (apt-get download tuxpaint-stamps-default; dpkg -x *.deb STAMPS).

Ends with 0 if nothing differs but what ``--allow`` names, else with 3.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tools._same_compare import KINDS, Comparison, Difference, compare
from tools._same_jobs import JOBS, Images, Job, MissingImagesError

HERE = Path(__file__).absolute().parents[1]
_DONE = "done"
#: differences that are printed of each kind in each job; the file has all
_PRINTED = 6


@dataclass(frozen=True)
class Allowed:
    """Differences that are expected: shell patterns for jobs and fields, and the reason."""

    job: str
    field: str
    reason: str

    @classmethod
    def parse(cls, text: str) -> Allowed:
        """Read ``job:field=reason``."""
        job, colon, rest = text.partition(":")
        field, equals, reason = rest.partition("=")
        if not (colon and equals and job and field and reason.strip()):
            raise argparse.ArgumentTypeError(f"{text!r} must look like 'job:field=reason'")
        return cls(job, field, reason.strip())

    def covers(self, job: str, difference: Difference) -> bool:
        """Whether it names this difference."""
        return fnmatchcase(job, self.job) and fnmatchcase(difference.field, self.field)


@dataclass(frozen=True)
class Side:
    """One source tree and the folder that its jobs run in."""

    tree: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its commands, but for the cache."""
        own = {"PYTHONPATH": str(self.tree / "src"), "OPENBLAS_NUM_THREADS": "1", "NO_COLOR": "1"}
        return {**os.environ, **own}

    @cached_property
    def state(self) -> str:
        """The commit of the tree and what was changed since."""
        git = ("git", "-C", str(self.tree))
        asked = (("rev-parse", "HEAD"), ("diff", "HEAD", "--", "src"))
        answers = [subprocess.run([*git, *a], capture_output=True, check=False) for a in asked]
        return b"\n".join(answer.stdout for answer in answers).decode(errors="replace").strip()

    def check(self) -> None:
        """Make sure that the commands import this tree and no other."""
        command = [sys.executable, "-c", "import frostline; print(frostline.__file__)"]
        told = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if Path(told.stdout.strip()) != self.tree / "src/frostline/__init__.py":
            sys.exit(f"{self.tree} is not imported: {told.stdout}{told.stderr[-500:]}")

    def run(self, job: Job) -> float:
        """Run a job in an empty folder; return its processor seconds."""
        folder = self.folder / job.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        environment = {**self.environment, "FROSTLINE_CACHE": str(folder / "cache")}
        codes, seconds = [], []
        for number, command in enumerate(job.commands):
            printed = f"{command[0]}-{number}.json" if "--json" in command else f"{number}.txt"
            with (folder / printed).open("w") as out, (folder / f"{number}.log").open("w") as err:
                process = subprocess.Popen(
                    [sys.executable, "-m", "frostline", *command],
                    cwd=folder,
                    env=environment,
                    stdout=out,
                    stderr=err,
                )
                _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            codes.append(process.returncode)
            seconds.append(round(used.ru_utime + used.ru_stime, 1))
        told = {"key": job.key, "state": self.state, "codes": codes, "seconds": seconds}
        (folder / _DONE).write_text(json.dumps(told))
        return sum(seconds)

    def kept(self, job: Job) -> bool:
        """Whether the job has run here with the same commands, images and code."""
        try:
            told = json.loads((self.folder / job.name / _DONE).read_text())
        except (OSError, ValueError):
            return False
        return bool(told["key"] == job.key and told["state"] == self.state)


def judge(job: str, before: Path, after: Path) -> Comparison:
    """Compare what both trees left of one job; a command that failed proves nothing."""
    found = compare(before, after)
    codes = [json.loads((side / _DONE).read_text())["codes"] for side in (before, after)]
    if codes[0] != codes[1]:
        found.check("others", "exit", f"exit codes {codes[0]}, now {codes[1]}")
    elif any(codes[0]):
        found.check("others", "exit", f"{job} failed in both trees: exit codes {codes[0]}")
    if any((side / "cache" / "choices").exists() for side in (before, after)):
        found.check("others", "engine", "an engine was chosen by the clock")
    return found


def show(
    console: Console, found: dict[str, Comparison], allowed: Sequence[Allowed], work: Path
) -> int:
    """Print the table and the differences; return how many are not allowed."""
    table = Table(title="Facts compared", padding=(0, 1), box=None)
    table.add_column("job", no_wrap=True, min_width=18)
    for kind in KINDS:
        table.add_column(kind, justify="right", no_wrap=True)
    lines: list[str] = []
    kept: list[dict[str, str | None]] = []
    wrong = 0
    for job, comparison in found.items():
        cells = []
        for kind in KINDS:
            here = [d for d in comparison.differences if d.kind == kind]
            why = {d: next((a.reason for a in allowed if a.covers(job, d)), None) for d in here}
            bad = [d for d in here if why[d] is None]
            wrong += len(bad)
            told = f"{comparison.checked[kind]} ok" if comparison.checked[kind] else "-"
            if bad:
                told = f"[red]{len(bad)}/{comparison.checked[kind]} differ[/]"
            elif here:
                told = f"[yellow]{len(here)} allowed[/]"
            cells.append(told)
            for d in sorted(here, key=lambda d: why[d] is not None)[:_PRINTED]:
                mark = "[red]differs[/]" if why[d] is None else f"[yellow]{escape(why[d] or '')}[/]"
                lines.append(f"{job}:{escape(d.field)}  {mark}  {escape(d.what[:300])}")
            if len(here) > _PRINTED:
                lines.append(f"{job}:{kind}  and {len(here) - _PRINTED} more")
            kept.extend({"job": job, **asdict(d), "allowed": why[d]} for d in here)
        table.add_row(job, *cells)
    console.print(table)
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
    (work / "differences.json").write_text(json.dumps(kept, indent=2) + "\n")
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", type=Path, help="source tree to compare this one with")
    parser.add_argument("--photos", type=Path, help="tuxpaint-stamps-default, unpacked")
    parser.add_argument("--jobs", help=f"some of: {','.join(JOBS)}")
    parser.add_argument("--work", type=Path, default=Path(".same-results"))
    parser.add_argument("--reuse-base", action="store_true", help="take BASE's runs of last time")
    parser.add_argument("--at-once", type=int, default=2, help="commands that run side by side")
    parser.add_argument(
        "--allow",
        type=Allowed.parse,
        action="append",
        default=[],
        metavar="JOB:FIELD=REASON",
        help="an expected difference; patterns such as '*:words.*=other words' are fine",
    )
    args = parser.parse_args(arguments)
    names = args.jobs.split(",") if args.jobs else list(JOBS)
    if unknown := [name for name in names if name not in JOBS]:
        parser.error(f"there is no job {unknown[0]!r}; jobs: {', '.join(JOBS)}")
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    work = args.work.absolute()
    sides = (Side(args.base.absolute(), work / "base"), Side(HERE, work / "this"))
    for side in sides:
        side.check()

    jobs, skipped = _made(names, Images(work / "data", args.photos), console)
    kept = [job for job in jobs if args.reuse_base and sides[0].kept(job)]
    todo = [(side, job) for job in jobs for side in sides if side is sides[1] or job not in kept]
    _run_all(todo, args.at_once, console)

    found = {job.name: judge(job.name, *(side.folder / job.name for side in sides)) for job in jobs}
    for side in sides:
        if todo and Side(side.tree, side.folder).state != side.state:
            console.print(f"[red]{side.tree} was changed while its jobs ran: run them again.[/]")
    wrong = show(console, found, args.allow, work)
    unused = [a for a in args.allow if not _used(a, found)]
    for allowed in unused:
        console.print(f"[yellow]--allow {escape(allowed.job)}:{escape(allowed.field)} met nothing")
    verdict = f"[red]{wrong} results differ" if wrong else "[green]No result differs"
    console.print(f"{verdict}[/] in {len(jobs)} jobs{skipped}; all in {work}/differences.json")
    return 3 if wrong else 0


def _made(names: Sequence[str], images: Images, console: Console) -> tuple[list[Job], str]:
    """Make the jobs; say which are left out."""
    jobs, without = [], []
    for name in names:
        try:
            jobs.append(JOBS[name](images))
        except MissingImagesError as error:
            console.print(f"[yellow]{name} is left out: {escape(str(error))}.[/]")
            without.append(name)
    return jobs, f", without {', '.join(without)}" if without else ""


def _used(allowed: Allowed, found: dict[str, Comparison]) -> bool:
    return any(allowed.covers(job, d) for job, c in found.items() for d in c.differences)


def _run_all(todo: Sequence[tuple[Side, Job]], at_once: int, console: Console) -> None:
    done = TextColumn("{task.fields[done]}")
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), done)
    with (
        Progress(*columns, console=console) as progress,
        ThreadPoolExecutor(max_workers=at_once) as pool,
    ):
        bar = progress.add_task("jobs", total=len(todo), done="")
        running = {
            pool.submit(side.run, job): f"{side.folder.name} {job.name}" for side, job in todo
        }
        for future in as_completed(running):
            progress.update(
                bar,
                advance=1,
                done=f"{running[future]} took {future.result():.0f} processor seconds",
            )


if __name__ == "__main__":
    sys.exit(main())
