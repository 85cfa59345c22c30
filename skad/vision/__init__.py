"""CLIPs, nets that know images and words, for :class:`skad.GenCLIP`."""

from importlib import import_module

__all__ = ["HuggingFaceCLIP", "train_clip"]

_MODULES = {
    "HuggingFaceCLIP": "skad._nets._hugging_face_clip",
    "train_clip": "skad.vision._train_clip",
}


def __getattr__(name):
    # On first use: it loads torch.
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'skad.vision' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
