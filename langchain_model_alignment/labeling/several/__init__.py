"""Several labels per row: one yes-or-no rulebook for each label, trained side by side (binary relevance)."""
