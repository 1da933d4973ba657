"""Floor 2: a person aligns one prompt."""
