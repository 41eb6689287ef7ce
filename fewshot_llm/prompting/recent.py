"""`Recent`: a small bounded memory for things that are costly to make and asked for again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

V = TypeVar("V")


class Recent(Generic[V]):
    """Keeps the values of the last `size` keys.

    A value may belong to an object that is costly to hash (a support set): give it as `owner`; it is then told apart
    by identity and kept alive as long as the value is, so that its id cannot be taken by another.

    Example:
        >>> squares = Recent[int](size=2)
        >>> squares.get(3, lambda: 9)
        9
        >>> squares.get(3, lambda: 0)
        9
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[Hashable, tuple[object, V]] = {}

    def get(self, key: Hashable, make: Callable[[], V], owner: object = None) -> V:
        """The value of `key` (of this `owner`), made on first use."""
        full = (id(owner), key)
        found = self._values.get(full)
        if found is None or found[0] is not owner:
            found = (owner, make())
            while len(self._values) >= self._size:
                self._values.pop(next(iter(tuple(self._values)), None), None)  # a copy: other threads may write
            self._values[full] = found
        return found[1]

    def __reduce__(self) -> tuple[type[Recent[V]], tuple[int]]:
        # A copy in another process begins empty: identities mean nothing there.
        return Recent, (self._size,)
