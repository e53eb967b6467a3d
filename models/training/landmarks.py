"""The five landmarks of a face, by their place in the picture: eyes, nose, corners of the mouth, left before right."""

from __future__ import annotations

#: Where each landmark stands once the picture is mirrored.
MIRRORED = [1, 0, 2, 4, 3]
