"""What earlier weights were unsure of, to learn from: cells of pictures about their doubtful finds."""
