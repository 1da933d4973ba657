"""Ways in and out: feedback from elsewhere, and other places to run in."""
