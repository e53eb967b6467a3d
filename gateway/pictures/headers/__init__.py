"""One module per picture format: what the first bytes say, and whether the file is all there. Nothing is decoded."""
