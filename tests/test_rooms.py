"""Files import from their own room and from rooms in earlier rows; heavy imports wait."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import frostline

ROOT = Path(str(frostline.__file__)).parent

#: the rooms of the house from the ground up; rooms of one row do not see each other
ROWS = (
    ("core", "_version"),
    ("stats",),
    ("targets",),
    ("model_format", "onnx_graph"),
    ("data", "backbones"),
    ("compute",),
    ("evidence", "training", "explain"),
    ("strategy",),
    ("wording", "run", "model"),
    ("exporting", "report"),
    ("fitting",),
    ("serve", "integrations", "comparing", "watching"),
    ("updating",),
    ("cli", "nn", "__init__", "errors", "estimator", "lightning", "tracking"),
    ("__main__",),
)
ROW = {room: number for number, rooms in enumerate(ROWS) for room in rooms}


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


FILES = {module_of(file): file for file in sorted(ROOT.rglob("*.py"))}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imported(file: Path) -> Iterator[str]:
    """Yield the modules of Frostline that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in FILES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


IMPORTS = {
    module: {name for name in imported(file) if name.split(".")[0] == "frostline"}
    for module, file in FILES.items()
}


def test_every_file_imports_only_from_its_room_and_earlier_rows() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in sorted(others)
        if room_of(module) != room_of(other) and ROW[room_of(other)] >= ROW[room_of(module)]
    ]
    assert not wrong


def circles() -> list[list[str]]:
    """Return the sets of files that import each other in a circle (Tarjan 1972)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = low[module] = len(number)
        stack.append(module)
        for other in IMPORTS[module] & FILES.keys():
            if other not in number:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], number[other])
        if low[module] == number[module]:
            circle = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(circle) > 1:
                found.append(sorted(circle))

    for module in FILES:
        if module not in number:
            visit(module)
    return found


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles() == []


#: rooms that decide, read, write or predict: no file may load PyTorch but those of TORCH
WITHOUT_TORCH = (
    *("core", "stats", "targets", "model_format", "onnx_graph", "data", "evidence", "strategy"),
    *("explain", "wording", "run", "model", "exporting", "report", "fitting", "serve"),
    *("comparing", "watching", "updating"),
)


#: where PyTorch is imported: rooms, and what of other rooms has it for its subject
TORCH = (
    *("backbones/", "training/", "explain/torch_", "compute/engines/", "exporting/pytorch/"),
    *("integrations/lightning.py", "compute/moments.py"),
)


def test_pytorch_is_imported_where_it_is_the_subject() -> None:
    elsewhere = []
    for file in FILES.values():
        where = file.relative_to(ROOT).as_posix()
        names = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            for name in (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else []
            )
        }
        if "torch" in names and not where.startswith(TORCH):
            elsewhere.append(where)
    # names for the type checker alone are no import
    assert [where for where in elsewhere if not _only_for_types(ROOT / where)] == []


def _only_for_types(file: Path) -> bool:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return not any(
        (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch")
        or (
            isinstance(node, ast.Import)
            and any(a.name.split(".")[0] == "torch" for a in node.names)
        )
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_a_room_without_pytorch_loads_none_of_it(room: str) -> None:
    modules = [
        module
        for module, file in FILES.items()
        if room_of(module) == room and not file.relative_to(ROOT).as_posix().startswith(TORCH)
    ]
    code = (
        "import importlib, sys\n"
        f"for module in {modules!r}:\n"
        "    importlib.import_module(module)\n"
        "    if 'torch' in sys.modules: sys.exit(module)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


#: faces take what a person may say, each by its name
FACES = ("cli", "integrations", "nn", "__init__")
MOST_PARAMETERS = 8


def test_no_function_behind_the_faces_takes_more_than_eight_parameters() -> None:
    wrong = []
    for module, file in FILES.items():
        if room_of(module) in FACES:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                of = node.args
                names = [arg.arg for arg in (*of.posonlyargs, *of.args, *of.kwonlyargs)]
                names += [arg.arg for arg in (of.vararg, of.kwarg) if arg is not None]
                names = names[1:] if names[:1] in (["self"], ["cls"]) else names
                if len(names) > MOST_PARAMETERS:
                    wrong.append(f"{module}.{node.name} takes {len(names)}")
    assert not wrong


def test_progress_and_cancellation_are_passed_on_and_never_stored() -> None:
    """What is stored outlives the call that it was meant for: a quiet fold is then not quiet."""
    told = {"Progress", "TypedProgress", "CancelToken", "Runtime"}
    # what carries them, and progress that hands on to other progress
    carriers = {"Runtime", "WordedProgress"}

    def names(node: ast.AST | None) -> set[str]:
        return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} if node else set()

    wrong = []
    for module, file in FILES.items():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for owner in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            fields = [line for line in owner.body if isinstance(line, ast.AnnAssign)]
            stored = [ast.unparse(one) for one in fields if names(one.annotation) & told]
            for method in (line for line in owner.body if isinstance(line, ast.FunctionDef)):
                arguments = [*method.args.args, *method.args.kwonlyargs]
                given = {one.arg for one in arguments if names(one.annotation) & told}
                for line in ast.walk(method):
                    if not (isinstance(line, ast.Assign) and isinstance(line.value, ast.Name)):
                        continue
                    if line.value.id in given and "self." in ast.unparse(line):
                        stored.append(ast.unparse(line))
            wrong += [
                f"{module}.{owner.name}: {one}" for one in stored if owner.name not in carriers
            ]
    assert not wrong


def test_no_command_imports_pytorch_before_it_is_used() -> None:
    code = (
        "import sys, frostline.cli.main, frostline.cli.predict, frostline.model.model;"
        "import frostline.cli.serve, frostline.cli.export, frostline.cli.evaluate;"
        "import frostline.cli.inspect, frostline.cli.models, frostline.cli.demo;"
        "import frostline.fitting.pipeline, frostline.cli.advise, frostline.cli.report;"
        "print([m for m in ('torch', 'timm', 'sklearn', 'pyarrow', 'pandas') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_fit_imports_only_what_it_uses() -> None:
    # each of them takes a second on a slow machine
    code = (
        "import sys, frostline.fitting.pipeline, frostline.cli.main;"
        "print([m for m in ('scipy', 'sklearn', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_public_names_exist() -> None:
    for name in frostline.__all__:
        assert getattr(frostline, name) is not None
