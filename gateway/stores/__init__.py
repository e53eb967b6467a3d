"""Stores: the files and databases that things are kept in; keys, counts and sessions stand on it."""
