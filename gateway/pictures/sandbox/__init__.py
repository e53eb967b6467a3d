"""What shuts a decoding process in: Landlock, seccomp, no capabilities. `door.py` is the way in."""
