"""The studio: a web page where a person aligns a prompt, trains a rulebook and labels with it."""
