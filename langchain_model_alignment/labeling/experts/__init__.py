"""A mixture of experts: a rulebook for each region of the data, and a general one for the rest."""
