"""What importing skad costs and gives."""

import subprocess
import sys
from importlib import import_module

import pytest

import skad

# scikit-learn itself loads pandas where it finds it, hence not among these.
OPTIONAL = {"av", "matplotlib", "pyod", "safetensors", "transformers"}
HEAVY = OPTIONAL | {"numba", "skorch", "torch"}
# `import skad` loads not even these: it costs next to nothing.
ANY = HEAVY | {"joblib", "numpy", "pandas", "scipy", "sklearn"}
MODULES = ("skad", *(f"skad.{name}" for name in skad._SUBMODULES))
PUBLIC = [
    (module, name) for module in MODULES for name in import_module(module).__all__
]


def loaded_by(statement, names):
    """Run a statement in a fresh interpreter; which of the modules has it loaded?"""
    code = f"{statement}\nimport sys\nprint(*({names!r} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import skad", "import skad; dir(skad)"])
def test_import_loads_nothing_heavy(statement):
    assert loaded_by(statement, ANY) == set()


def test_the_probe_sees_what_is_loaded():
    assert loaded_by("import numba", HEAVY) >= {"numba"}


@pytest.mark.parametrize("module", MODULES)
def test_import_of_a_module_loads_nothing_heavy(module):
    assert loaded_by(f"import {module}", HEAVY) == set()


@pytest.mark.parametrize("name", skad._ESTIMATORS)
def test_import_of_a_detector_loads_no_optional_dependency(name):
    assert loaded_by(f"from skad import {name}", OPTIONAL) == set()


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_public_name_resolves(module, name):
    assert getattr(import_module(module), name) is not None


@pytest.mark.parametrize("module", MODULES)
def test_dir_lists_the_public_names(module):
    module = import_module(module)
    assert set(module.__all__) <= set(dir(module))


def test_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        skad.nonsense  # noqa: B018


def test_version_is_the_installed_one():
    from importlib.metadata import version

    assert skad.__version__ == version("skad")
