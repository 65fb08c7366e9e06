"""The laws of the house: which way imports point, what the core may touch, who builds a proof, how large things get."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gateway", "keystore")

# Lowest floor first. A module imports lower floors, or its own sub-package (gateway.s3.*, gateway.wire.*, …).
PURE_FLOORS = [
    ["keystore.errors", "keystore.statements"],
    ["keystore.derived"],
    [
        "keystore.scope",
        "keystore.source_cidrs",
        "keystore.accounts",
        "keystore.lease",
        "gateway.spans",
        "gateway.trace_context",
        "gateway.unix_address",
    ],
    ["keystore.bucket_claims"],
    ["keystore.access_key", "gateway.s3", "gateway.source"],
    ["keystore.admin_tokens"],
    ["keystore.record", "keystore.key_acts", "gateway.payload"],
    ["keystore.chain", "gateway.sigv4"],
    [
        "gateway.iam.claim",
        "gateway.iam.documents",
        "gateway.iam.errors",
        "gateway.iam.names",
        "gateway.iam.reach",
        "gateway.iam.request",
        "gateway.iam.tags",
        "gateway.iam.verify",
    ],
    ["keystore.audit", "keystore.mark", "keystore.verified_rows"],
    ["keystore.found_rows"],
    ["gateway.header_policy", "gateway.reply_policy", "gateway.reply_documents", "gateway.store_errors"],
    ["gateway.authorize"],
    ["gateway.delete_result"],
    ["gateway.forward", "gateway.respond", "gateway.verdict", "gateway.refusals"],
    ["gateway.pipeline"],
    ["gateway.post_form"],
]
# ---- the waterline: everything above is pure, everything below does IO, reads clocks or draws randomness ----
DEEP_FLOORS = [
    ["keystore.minting", "keystore.sealing", "gateway.config_sections", "gateway.telemetry", "gateway.spool"],
    ["gateway.config_upstream", "gateway.config_telemetry"],
    ["gateway.config", "keystore.sealed_rows", "keystore.store", "keystore.kek_use"],
    ["keystore.lineage"],
    ["keystore.sqlite_file", "keystore.sqlite_rows", "keystore.postgres_rows", "keystore.means", "keystore.remembered"],
    ["keystore.mutation"],
    ["keystore.mark_file", "keystore.reseal", "keystore.kek_file", "keystore.postgres_server"],
    ["keystore.store_acts", "keystore.postgres_snapshot", "keystore.audited_rows"],
    ["keystore.wal_index", "keystore.board"],
    ["keystore.confirmation", "keystore.postgres_gateways"],
    ["keystore.audited_rows", "keystore.postgres_log", "keystore.postgres_lease"],
    ["keystore.postgres_lookups", "keystore.postgres_confirmation"],
    ["keystore.sqlite", "keystore.postgres", "keystore.postgres_keeper", "keystore.directory", "keystore.high_water"],
    ["keystore.sqlite_audit", "keystore.adoption", "keystore.rotation"],
    ["keystore.usage"],
    ["keystore.refused", "keystore.uploads"],
    [
        "keystore.postgres_audit",
        "keystore.postgres_health",
        "keystore.postgres_high_water",
        "keystore.postgres_refused",
        "keystore.postgres_rotation",
        "keystore.postgres_uploads",
        "keystore.postgres_usage",
    ],
    ["keystore.keystore", "keystore.local_keystore", "keystore.remote_keystore"],
    ["gateway.uploads"],
    ["gateway.usage"],
    ["gateway.console.acts"],
    ["gateway.iam"],
    ["gateway.wire"],
    ["gateway.wiring", "gateway.store_buckets", "gateway.unix_listener", "gateway.health"],
    ["gateway.store_probe", "gateway.store_uploads", "gateway.console"],
    ["gateway.workers"],
    ["gateway.control_plane"],
    ["gateway.serve"],
    ["gateway.embedded"],
    ["gateway.cli"],
    ["gateway.__main__"],
]
FLOORS = PURE_FLOORS + DEEP_FLOORS
IMPURE_MODULES = {
    "aiohttp",
    "aiosqlite",
    "asyncio",
    "asyncpg",
    "multiprocessing",
    "os",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "urllib.request",
}
IMPURE_CALLS = {"open", "print", "input", "now", "utcnow", "today"}
PROOFS = {
    "Authenticated": "gateway/sigv4/verify.py",
    "Authorized": "gateway/authorize.py",
    "Proven": "gateway/iam/verify.py",
}
# Names that say nothing: one word for one thing, from the field.
EMPTY_NAMES = {
    "utils",
    "util",
    "common",
    "core",
    "helpers",
    "helper",
    "base",
    "misc",
    "manager",
    "process",
    "data",
    "info",
}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}
each_module = pytest.mark.parametrize("module", MODULES)


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def _floor(module: str) -> int:
    """The two packages themselves stand below everything: they are empty. -1 for them."""
    if module in PACKAGES:
        return -1
    wanted = module
    while wanted not in PACKAGES:
        for number, names in enumerate(FLOORS):
            if wanted in names:
                return number
        wanted = wanted.rpartition(".")[0]
    raise AssertionError(f"{module} stands on no floor: add it to PURE_FLOORS or DEEP_FLOORS")


def _imports(module: str) -> Iterator[str]:
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: absolute imports only, the arrow must be readable"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _own_imports(module: str) -> set[str]:
    own = {name for name in _imports(module) if name.partition(".")[0] in PACKAGES}
    return {name if name in MODULES else name.rpartition(".")[0] for name in own}


def _functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _called(node: ast.Call) -> str:
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


@each_module
def test_imports_point_down(module: str) -> None:
    for target in _own_imports(module) - {module}:
        same_package = module.count(".") >= 2 and target.rpartition(".")[0] == module.rpartition(".")[0]
        own_package = target.startswith(f"{module}.")  # an __init__ that names what its package offers
        assert same_package or own_package or _floor(target) < _floor(module), f"{module} must not know {target}"


@each_module
def test_the_keystore_never_knows_the_gateway(module: str) -> None:
    if module.partition(".")[0] == "keystore":
        assert not [target for target in _own_imports(module) if target.partition(".")[0] == "gateway"]


def test_no_import_goes_in_a_circle() -> None:
    TopologicalSorter({module: _own_imports(module) - {module} for module in MODULES}).prepare()


def test_every_floor_is_lived_on() -> None:
    lived_on = set(MODULES) | {module.rpartition(".")[0] for module in MODULES}
    assert not [name for names in FLOORS for name in names if name not in lived_on]


@each_module
def test_the_core_is_pure(module: str) -> None:
    if not 0 <= _floor(module) < len(PURE_FLOORS):
        return
    touched = {name for name in _imports(module) for impure in IMPURE_MODULES if f"{name}.".startswith(f"{impure}.")}
    assert not touched
    calls = {_called(node) for node in ast.walk(_tree(module)) if isinstance(node, ast.Call)}
    assert not calls & IMPURE_CALLS


@each_module
def test_proofs_are_built_in_one_place(module: str) -> None:
    """Neither called, nor made by `__new__`, `_make` or `_replace`, anywhere but where the checks are."""
    foreign = {proof for proof, home in PROOFS.items() if MODULES[module] != ROOT / home}
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Call):
            arguments = {getattr(argument, "id", "") for argument in node.args}
            assert _called(node) not in foreign
            assert not (_called(node) == "__new__" and arguments & foreign)
        elif isinstance(node, ast.Attribute):
            assert not (node.attr in {"_make", "_replace", "__new__"} and getattr(node.value, "id", "") in foreign)


def test_each_proof_is_built_exactly_where_it_should_be() -> None:
    for proof, home in PROOFS.items():
        calls = [node for node in ast.walk(_tree(_name(ROOT / home))) if isinstance(node, ast.Call)]
        assert [node for node in calls if _called(node) == proof], f"{home} builds no {proof}"


@each_module
def test_every_module_has_its_test_file(module: str) -> None:
    path = MODULES[module].relative_to(ROOT)
    if not path.name.startswith("__"):
        assert (ROOT / "tests" / path.parent / f"test_{path.name}").exists()


def test_every_unit_test_has_its_module() -> None:
    """test_NAME.py, or test_NAME_ASPECT.py where one file would be too long."""
    for package in PACKAGES:
        for path in (ROOT / "tests" / package).rglob("test_*.py"):
            folder = ROOT / path.relative_to(ROOT / "tests").parent
            tested = path.stem.removeprefix("test_")
            modules = {module.stem for module in folder.glob("*.py")}
            assert any(f"{tested}_".startswith(f"{name}_") for name in modules), f"{path.name} tests no module"


@each_module
def test_every_module_states_its_law(module: str) -> None:
    assert ast.get_docstring(_tree(module)) or not _tree(module).body


@each_module
def test_files_and_functions_stay_readable(module: str) -> None:
    assert len(MODULES[module].read_text().splitlines()) <= MAX_FILE_LINES
    for function in _functions(module):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        assert lines <= MAX_FUNCTION_LINES, f"{module}.{function.name} has {lines} lines"


@each_module
def test_names_say_something(module: str) -> None:
    assert not EMPTY_NAMES & set(module.split("."))
    for function in _functions(module):
        every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        assert "key" not in {argument.arg for argument in every}, f"{module}.{function.name}: which key?"


@each_module
def test_packages_hold_no_logic_of_their_own(module: str) -> None:
    if MODULES[module].name == "__init__.py":
        for node in _tree(module).body:
            exported = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {"__all__", "__version__"}
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert exported or docstring or isinstance(node, ast.Import | ast.ImportFrom), ast.unparse(node)
