"""Dispatching: which worker gets which picture, and what happens when one is lost. The way in is dispatch.py."""
