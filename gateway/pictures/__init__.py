"""Pictures: from a file's bytes to pixels, crops and masked files. The way in is picture.py."""
