"""Pictures composed for training, with the faces in them known."""
