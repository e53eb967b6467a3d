"""One module per picture format: what the first bytes say, and whether the file is all there. Nothing is decoded.

The rule for odd files: what the decoder reads whole and without repair, and every ordinary viewer shows alike, is
served; what is cut short or repaired by guess is refused. DECISIONS.md, "Odd files", says what that means where it is
not plain; tests/differential holds the service to it.
"""
