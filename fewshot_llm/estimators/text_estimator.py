"""What scikit-learn has to know of every estimator that reads texts."""

from __future__ import annotations

from typing import Self

from sklearn.base import BaseEstimator
from sklearn.utils import Tags

__all__ = ["TextEstimator"]


class TextEstimator(BaseEstimator):  # type: ignore[misc]
    """Base of the estimators: parameters that are shared by clones, and input that is text."""

    def __sklearn_clone__(self) -> Self:
        # Parameters are shared, not copied: a loaded model for every fold and grid point would fill the memory.
        return type(self)(**self.get_params(deep=False))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags
