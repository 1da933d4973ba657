"""How long the same work takes: this library and its peers, each in a process of its own, with a model that sleeps."""
