"""Hides rich from services under test: what serves is installed without it."""

raise ImportError("rich is for the command on a folder, not for what serves")
