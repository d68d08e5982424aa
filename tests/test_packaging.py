"""The project as a whole: what is public, what is declared, what the wheel holds, how fast the door opens."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gputwas import __version__
from gputwas.kernels import library

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODULES = sorted((ROOT / "gputwas").rglob("*.py")) + sorted((ROOT / "kernels").glob("*.py"))
MODULES = sorted({path.resolve() for path in MODULES})
FULL_MODULES = [path for path in MODULES if path.read_text().strip() and path.name != "__init__.py"]

# Distribution -> the name it is imported by, where the two differ.
IMPORT_NAMES = {
    "array-api-compat": "array_api_compat",
    "array-api-extra": "array_api_extra",
    "cupy-cuda12x": "cupy",
    "cupy-cuda13x": "cupy",
}
# Brought along by an extra, under another name of its own.
COMPANIONS = {"cupyx": "cupy", "jaxlib": "jax"}
HEAVY = {"numpy", "scipy", "pandas", "pyarrow", "matplotlib", "duckdb", "jax", "cupy"}


def module_id(path: Path) -> str:
    """Name of a module in test reports."""
    return str(path.relative_to(ROOT))


def declared(requirements: list[str]) -> set[str]:
    """Import names of requirement strings."""
    names = [re.split(r"[<>=!~ \[;]", text, maxsplit=1)[0].lower() for text in requirements]
    return {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level names of the modules that a syntax tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function below its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def output_of(command: list[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command; a failure shows what it said."""
    answer = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert answer.returncode == 0, answer.stderr
    return answer


def tracked(*folders: str) -> list[str]:
    """Files under version control that are there."""
    listing = output_of(["git", "ls-files", *folders], cwd=ROOT).stdout.splitlines()
    return [name for name in listing if (ROOT / name).exists()]


def test_version_is_stated_alike_everywhere() -> None:
    version = PROJECT["version"]
    assert __version__ == version
    assert re.search(rf"^version: {re.escape(version)}$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None and newest[1] == version


@pytest.mark.parametrize("path", FULL_MODULES, ids=module_id)
def test_module_says_what_is_public(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "no docstring that says what goes in and what comes out"
    defined, listed = set(), None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            if names == {"__all__"}:
                assert isinstance(node.value, ast.List | ast.Tuple)
                listed = [ast.literal_eval(item) for item in node.value.elts]
            defined |= names
        elif isinstance(node, ast.ImportFrom):
            defined |= {alias.asname or alias.name for alias in node.names}
    if path.parent.name == "cli":
        return  # commands are public by their registration, not by import
    assert listed is not None, "no __all__"
    assert len(listed) == len(set(listed))
    assert set(listed) <= defined, f"in __all__ but not there: {set(listed) - defined}"
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    leaked = {name for name in own if not name.startswith("_")} - set(listed)
    assert not leaked, f"public but not in __all__: {leaked}"


@pytest.mark.parametrize("path", FULL_MODULES, ids=module_id)
def test_module_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 500
    functions = (
        n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    too_long = {function.name: code_lines(function) for function in functions if code_lines(function) > 70}
    assert not too_long


def test_imports_are_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    known = declared(PROJECT["dependencies"])
    for name, requirements in extras.items():
        if name != "dev":  # tools of the developers are not there for users
            known |= declared(requirements)
    known |= {companion for companion, owner in COMPANIONS.items() if owner in known}
    used = {name: path for path in MODULES for name in imported(ast.parse(path.read_text()))}
    foreign = {name: path for name, path in used.items() if name not in sys.stdlib_module_names | {"gputwas"}}
    undeclared = {name: module_id(path) for name, path in foreign.items() if name not in known}
    assert not undeclared


def test_every_core_dependency_has_its_reason_in_the_readme() -> None:
    row = re.compile(r"^\| ([a-z][a-z0-9, -]*) \| .+ \|$", re.MULTILINE)
    explained = {
        name for names in row.findall((ROOT / "README.md").read_text()) for name in names.split(", ")
    }
    needed = {re.split(r"[<>=!~ \[;]", text, maxsplit=1)[0] for text in PROJECT["dependencies"]}
    assert needed - explained == set()


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import json, sys\n"
        "sys.argv = ['gputwas', '--help']\n"
        "from gputwas.cli.main import run\n"
        "try: run()\n"
        "except SystemExit as end: assert end.code in (0, None), end.code\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)\n"
    )
    answer = output_of([sys.executable, "-c", code], cwd=ROOT)
    assert "spredixcan" in answer.stdout
    assert not HEAVY & set(json.loads(answer.stderr.splitlines()[-1]))


def test_test_folders_are_packages() -> None:
    # Two test modules of one name are told apart only by their packages.
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    assert {folder for folder in folders if not (folder / "__init__.py").is_file()} == set()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by way of a source archive from a copy of the tracked files."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    source.mkdir()
    archive = folder / "tracked.tar"
    output_of(["tar", "-cf", archive, "--", *tracked()], cwd=ROOT)
    output_of(["tar", "-xf", archive], cwd=source)
    code = (
        "import os, sys, tarfile, setuptools.build_meta as b\n"
        "out = sys.argv[1]\n"  # setuptools puts words of its own into sys.argv
        "name = b.build_sdist(out)\n"
        "tarfile.open(os.path.join(out, name)).extractall(out, filter='data')\n"
        "os.chdir(os.path.join(out, name.removesuffix('.tar.gz')))\n"
        "b.build_wheel(out)\n"
    )
    output_of([sys.executable, "-c", code, folder], cwd=source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_wheel_is_whole(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    names = [name for name in tracked("gputwas", "kernels") if name != "gputwas/kernels"]
    wanted = {f"gputwas/{name}" if name.startswith("kernels/") else name for name in names}
    assert any(name.endswith(".cu") for name in wanted)
    assert wanted <= inside
    if shutil.which("gcc"):
        assert any(re.fullmatch(r"gputwas/kernels/_cpu\..*so", name) for name in inside)
    information = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    assert {name.split("/")[0] for name in inside} == {"gputwas", information}


@pytest.mark.slow
def test_installed_wheel_answers(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    output_of([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel])
    # What it depends on is lent by this environment; that all of it is declared is another test's matter.
    lent = [path for path in sys.path if path.endswith("site-packages")]
    target = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    (target / "lent.pth").write_text("\n".join(lent) + "\n")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = tmp_path / "venv" / "bin" / "gputwas"
    answer = output_of([command, "--help"], env=environment, cwd=tmp_path)
    assert "associate" in answer.stdout
    code = (
        "import gputwas; from importlib.resources import files; from gputwas.kernels import library\n"
        "print(gputwas.__file__, [item.name for item in files('gputwas.kernels').iterdir()])\n"
        "print(library.is_there())\n"
    )
    environment.pop(library.OFF, None)
    where = output_of([python, "-c", code], env=environment, cwd=tmp_path)
    assert str(tmp_path) in where.stdout
    assert ".cu" in where.stdout
    if shutil.which("gcc"):
        assert where.stdout.splitlines()[-1] == "True"
