"""Estimators that use a pretrained net: how it is shared, pickled and found again."""

from copy import copy
from os import PathLike
from threading import RLock

from torch import nn

from skad._nets._backbones import load_backbone
from skad._nets._weights import checksum

# One load at a time: threads that use an unpickled detector share what is loaded.
_LOADING = RLock()


class BackboneMixin:
    """Mixin for estimators with a parameter ``backbone``, a net that is not trained.

    ``_fit`` calls ``_set_teacher()``, and everything else gets the net from
    ``_get_teacher()``. An estimator may train a teacher of its own, and hands that to
    ``_set_teacher``; one that needs another kind of net overrides ``_load_backbone``.

    A clone shares the backbone with the original. The pickle of a fitted estimator
    holds a teacher of its own, but not what ``backbone`` can be loaded from again; this
    is done when it is first needed, and an error if the weights are others by then. A
    module that was given as ``backbone`` is in the pickle like any parameter.

    It stands before the base class of the estimator.
    """

    _parameter_constraints: dict = {"backbone": [callable, str, PathLike, None]}

    def _load_backbone(self):
        """Return the net that the parameter stands for, an ``nn.Module``."""
        return load_backbone(self.backbone)

    def _set_teacher(self, teacher=None):
        """Begin with a teacher: the given one, or what ``backbone`` stands for."""
        self._teacher_checksum = None
        if teacher is None:
            teacher = self._load_backbone()
            self._teacher_checksum = checksum(teacher)
        self._teacher = teacher
        return teacher

    def _get_teacher(self):
        """Return the teacher of the fit, on the device where it was last used.

        After unpickling it is loaded again, on the CPU.
        """
        if not hasattr(self, "_teacher"):
            with _LOADING:
                if not hasattr(self, "_teacher"):
                    self._teacher = self._load_again()
        return self._teacher

    def _load_again(self):
        teacher = self._load_backbone()
        if checksum(teacher) != self._teacher_checksum:
            given = self.backbone
            # The text of a module is as long as it has layers.
            name = type(given).__name__ if isinstance(given, nn.Module) else repr(given)
            raise ValueError(
                f"The weights of backbone={name} are not those that this "
                f"{type(self).__name__} was fitted with. Fit it again, or set backbone "
                "to where those are."
            )
        return teacher

    def __getstate__(self):
        state = super().__getstate__()
        if state.get("_teacher_checksum") is None:
            return state
        return {name: value for name, value in state.items() if name != "_teacher"}

    def __sklearn_clone__(self):
        # Only the other parameters are copied; a net may hold gigabytes.
        shell = copy(self)
        shell.backbone = None
        cloned = super(BackboneMixin, shell).__sklearn_clone__()
        cloned.backbone = self.backbone
        return cloned
