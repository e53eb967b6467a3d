"""Which models there are, which one is meant, and how a file is fetched."""
