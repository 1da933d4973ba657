"""Labels train a rulebook: a classification prompt made of principles."""
