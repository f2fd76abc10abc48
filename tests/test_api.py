"""The public names are documented, imports point one way, and the package stays small."""

import ast
import importlib
import inspect
import itertools
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import vidgen_tf

ROOT = Path(vidgen_tf.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
FAMILIES = {f"vidgen_tf.families.{path.stem}" for path in (ROOT / "families").glob("[!_]*.py")}
WORLDS = {f"vidgen_tf.worlds.{path.stem}" for path in (ROOT / "worlds").glob("[!_]*.py")}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, everywhere: bool) -> set[str]:
    """The modules that a file imports, at its top or `everywhere` in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if everywhere else top(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            inner = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if is_module(name) else node.module for name in inner}
    return found


def top(node: ast.AST):
    """The statements that run when a module is imported: all but the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from top(child)


def is_module(name: str) -> bool:
    path = ROOT.parent / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def own(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] == "vidgen_tf"}


def public() -> list:
    """Every public function, class and method of the modules: (name, object)."""
    found = {}
    for path in FILES:
        module = importlib.import_module(module_of(path))
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(value):
                found[f"{module.__name__}.{name}"] = value
            elif inspect.isclass(value):
                found[f"{module.__name__}.{name}"] = value
                for inner, method in vars(value).items():
                    if inspect.isfunction(method) and not inner.startswith("_"):
                        found[f"{module.__name__}.{name}.{inner}"] = method
    return sorted(found.items())


PUBLIC = public()
NAMES = [name for name, _ in PUBLIC]


@pytest.mark.parametrize("name", vidgen_tf.__all__)
def test_every_public_name_loads_and_says_what_it_is(name):
    value = getattr(vidgen_tf, name)
    assert value.__doc__
    assert value.__doc__.strip().splitlines()[0].endswith((".", ":"))
    assert name in dir(vidgen_tf)
    assert value.__module__.startswith("vidgen_tf.")


def test_unknown_names_are_refused_with_what_there_is():
    with pytest.raises(AttributeError, match="no 'nonsense'; it has check_clips"):
        _ = vidgen_tf.nonsense


@pytest.mark.parametrize("name", vidgen_tf.__all__)
def test_every_argument_of_a_public_name_is_explained(name):
    value = getattr(vidgen_tf, name)
    if inspect.isclass(value) and not value.__init__.__module__.startswith("vidgen_tf"):
        return  # Keras explains what it takes
    signature = inspect.signature(value.__init__ if inspect.isclass(value) else value)
    arguments = [argument for argument in signature.parameters if argument not in ("self", "kwargs")]
    missing = [argument for argument in arguments if not re.search(rf"\b{argument}\b", value.__doc__, re.I)]
    if inspect.isclass(value) and missing == ["name"]:
        missing = []
    assert missing == []


# What Keras itself calls has Keras's signatures and Keras's documentation.
KERAS = {
    "call",
    "compute_loss",
    "get_config",
    "fit",
    "evaluate",
    "train_step",
    "test_step",
    "build",
    "compute_output_spec",
}


def documented() -> list[str]:
    return [name for name in NAMES if name.split(".")[-1] not in KERAS and ".on_" not in name]


@pytest.mark.parametrize("name", documented())
def test_every_public_function_and_class_has_a_docstring(name):
    value = dict(PUBLIC)[name]
    if inspect.isfunction(value) and "." in value.__qualname__:  # a method may inherit what its base class says
        owner = vars(importlib.import_module(value.__module__))[value.__qualname__.split(".")[0]]
        assert inspect.getdoc(getattr(owner, value.__name__))
    else:
        assert value.__doc__


