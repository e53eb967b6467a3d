"""A checkpoint becomes the file that is served."""
