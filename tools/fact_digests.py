"""Compare the code that makes what is kept between runs with what it was at the facts' versions.

    python tools/fact_digests.py            # says which facts changed
    python tools/fact_digests.py --renew    # writes them down

A fact (``Fact`` or ``Memo``, declared at the top of the module that makes it) is found again under
a key that holds its version. When a change makes other results of the same inputs, raise the
version first; when it does not, renew alone.

What counts is the module and all modules of the package that it imports, wherever: their syntax
trees without docstrings, without what only type checkers see, and without the names of modules, so
that moving a file changes nothing, and the data files that they name.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "frostline"
RECORDED = ROOT / "tests" / "compute" / "fact_digests.json"

_DECLARED = ("Fact", "Memo")
#: the face of the package, and a version that changes with every release
_LEFT_OUT = ("frostline", "frostline._version")


@dataclass(frozen=True)
class DeclaredFact:
    """One fact as it stands in the source."""

    name: str
    version: int
    module: str


@dataclass
class _Module:
    """One file: its tree without imports of the package, and what these imported."""

    body: str = ""
    imports: set[tuple[str, str]] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)
    data: list[Path] = field(default_factory=list)
    facts: list[tuple[str, int]] = field(default_factory=list)


class Code:
    """The source of the package, file by file.

    Parameters
    ----------
    changed : mapping of str to str, optional
        Texts that take the place of modules' own.
    source : Path, optional
        The folder of the package.
    """

    def __init__(self, changed: Mapping[str, str] | None = None, *, source: Path = SOURCE) -> None:
        self._changed = dict(changed or {})
        self._paths = {_name_of(path, source): path for path in sorted(source.rglob("*.py"))}
        self._read: dict[str, _Module] = {}
        self._data: dict[str, list[Path]] = {}
        for path in sorted(source.rglob("*.*")):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                self._data.setdefault(path.name, []).append(path)
                if not any(path.parent.glob("*.py")):
                    self._data.setdefault(path.parent.name, []).append(path)

    def text(self, module: str) -> str:
        """Return the source of a module."""
        return self._changed.get(module) or self._paths[module].read_text(encoding="utf-8")

    def facts(self) -> list[DeclaredFact]:
        """List the facts that the package declares, by name."""
        found = [
            DeclaredFact(name, version, module)
            for module in self._paths
            if any(f"{word}(" in self.text(module) for word in _DECLARED)
            for name, version in self._module(module).facts
        ]
        return sorted(found, key=lambda fact: fact.name)

    def closure(self, module: str) -> set[str]:
        """Return a module and all of the package that it imports."""
        found: set[str] = set()
        waiting = [module]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [target for target, _ in self._module(name).imports]
        return found

    def libraries(self, module: str) -> set[str]:
        """Return the top-level names of all other packages that a closure imports."""
        return set().union(*(self._module(name).libraries for name in self.closure(module)))

    def digest(self, module: str) -> str:
        """Return hex digits that stand for the closure of a module."""
        closure = self.closure(module)
        parts = [self._linked(name) for name in closure]
        data = {path for name in closure for path in self._module(name).data}
        parts += [_sha(path.read_bytes()) for path in data]
        return _sha("\n".join(sorted(parts)).encode())[:16]

    def _linked(self, name: str) -> str:
        module = self._module(name)
        links = sorted(f"{self._module(other).body} {what}" for other, what in module.imports)
        return _sha("\n".join([module.body, *links]).encode())

    def _module(self, name: str) -> _Module:
        if name not in self._read:
            self._read[name] = self._parsed(name)
        return self._read[name]

    def _parsed(self, name: str) -> _Module:
        module = _Module()
        tree = _Stripped(self, name, module).visit(ast.parse(self.text(name)))
        module.body = _sha(ast.dump(tree).encode())
        return module

    def imported(self, importer: str, base: str, name: str) -> Iterator[tuple[str, str]]:
        """Yield (module, name) for one name of an import; the name is empty for a module."""
        if base.startswith("."):
            raise ValueError(f"{importer} imports relatively")
        if f"{base}.{name}" in self._paths:
            yield f"{base}.{name}", ""
        elif base in self._paths and base not in _LEFT_OUT:
            yield base, name

    def named(self, text: str) -> list[Path]:
        """Return the data files that a text names: one of this name, or all of such a folder."""
        return self._data.get(text, [])

    def is_module(self, text: str) -> bool:
        """Whether a text is the name of a module or package."""
        return text in self._paths


class _Stripped(ast.NodeTransformer):
    """Takes out of a tree what gives no result, and notes what it imports and declares."""

    def __init__(self, code: Code, name: str, module: _Module) -> None:
        self._code, self._name, self._module = code, name, module

    def generic_visit(self, node: ast.AST) -> ast.AST:
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            del body[0]
        return super().generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        for alias in node.names:
            self._note(alias.name.rpartition(".")[0], alias.name.rpartition(".")[2])
        ours = all(alias.name.split(".")[0] == "frostline" for alias in node.names)
        return None if ours else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        base = "." * node.level + (node.module or "")
        for alias in node.names:
            self._note(base, alias.name)
        return None if base.split(".")[0] == "frostline" else node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        call = node.value
        if isinstance(call, ast.Call) and _called(call) in _DECLARED:
            given = {word.arg: word.value for word in call.keywords}
            name, version = given["name"], given["version"]
            if isinstance(name, ast.Constant) and isinstance(version, ast.Constant):
                self._module.facts.append((str(name.value), int(str(version.value))))
                # all of it is in the key already
                return None
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str):
            self._module.data += self._code.named(node.value)
            if self._code.is_module(node.value):
                return ast.Constant("a module")
        return node

    def _note(self, base: str, name: str) -> None:
        top = (base or name).split(".")[0]
        if top == "frostline":
            self._module.imports |= set(self._code.imported(self._name, base, name))
        else:
            self._module.libraries.add(top)


def changes(code: Code, recorded: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Say what became of the facts since they were written down; empty if nothing did."""
    said = []
    facts = {fact.name: fact for fact in code.facts()}
    for name, fact in facts.items():
        before = recorded.get(name)
        if before is None:
            said.append(f"{name}: is new; renew the digests")
        elif before["version"] != fact.version:
            said.append(f"{name}: has version {fact.version} now; renew the digests")
        elif before["digest"] != code.digest(fact.module):
            said.append(
                f"{name}: code that it turns on changed. If the same inputs give other results, "
                f"raise its version in {fact.module}; then renew the digests"
            )
    said += [f"{name}: is gone; renew the digests" for name in recorded if name not in facts]
    return said


def digests(code: Code) -> dict[str, dict[str, object]]:
    """Return version and digest of every fact, by name."""
    return {
        fact.name: {"version": fact.version, "digest": code.digest(fact.module)}
        for fact in code.facts()
    }


def recorded_digests() -> dict[str, dict[str, object]]:
    """Return what was written down last."""
    found: dict[str, dict[str, object]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


def _name_of(path: Path, source: Path) -> str:
    parts = path.relative_to(source.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Compare, or write down."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--renew", action="store_true", help="write down what the code is now")
    options = parser.parse_args()
    code = Code()
    if options.renew:
        RECORDED.write_text(json.dumps(digests(code), indent=2) + "\n", encoding="utf-8")
        return
    said = changes(code, recorded_digests())
    print("\n".join(said) or "No fact changed.")


if __name__ == "__main__":
    main()
