"""What scenes are drawn from: portraits, their labels, backgrounds, a hand."""
