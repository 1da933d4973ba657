"""The cards of the Align page."""
