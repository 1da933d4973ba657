"""Feedback in plain words: whose prompts do what was asked, on inputs that were not there when it was said."""
