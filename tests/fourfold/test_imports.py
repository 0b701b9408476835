"""Holds DESIGN.md's folder table to the code, by reading it: nothing heavy is imported here."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "fourfold": {"kernels"},
    "ingest": {"fourfold"},
    "retrieval": {"fourfold"},
    "tuning": {"fourfold", "kernels"},
    "kernels": set(),
    "evals": {"fourfold"},
    "app": {"fourfold", "ingest", "retrieval", "tuning", "kernels", "evals"},
}
# `from fourfold import Study` resolves to app's when it is asked for.
NAMED_EXCEPTION = ("fourfold", "app")
HEAVY = frozenset(
    [
        "bitsandbytes", "bm25s", "llama_index", "peft", "pymupdf", "qdrant_client", "sentence_transformers", "torch",
        "transformers",
    ]
)  # fmt: skip
MAY_IMPORT_HEAVY = {"ingest": {"pymupdf"}, "kernels": {"torch"}}


@dataclass(frozen=True)
class Import:
    importer: str
    target: str
    line: int
    lazy: bool = False
    for_types: bool = False

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def module_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] == "fourfold" else ("fourfold", *parts))


def folder_of(module: str) -> str | None:
    """The folder that holds a module of ours; None for others."""
    first, *rest = module.split(".")
    if first != "fourfold":
        return None
    return rest[0] if rest and rest[0] in MAY_IMPORT else "fourfold"


def read_sources(root: Path) -> dict[str, ast.Module]:
    return {
        module_of(path, root): ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for folder in MAY_IMPORT
        for path in sorted((root / folder).rglob("*.py"))
    }


def find_imports(sources: dict[str, ast.Module]) -> list[Import]:
    return [found for module, tree in sources.items() for found in _walk(tree, module, sources, False, False)]


def _walk(node: ast.AST, module: str, sources: dict[str, ast.Module], lazy: bool, for_types: bool) -> Iterator[Import]:
    for target in _targets(node, sources):
        yield Import(module, target, getattr(node, "lineno", 0), lazy, for_types)
    lazy = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for child in node.body:
            yield from _walk(child, module, sources, lazy, True)
        for child in node.orelse:
            yield from _walk(child, module, sources, lazy, for_types)
        return
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, module, sources, lazy, for_types)


def _targets(node: ast.AST, sources: dict[str, ast.Module]) -> Iterator[str]:
    match node:
        case ast.Import():
            yield from (alias.name for alias in node.names)
        case ast.ImportFrom(level=0, module=str(module)):
            for alias in node.names:
                name = f"{module}.{alias.name}"
                yield name if name in sources else module
        case ast.ImportFrom():
            yield "relative"
        case ast.Call(func=ast.Name(id="import_module" | "__import__"), args=[ast.Constant(value=str(name)), *_]):
            yield name
        case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
            yield name


def wrong_directions(imports: list[Import]) -> list[str]:
    wrong = []
    for found in imports:
        own, other = folder_of(found.importer), folder_of(found.target)
        assert own is not None
        if found.target == "relative":
            wrong.append(f"{found}: write the whole name")
        if other is None or other == own or other in MAY_IMPORT[own]:
            continue
        if (found.importer, other) == NAMED_EXCEPTION and found.lazy:
            continue
        wrong.append(str(found))
    return wrong


def eager_kernels(imports: list[Import]) -> list[str]:
    """Imports of kernels by fourfold/ that are not lazy ones in llm/."""
    of_kernels = [i for i in imports if folder_of(i.importer) == "fourfold" and folder_of(i.target) == "kernels"]
    return [str(i) for i in of_kernels if not (i.importer.startswith("fourfold.llm.") and (i.lazy or i.for_types))]


def eager_heavy(imports: list[Import]) -> list[str]:
    return [
        str(found)
        for found in imports
        if not (found.lazy or found.for_types)
        and found.target.split(".")[0] in HEAVY - MAY_IMPORT_HEAVY.get(folder_of(found.importer) or "", set())
    ]


def find_cycle(imports: list[Import], sources: dict[str, ast.Module]) -> list[str]:
    """A cycle of modules, lazy imports included; empty if there is none."""
    edges: dict[str, set[str]] = {module: set() for module in sources}
    for found in imports:
        if found.target in sources and (found.importer, folder_of(found.target)) != NAMED_EXCEPTION:
            edges[found.importer].add(found.target)
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for target in sorted(edges[module]):
            if cycle := visit(target, (*path, module)):
                return cycle
        done.add(module)
        return []

    return next((cycle for module in sorted(edges) if (cycle := visit(module, ()))), [])


def reads_environment(tree: ast.Module) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {"environ", "getenv"} & _names(node))
    ]


def _names(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


def prints(tree: ast.Module) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


@pytest.fixture(scope="module")
def sources() -> dict[str, ast.Module]:
    found = read_sources(ROOT)
    assert len(found) > 50
    return found


@pytest.fixture(scope="module")
def imports(sources: dict[str, ast.Module]) -> list[Import]:
    return find_imports(sources)


def test_folders_import_only_what_the_design_allows(imports: list[Import]) -> None:
    assert {folder_of(found.target) for found in imports} > {"fourfold", "ingest", "retrieval", "tuning", "evals"}
    assert wrong_directions(imports) == []


def test_fourfold_reaches_kernels_lazily_and_in_llm_only(imports: list[Import]) -> None:
    assert eager_kernels(imports) == []


def test_no_module_imports_itself_by_way_of_others(imports: list[Import], sources: dict[str, ast.Module]) -> None:
    assert find_cycle(imports, sources) == []


def test_heavy_packages_are_imported_where_they_are_used(imports: list[Import]) -> None:
    assert any(found.target == "torch" for found in imports)
    assert eager_heavy(imports) == []


def test_importing_every_module_beside_app_loads_nothing_heavy(sources: dict[str, ast.Module]) -> None:
    modules = sorted(module for module in sources if folder_of(module) in {"fourfold", "retrieval", "tuning", "evals"})
    heavy = sorted(HEAVY)
    code = f"import importlib, sys\nfor m in {modules}: importlib.import_module(m)\nprint({heavy} & sys.modules.keys())"
    code = code.replace(f"print({heavy}", f"print(set({heavy})")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")


def test_the_environment_is_read_in_app_only(sources: dict[str, ast.Module]) -> None:
    found = {module: reads_environment(tree) for module, tree in sources.items()}
    assert any(lines for module, lines in found.items() if folder_of(module) == "app")
    assert {module: lines for module, lines in found.items() if lines and folder_of(module) != "app"} == {}


def test_printing_is_done_in_app_only(sources: dict[str, ast.Module]) -> None:
    found = {module: prints(tree) for module, tree in sources.items() if folder_of(module) != "app"}
    assert {module: lines for module, lines in found.items() if lines} == {}


def test_every_package_is_installed_and_typed(sources: dict[str, ast.Module]) -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packages = {
        module_of(path, ROOT) for folder in MAY_IMPORT for path in (ROOT / folder).rglob("__init__.py")
    }  # fmt: skip
    assert set(setuptools["packages"]) == packages
    assert {module.rpartition(".")[0] for module in sources} - {""} <= packages
    for folder in MAY_IMPORT:
        assert (ROOT / folder / "py.typed").is_file(), folder


def plant(tmp_path: Path, files: dict[str, str]) -> dict[str, ast.Module]:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_sources(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("evals/a.py", "from fourfold.ingest.b import c"),
        ("evals/a.py", "def f():\n    import fourfold.retrieval.b"),
        ("ingest/a.py", "from fourfold import kernels"),
        ("kernels/a.py", "from fourfold.types import Chunk"),
        ("kernels/a.py", "import fourfold"),
        ("retrieval/a.py", "import importlib\nimportlib.import_module('fourfold.app.cli')"),
        ("tuning/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from fourfold.evals import x"),
        ("fourfold/__init__.py", "from fourfold.app.study import Study"),
        ("fourfold/store.py", "def f():\n    from fourfold.app.study import Study"),
        ("fourfold/store.py", "from . import types"),
    ],
)
def test_a_planted_wrong_direction_is_found(tmp_path: Path, name: str, text: str) -> None:
    files = {f"{folder}/__init__.py": "" for folder in MAY_IMPORT}
    assert wrong_directions(find_imports(plant(tmp_path, files))) == []
    assert len(wrong_directions(find_imports(plant(tmp_path, {name: text})))) == 1


def test_the_named_exception_is_lazy(tmp_path: Path) -> None:
    text = "def __getattr__(name):\n    from fourfold.app.study import Study\n    return Study"
    sources = plant(
        tmp_path, {"fourfold/__init__.py": text, "app/study.py": "import fourfold", "app/__init__.py": ""}
    )  # fmt: skip
    imports = find_imports(sources)
    assert wrong_directions(imports) == []
    assert find_cycle(imports, sources) == []


def test_a_planted_cycle_is_found_though_lazy(tmp_path: Path) -> None:
    sources = plant(
        tmp_path,
        {
            "fourfold/a.py": "from fourfold.b import x",
            "fourfold/b.py": "def f():\n    import fourfold.c",
            "fourfold/c.py": "from fourfold import a",
        },
    )
    assert find_cycle(find_imports(sources), sources) == ["fourfold.a", "fourfold.b", "fourfold.c", "fourfold.a"]


def test_planted_heavy_imports_are_found(tmp_path: Path) -> None:
    sources = plant(
        tmp_path,
        {
            "fourfold/llm/a.py": "import torch.nn\nfrom fourfold.kernels import x",
            "fourfold/llm/b.py": "def f():\n    import torch\n    from fourfold.kernels import x",
            "fourfold/c.py": "def f():\n    from fourfold.kernels import x",
            "ingest/d.py": "import pymupdf",
            "retrieval/e.py": "try:\n    from bm25s import BM25\nexcept ImportError:\n    pass",
        },
    )
    imports = find_imports(sources)
    assert eager_heavy(imports) == ["fourfold.llm.a:1 imports torch.nn", "fourfold.retrieval.e:2 imports bm25s"]
    assert eager_kernels(imports) == [
        "fourfold.c:2 imports fourfold.kernels", "fourfold.llm.a:2 imports fourfold.kernels"
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["import os\nos.environ['A']", "import os\nos.getenv('A')", "from os import environ"])
def test_a_planted_reading_of_the_environment_is_found(text: str) -> None:
    assert reads_environment(ast.parse(text))
    assert not reads_environment(ast.parse("import os\nos.stat('A')"))


def test_a_planted_print_is_found() -> None:
    assert prints(ast.parse("x = 1\nprint(x)")) == [2]
    assert prints(ast.parse("pprint(x)")) == []
