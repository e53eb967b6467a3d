"""Real photographs get their labels: from people's keypoints, from thorough looks, and by eye."""
