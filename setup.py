"""Metadata, dependencies and extras; the tools' configuration is in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

VERSION = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "skad" / "__init__.py").read_text(), re.M
).group(1)

PLOT = ["matplotlib>=3.8"]
PYOD = ["pyod>=3.6"]
TABLE = ["pandas>=2.2", "pyarrow>=15"]
VIDEO = ["av>=14"]
VISION = ["safetensors>=0.5", "transformers>=5"]
BENCHMARK = [*PLOT, *PYOD, *TABLE, "jinja2>=3.1"]
TEST = [
    *BENCHMARK,
    *VIDEO,
    *VISION,
    "hypothesis>=6.100",
    "numpydoc>=1.8",
    "pytest>=8.3",
    "pytest-xdist>=3.6",
]
DOC = [
    *BENCHMARK,
    "numpydoc>=1.8",
    "pydata-sphinx-theme>=0.16",
    "sphinx>=8",
    "sphinx-copybutton>=0.5",
    "sphinx-design>=0.6",
    "sphinx-gallery>=0.18",
]

setup(
    name="skad",
    version=VERSION,
    description="Anomaly detection methods behind scikit-learn's interface",
    long_description=(ROOT / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="BSD-3-Clause",
    classifiers=[
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering",
    ],
    python_requires=">=3.11",
    packages=find_packages(include=["skad", "skad.*"]),
    package_data={"skad.benchmark": ["*.html.j2"]},
    install_requires=[
        "cloudpickle>=3",
        "joblib>=1.4",
        "numba>=0.61",
        "numpy>=1.26",
        "scikit-learn>=1.6",
        "scipy>=1.12",
        "skorch>=1.2",
        "torch>=2.5",
        "tqdm>=4.66",
    ],
    extras_require={
        "bench": [*BENCHMARK, "asv>=0.6.4"],
        "benchmark": BENCHMARK,
        "doc": DOC,
        "lint": ["ruff>=0.9"],
        "plot": PLOT,
        "pyod": PYOD,
        "table": TABLE,
        "test": TEST,
        "video": VIDEO,
        "vision": VISION,
    },
)
