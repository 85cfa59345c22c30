"""A few normal images, as a memory that new ones are compared with."""

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skad._nets._clip_rows import ReferenceTokens


class ReferenceImagesMixin:
    """Mixin that gives GenCLIP the method ``set_references``."""

    def set_references(self, X, *, class_names=None):
        """Remember what some normal images are like, and take the threshold from them.

        Maps are then probabilities plus distances from the nearest patches of these
        images. The CLIP and the prompts stay as they are.

        Parameters
        ----------
        X : array-like of images or None
            Different normal images, at least two of each class. If None, those that
            were given before are forgotten, and the threshold is again what it was.

        class_names : str or array-like of str of shape (n_samples,), default=None
            What they show. Images to score are then compared with those of the same
            class only, and have to be of one of them. If None, all are compared with
            all, whatever their classes.

        Returns
        -------
        self : object
            The detector. `contamination` of the references are below its threshold,
            each of them being compared with the others.

        Raises
        ------
        ValueError
            If there is only one image of a class.
        """
        check_is_fitted(self)
        if X is None:
            self.offset_ = self._own_offset()
            self._references = None
            return self
        data = self._validate(X, reset=False, class_names=class_names)
        references = ReferenceTokens(
            self._rows(data).patches(), None if class_names is None else data.labels
        )
        _, number = np.unique(data.X, axis=0, return_inverse=True)
        differ = number.reshape(-1, 1) != number.ravel()
        others = references.allowed(data.labels) & torch.from_numpy(differ)
        alone = ~others.any(1)
        if alone.any():
            label = str(data.labels[int(alone.nonzero()[0])])
            raise ValueError(
                f"X holds one image of the class {label!r}, or the same again; "
                "references are compared with one another, and are at least two "
                "different ones of each class."
            )
        scores = -self.net_.evaluate(self._rows(data, (references, others)))
        self._offset_before = self._own_offset()
        self.offset_ = self._threshold(self._finite(scores))
        self._references = references
        return self

    def _own_offset(self):
        """Return the threshold of scores without references."""
        return self.offset_ if self._references is None else self._offset_before

    def _memory(self, data):
        """Return the references, and which of them each image is compared with."""
        references = self._references
        if references is None:
            return None
        allowed = references.allowed(data.labels)
        alone = ~allowed.any(1)
        if alone.any():
            label = str(data.labels[int(alone.nonzero()[0])])
            known = ", ".join(map(repr, sorted(set(references.names.tolist()))))
            raise ValueError(
                f"class_names holds {label!r}, of which set_references got no images; "
                f"it got some of {known}."
            )
        return references, allowed
