"""Whole folders of pictures: what is in them, what is done, what is still to do."""