@pytest.mark.parametrize("name", [name for name in vidgen_tf.__all__ if not inspect.isclass(getattr(vidgen_tf, name))])
def test_public_functions_have_type_hints(name):
    signature = inspect.signature(getattr(vidgen_tf, name))
    assert signature.return_annotation is not inspect.Signature.empty
    bare = [a.name for a in signature.parameters.values() if a.annotation is inspect.Parameter.empty]
    assert bare == []


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_every_module_says_what_it_is_for_and_stays_short(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= 700


def test_the_package_stays_small():
    # The exercises do not count: they are content of the lessons, and each lesson adds some.
    counted = [path for path in FILES if path.parent.name != "exercises"]
    assert sum(path.read_text(encoding="utf-8").count("\n") for path in counted) < 19_500


NETWORKS = {"clips", "quiet", "layers", "text", "video_model"}
MAY_IMPORT = {  # of the package's own modules; what stands behind a bar only inside of functions
    "": set(),  # each name is loaded when it is used
    "clips": set(),
    "quiet": set(),
    "metrics": {"clips"},
    "preview": {"clips"},
    "scenes": {"clips"},
    "rigid_bodies": {"clips"},
    "styles": {"clips"},
    "flow_estimation": {"clips"},
    "worlds": {"clips", "metrics", "scenes", "rigid_bodies", "styles", "flow_estimation", "worlds", "|quiet"},
    "materials": {"quiet"},
    "path_tracing": {"clips", "quiet", "materials"},
    "denoiser": NETWORKS,
    "layers": {"quiet"},
    "noise_schedules": {"quiet"},
    "text": {"clips", "quiet"},
    "video_model": {"clips", "quiet", "|", "|presets", "|scale_out"},
    "scale_out": {"clips", "quiet"},
    "shards": {"clips", "|quiet"},
    "adversarial": NETWORKS,
    "judge": NETWORKS,
    "segmenter": NETWORKS,
    "detector": NETWORKS | {"metrics"},
    "volume_rendering": {"clips"},
    "autoencoder": NETWORKS,
    "keypoints": NETWORKS | {"autoencoder"},
    "tokenizer": NETWORKS,
    "style_transfer": NETWORKS | {"styles"},
    "families": NETWORKS | {"adversarial", "noise_schedules", "tokenizer", "scenes", "rigid_bodies", "path_tracing"},
    "callbacks": {"clips", "quiet", "preview"},
    "panel": {"clips", "preview", "video_model"},
    "canvas": {"panel"},
    "presets": {"clips", "metrics", "quiet", "scale_out", "|"},
    "scoreboard": {"clips", "metrics", "quiet", "presets", "scale_out", "|"},
    "exercises": {"clips", "metrics", "exercises"},
    "__main__": {
        "clips",
        "|",
        "|callbacks",
        "|panel",
        "|presets",
        "|quiet",
        "|scale_out",
        "|scoreboard",
        "|shards",
        "|worlds",
    },
}


def room(module: str) -> str:
    """The part of the package that a module belongs to: "worlds" for vidgen_tf.worlds.shapes."""
    return [*module.split("."), ""][1]


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_one_way(path):
    name, at_top, anywhere = module_of(path), imports(path, everywhere=False), imports(path, everywhere=True)
    allowed = MAY_IMPORT[room(name)]
    assert {room(module) for module in own(at_top)} <= allowed
    assert {room(module) for module in own(anywhere)} <= {rule.removeprefix("|") for rule in allowed}
    if name in FAMILIES:
        assert not own(anywhere) & (FAMILIES - {name})
    if name != "vidgen_tf.quiet":  # the one door to TensorFlow
        assert not {module.split(".")[0] for module in anywhere} & {"tensorflow", "keras"}
    if name == "vidgen_tf.clips":
        assert "matplotlib" not in {module.split(".")[0] for module in at_top}
    if name == "vidgen_tf":
        assert at_top == {"importlib"}


def words(path: Path) -> set[str]:
    """The words in a file's code, in its names and its strings, but not in comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not (isinstance(part, ast.Expr) and is_text(part.value))]
    return set(re.findall(r"\w+", ast.unparse(tree)))


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


SHARED = [path for path in FILES if room(module_of(path)) not in ("", "__main__", "families")]


@pytest.mark.parametrize("path", SHARED, ids=module_of)
def test_what_serves_all_families_names_none(path):
    classes = {name.split(".")[-1] for name, value in PUBLIC if inspect.isclass(value) and "families" in name}
    assert classes
    assert classes & words(path) == set()


def test_only_installed_dependencies_are_imported():
    known = {"numpy", "PIL", "av", "matplotlib", "keras", "tensorflow", "IPython", "pydicom", "skimage", "vidgen_tf"}
    known |= {"ipywidgets"}  # the extra "lab", and only when a panel is asked for
    standard = set(__import__("sys").stdlib_module_names)
    for path in FILES:
        used = {module.split(".")[0] for module in imports(path, everywhere=True)}
        assert used <= known | standard, path


def test_the_version_is_the_same_everywhere():
    root = Path(__file__).parent.parent
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert vidgen_tf.__version__ == version
    assert f"version {version}" in (root / "README.md").read_text(encoding="utf-8")


def test_the_lock_holds_what_the_project_asks_for():
    root = Path(__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (root / "requirements.txt").read_text(encoding="utf-8")
    assert "-e ." in lock.splitlines()
    assert "http" not in lock.replace("httpcore", "").replace("httpx", "")
    pinned = {line.split("==")[0]: line.split("==")[1].split()[0] for line in lock.splitlines() if "==" in line}
    for asked in itertools.chain(project["dependencies"], *project["optional-dependencies"].values()):
        requirement = Requirement(asked)
        if requirement.name != "vidgen-tf":
            assert requirement.specifier.contains(pinned[requirement.name]), asked
