"""Docstrings say what signatures and fitted attributes are."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

import skad

# numpydoc's checks that do not hold here, each for a reason.
IGNORED = {
    "ES01",  # a one-line summary can be the whole story of a method
    "RT02",  # scikit-learn names what is returned: "labels : ndarray of ..."
    "SA01",  # See Also only where there is something to see
    "EX01",  # required of classes and functions below, not of each method
    "PR06",  # "bool" and "str" are right, but so is "boolean mask"
    "SS06",  # ruff keeps lines under 88 characters
}
API_PAGE = Path(__file__).parents[1] / "doc" / "api.rst"


def public_objects():
    """Map the dotted path of every public class and function to itself."""
    found = {}
    for module in ("skad", *(f"skad.{name}" for name in skad._SUBMODULES)):
        for name in import_module(module).__all__:
            thing = getattr(import_module(module), name)
            if not inspect.ismodule(thing):
                found[f"{module}.{name}"] = thing
    return found


def public_methods(path, cls):
    """Yield the paths of a class's public methods that are defined in skad."""
    for name, member in inspect.getmembers(cls, inspect.isroutine):
        module = getattr(member, "__module__", None) or ""
        if not name.startswith("_") and module.startswith("skad"):
            yield f"{path}.{name}"


OBJECTS = public_objects()
CLASSES = {path: x for path, x in OBJECTS.items() if inspect.isclass(x)}
METHODS = [m for path, cls in CLASSES.items() for m in public_methods(path, cls)]
CALLABLES = [path for path, x in OBJECTS.items() if callable(x)] + METHODS
ESTIMATORS = [f"skad.{name}" for name in skad._ESTIMATORS]


def resolve(path):
    """Return the object at a dotted path of public names."""
    if path in OBJECTS:
        return OBJECTS[path]
    owner, _, name = path.rpartition(".")
    return getattr(OBJECTS[owner], name)


def default_in_words(default):
    """Return the ways in which a docstring may write a default."""
    if isinstance(default, str):
        return {f'"{default}"', repr(default)}
    return {repr(default), getattr(default, "__name__", repr(default))}


@pytest.mark.parametrize("path", CALLABLES)
def test_docstring_is_valid_numpydoc(path):
    errors = [e for e in validate(path)["errors"] if e[0] not in IGNORED]
    assert errors == []


@pytest.mark.parametrize("path", [p for p in CALLABLES if p in OBJECTS])
def test_docstring_has_an_example(path):
    assert ">>> " in inspect.getdoc(resolve(path))


@pytest.mark.parametrize("path", CALLABLES)
def test_docstring_names_the_parameters_with_their_defaults(path):
    signature = inspect.signature(resolve(path)).parameters.values()
    signature = [p for p in signature if p.name != "self"]
    described = get_doc_object(resolve(path))["Parameters"]
    names = [p.name.lstrip("*") for p in described]
    assert names == [p.name for p in signature]
    for parameter, doc in zip(signature, described, strict=True):
        written = re.search(r"default=(.+)$", doc.type)
        if parameter.default is parameter.empty:
            assert written is None, f"{doc.name} has no default"
        elif doc.type != "Ignored":
            assert written is not None, f"{doc.name}: default= is missing"
            assert written.group(1) in default_in_words(parameter.default)


@pytest.mark.parametrize("path", ESTIMATORS)
def test_docstring_lists_the_fitted_attributes(path):
    cls = resolve(path)
    short = {n: 1 for n in inspect.signature(cls).parameters if n.endswith("epochs")}
    detector = cls(**short).fit(np.random.default_rng(0).normal(size=(120, 3)))
    fitted = {a for a in vars(detector) if a.endswith("_") and a[0] != "_"}
    described = {a.name for a in get_doc_object(resolve(path))["Attributes"]}
    assert described - {"feature_names_in_"} == fitted


@pytest.mark.parametrize("path", OBJECTS)
def test_public_name_is_in_the_api_reference(path):
    name = path.removeprefix("skad.")
    assert re.search(rf"^ +{re.escape(name)}$", API_PAGE.read_text(), re.MULTILINE)
