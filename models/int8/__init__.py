"""A network in bytes: measured, quantised, judged, and built where it passed."""
