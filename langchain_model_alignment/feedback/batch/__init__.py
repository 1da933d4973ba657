"""A pile of feedback becomes a constitution in one go."""
